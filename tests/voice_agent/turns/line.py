"""A caller's line in audio time, for tests of the turn engine."""

from __future__ import annotations

from voice_agent.config import TurnSettings
from voice_agent.turns import events as e
from voice_agent.turns.engine import TurnEngine

SETTINGS = TurnSettings()
PAUSE_MS = SETTINGS.speculate_ms + 20
"""Silence after which the engine looks whether the caller is done."""
LOUD_DB = -24.0


class Line:
    """Feeds an engine 20 ms steps and keeps its decisions."""

    def __init__(self, settings: TurnSettings = SETTINGS) -> None:
        self.engine = TurnEngine(settings)
        self.now_ms = 0
        self.decisions: list[e.Decision] = []

    def tell(self, event: e.TurnEvent) -> list[e.Decision]:
        decided = self.engine.react(event)
        self.decisions += decided
        return decided

    def pass_time(self, ms: int, probability: float, level_db: float) -> list[e.Decision]:
        decided: list[e.Decision] = []
        for _ in range(ms // 20):
            self.now_ms += 20
            decided += self.tell(e.VoiceMeasured(self.now_ms, probability, level_db))
        return decided

    def speak(self, ms: int = 2000, *, level_db: float = LOUD_DB) -> list[e.Decision]:
        return self.pass_time(ms, 0.95, level_db)

    def silence(self, ms: int) -> list[e.Decision]:
        return self.pass_time(ms, 0.02, -70.0)

    def words(self, text: str, completeness: float | None = 0.995) -> list[e.Decision]:
        """Answer the last ExaminePause."""
        pause = self.of(e.ExaminePause)[-1].pause
        if completeness is not None:
            self.tell(e.CompletenessJudged(pause, completeness))
        return self.tell(e.PauseTranscribed(pause, text))

    def of(self, kind: type) -> list:
        return [decision for decision in self.decisions if isinstance(decision, kind)]


def ask(line: Line, text: str = "How much is delivery?") -> int:
    """A whole question, up to the commit; gives the reply's number."""
    line.speak()
    line.silence(PAUSE_MS)
    line.words(text)
    line.silence(400)
    return line.of(e.CommitReply)[-1].reply
