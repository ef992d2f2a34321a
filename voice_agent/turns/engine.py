"""The turn engine: who speaks, and when an answer may be heard. Pure, in audio time.

::

            voice for onset_ms                  silence for speculate_ms
    QUIET ────────────────────▶ SPEAKING ────────────────────────────────▶ PAUSING
      ▲                            ▲   Prepare on interim words               │ ExaminePause
      │                            │                                          ▼
      │                            └──── voice again: DropReply ────── words: Speculate
      │                                                                       │
      └──────── no words: DiscardUtterance ◀──────────────────────────────────┤
      └──────── enough silence: CommitReply ◀─────────────────────────────────┘

While the agent is heard, voice for ``interrupt_ms`` gives StopAgent; when the words turn out to
be none, or only "mm-hm", ResumeAgent at once, else EndInterruption and the turn goes on as above.
If the caller goes on after a commit and before hearing any of the reply, the reply is dropped and
the words are one question. A reply that is late gets a filler, once.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum, auto
from functools import partial

from voice_agent.config import TurnSettings
from voice_agent.turns.endpointing import (
    Rhythm,
    is_backchannel,
    is_faint,
    silence_needed_ms,
)
from voice_agent.turns.events import (
    AgentHeard,
    BeginUtterance,
    CommitReply,
    CompletenessJudged,
    Decision,
    DiscardUtterance,
    DropReply,
    EndInterruption,
    ExaminePause,
    InterimHeard,
    KeyPressed,
    LineChanged,
    PauseTranscribed,
    PersonRung,
    Prepare,
    ReplyOver,
    ResumeAgent,
    SayFiller,
    Speculate,
    StopAgent,
    TakeKeys,
    TrailingJudged,
    TranscribeInterim,
    TurnEvent,
    VoiceMeasured,
)
from voice_agent.turns.evidence import Evidence
from voice_agent.turns.keypad import Keypad
from voice_agent.turns.silent_caller import SilentCaller

INTERIM_EVERY_MS = 400
ENDING_MS = 40
"""After so little silence transcription begins: most of these are gaps between words."""
PAUSE_MS = 500
"""A pause so long, in a turn that goes on, tells how this caller speaks."""
BACKCHANNEL_MS = 200
"""Silence after which "mm-hm" was all the caller wanted to say."""
BACKGROUND_DB = 8
"""A voice so much softer than the caller's is somebody else's, or the agent's own echo."""
USUAL_LEVEL_DB = -24.0
"""A caller on the telephone until we know better: a little over the -26 dB of ITU-T P.56, since
who is softer than that over the greeting is more likely its echo."""
LEVEL_MEMORY_MS = 1000
PART_AFTER_MS = 12_000
"""In an utterance so long, what was said up to a pause is settled and not transcribed again."""
GIVE_UP_MS = 15_000
"""A committed reply unheard for so long is lost, and the caller is spoken to again."""
HYSTERESIS = 0.15
"""Voice goes on at a probability this much below the one that begins it. It also interrupts there:
an agent that falls silent for nothing goes on at once, and soft first sounds take 0.1 s longer to
be certain of."""


class Caller(Enum):
    """What the caller is doing."""

    QUIET = auto()
    SPEAKING = auto()
    PAUSING = auto()


class TurnEngine:
    """Feed it events in order with ``react``; act on the decisions in order."""

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self._caller = Caller.QUIET
        self._now_ms = 0
        self._level_db = USUAL_LEVEL_DB
        self._power = 10 ** (USUAL_LEVEL_DB / 10)  # loud sounds make it; the level counts all alike
        self._run_peak_db = -96.0
        self._voice_run_ms = 0
        self._voiced_ms = 0
        self._began_ms = self._first_voice_ms = 0
        self._last_voice_ms = 0
        self._last_interim_ms = 0
        self._prepared = ""
        self._pause = 0
        self._pause_began_ms = 0
        self._settled = ""
        self._rhythm = Rhythm()
        self._evidence = Evidence()
        self._replies = 0
        self._speculation: int | None = None
        self._committed: tuple[int, str] | None = None
        self._carried = ""
        self._filled = False
        self._agent_audible = False
        self._agent_asking = False
        self._agent_was_heard = False
        self._stopped = False
        self._ours = True
        self._person_rung = False
        self._unheard_ms = 0
        self._silent_caller = SilentCaller(settings)
        self._keypad = Keypad()

    def new_reply(self) -> int:
        """A number for a reply that answers no question, such as the greeting; committed."""
        self._replies += 1
        self._committed = (self._replies, "")
        self._agent_was_heard = False
        return self._replies

    def react(self, event: TurnEvent) -> list[Decision]:
        """What to do about ``event``."""
        match event:
            case VoiceMeasured():
                return self._measure(event)
            case InterimHeard(text):
                return self._prepare(text)
            case PauseTranscribed(pause, text, believed):
                if pause != self._pause:
                    return []
                return self._take_words(text if believed or not self._agent_talking() else "")
            case CompletenessJudged(pause, probability):
                if pause == self._pause:
                    self._evidence.judgements.append(probability)
                return []
            case TrailingJudged(pause, log_probability):
                if pause == self._pause:
                    self._evidence.trailing = log_probability
                return []
            case AgentHeard(audible, asking):
                self._agent_audible = audible
                self._agent_asking = asking
                self._agent_was_heard |= audible
                self._silent_caller.restart(self._now_ms)
                return []
            case ReplyOver(reply):
                if self._committed and self._committed[0] == reply:
                    self._committed = None
                    self._stopped = False
                self._silent_caller.restart(self._now_ms)
                return []
            case KeyPressed(at_ms, digit):
                return self._press(at_ms, digit)
            case PersonRung(waiting):
                self._person_rung = waiting
                self._silent_caller.restart(self._now_ms)
                return []
            case LineChanged(ours):
                self._ours, self._person_rung = ours, False
                decisions = self._drop_speculation()
                self._end_utterance()
                return decisions

    def _measure(self, voice: VoiceMeasured) -> list[Decision]:
        step_ms = max(0, voice.at_ms - self._now_ms)
        self._now_ms = voice.at_ms
        if not self._ours:
            return []
        voiced = self._is_voiced(voice)
        if voiced and not self._agent_talking():
            share = min(1.0, step_ms / LEVEL_MEMORY_MS)
            self._level_db += share * (voice.level_db - self._level_db)
            self._power += share * (10 ** (voice.level_db / 10) - self._power)
        self._voice_run_ms = self._voice_run_ms + step_ms if voiced else 0
        self._run_peak_db = max(self._run_peak_db, voice.level_db) if voiced else -96.0
        match self._caller:
            case Caller.QUIET:
                decisions = self._watch_for_voice()
            case Caller.SPEAKING:
                decisions = self._follow_voice(voiced, step_ms)
            case Caller.PAUSING:
                decisions = self._follow_pause()
        return decisions + self._watch_keys() + self._watch_silence(step_ms)

    def _is_voiced(self, voice: VoiceMeasured) -> bool:
        threshold = self._settings.voice_threshold
        speaking = self._caller is Caller.SPEAKING
        if speaking or self._agent_talking():
            threshold -= HYSTERESIS
        faint = speaking and is_faint(voice.level_db, self._level_db)
        return voice.probability >= threshold and not faint

    def _in_background(self) -> bool:
        """Whether the voice heard now, at its loudest, is too soft to be meant for the agent.

        Held against the caller's mean power, as ITU-T P.56 measures speech: their soft sounds and
        the ends of their words do not make a voice in the room as loud as they are.
        """
        usual_db = 10 * math.log10(self._power)
        return self._agent_talking() and self._run_peak_db < usual_db - BACKGROUND_DB

    def _watch_for_voice(self) -> list[Decision]:
        talking = self._agent_talking()
        onset_ms = self._settings.interrupt_ms if talking else self._settings.onset_ms
        if self._voice_run_ms < onset_ms or self._in_background():
            return []
        self._caller = Caller.SPEAKING
        self._began_ms = self._first_voice_ms = self._now_ms - self._voice_run_ms
        self._last_voice_ms = self._last_interim_ms = self._now_ms
        self._voiced_ms = self._voice_run_ms
        self._silent_caller.answered()
        decisions: list[Decision] = []
        if self._committed and not self._agent_was_heard and self._committed[1]:
            reply, self._carried = self._committed
            self._committed = None
            self._rhythm = Rhythm(self._rhythm.turns - 1, self._rhythm.pauses + 1)
            decisions.append(DropReply(reply))
        return [*decisions, BeginUtterance(self._began_ms), *self._interrupt()]

    def _follow_voice(self, voiced: bool, step_ms: int) -> list[Decision]:
        decisions: list[Decision] = []
        if voiced:
            self._last_voice_ms = self._now_ms
            self._voiced_ms += step_ms
            decisions += self._interrupt()
            if self._now_ms - self._last_interim_ms >= INTERIM_EVERY_MS:
                self._last_interim_ms = self._now_ms
                decisions.append(TranscribeInterim(self._now_ms))
        elif self._now_ms - self._last_voice_ms == ENDING_MS:
            self._last_interim_ms = self._now_ms
            decisions.append(TranscribeInterim(self._now_ms, ending=True))
        too_long = self._now_ms - self._began_ms >= self._settings.max_utterance_s * 1000
        if too_long or self._now_ms - self._last_voice_ms >= self._settings.speculate_ms:
            self._caller = Caller.PAUSING
            self._pause += 1
            self._pause_began_ms = self._now_ms
            self._evidence = Evidence()
            decisions.append(ExaminePause(self._pause, self._now_ms))
        return decisions

    def _interrupt(self) -> list[Decision]:
        long_enough = self._voice_run_ms >= self._settings.interrupt_ms
        heard = self._agent_talking() and not self._in_background()
        if not (long_enough and heard) or self._stopped:
            return []
        self._stopped = True
        return [StopAgent(self._now_ms)]

    def _follow_pause(self) -> list[Decision]:
        too_long = self._now_ms - self._began_ms >= self._settings.max_utterance_s * 1000
        if self._voice_run_ms >= self._settings.onset_ms and not too_long:
            return self._go_on()
        silence_ms = self._now_ms - self._last_voice_ms
        again = partial(self._evidence.judge_again, self._pause, self._now_ms, silence_ms)
        text = self._evidence.text
        if text is None or (self._voice_run_ms and not too_long):
            return again()
        needed_ms = self._silence_needed_ms(text)
        if silence_ms >= needed_ms or too_long:
            return self._end_turn(needed_ms, silence_ms)
        doubted = needed_ms > self._settings.end_silence_ms
        return again() + (self._evidence.judge_trailing(self._pause) if doubted else [])

    def _silence_needed_ms(self, text: str) -> int:
        if self._only_listened(text):
            return BACKCHANNEL_MS
        if not text:
            return 0 if self._stopped else self._settings.end_silence_ms
        return silence_needed_ms(
            self._settings,
            text,
            self._evidence.completeness,
            self._last_voice_ms - self._first_voice_ms,
            self._rhythm,
            self._evidence.trailing,
        )

    def _go_on(self) -> list[Decision]:
        """The caller had only paused."""
        if self._now_ms - self._voice_run_ms - self._last_voice_ms >= PAUSE_MS:
            self._rhythm = replace(self._rhythm, pauses=self._rhythm.pauses + 1)
        self._caller = Caller.SPEAKING
        self._voiced_ms += self._voice_run_ms
        self._last_voice_ms = self._now_ms
        self._pause += 1
        decisions = self._drop_speculation()
        if self._evidence.text and self._pause_began_ms - self._began_ms >= PART_AFTER_MS:
            self._settled = f"{self._settled} {self._evidence.text}".strip()
            self._began_ms = self._pause_began_ms
            decisions.append(BeginUtterance(self._began_ms, settled=True))
        return decisions

    def _only_listened(self, text: str) -> bool:
        """Whether the words only tell the agent to go on."""
        replying = self._committed is not None and not self._agent_asking
        return replying and self._agent_talking() and is_backchannel(text)

    def _end_turn(self, needed_ms: int, silence_ms: int) -> list[Decision]:
        decisions: list[Decision] = []
        text, voiced_ms = self._evidence.text or "", self._voiced_ms
        if not text or self._only_listened(text):
            decisions += self._drop_speculation()
            if self._stopped:
                self._stopped = False
                decisions.append(ResumeAgent())
            decisions.append(DiscardUtterance(voiced_ms if not text else 0))
        elif self._speculation is not None:
            if self._agent_talking():
                if not self._stopped:
                    decisions.append(StopAgent(self._now_ms))
                decisions.append(EndInterruption())
            decisions.append(CommitReply(self._speculation, silence_ms, needed_ms))
            self._committed = (self._speculation, self._question(text))
            self._agent_was_heard = self._stopped = self._filled = False
            self._unheard_ms = 0
            self._speculation = None
            self._carried = ""
            self._rhythm = replace(self._rhythm, turns=self._rhythm.turns + 1)
        self._end_utterance()
        return decisions

    def _agent_talking(self) -> bool:
        between_clauses = self._committed is not None and self._agent_was_heard
        return self._agent_audible or self._stopped or between_clauses

    def _end_utterance(self) -> None:
        self._caller = Caller.QUIET
        self._evidence = Evidence()
        self._prepared = self._settled = ""
        self._voice_run_ms = 0
        self._pause += 1
        self._silent_caller.restart(self._now_ms)

    def _prepare(self, text: str) -> list[Decision]:
        if self._caller is Caller.QUIET or len(text.split()) < 3 or text == self._prepared:
            return []
        self._prepared = text
        return [Prepare(self._question(text))]

    def _take_words(self, text: str) -> list[Decision]:
        text = self._evidence.text = text.strip()
        decisions = self._drop_speculation()
        if not text:
            return decisions
        self._replies += 1
        self._speculation = self._replies
        return [*decisions, Speculate(self._replies, self._question(text))]

    def _question(self, text: str) -> str:
        return " ".join(part for part in (self._carried, self._settled, text) if part)

    def _drop_speculation(self) -> list[Decision]:
        if self._speculation is None:
            return []
        reply, self._speculation = self._speculation, None
        return [DropReply(reply)]

    def _press(self, at_ms: int, digit: str) -> list[Decision]:
        self._silent_caller.answered()
        self._silent_caller.restart(self._now_ms)
        if not self._ours:
            return []
        keys = self._keypad.press(max(at_ms, self._now_ms), digit)
        return [TakeKeys(keys)] if keys else []

    def _watch_keys(self) -> list[Decision]:
        keys = self._keypad.due(self._now_ms)
        return [TakeKeys(keys)] if keys else []

    def _watch_silence(self, step_ms: int) -> list[Decision]:
        waiting = self._committed is not None and not self._agent_audible
        self._unheard_ms = self._unheard_ms + step_ms if waiting else 0
        if self._unheard_ms > GIVE_UP_MS:
            self._committed = None  # whatever it was, the caller waits no longer for it
        if self._is_late():
            self._filled = True
            return [SayFiller()]
        busy = self._agent_audible or self._committed or self._caller is not Caller.QUIET
        if busy or self._keypad.waiting or self._person_rung:
            self._silent_caller.restart(self._now_ms)
        return [*self._silent_caller.watch(self._now_ms)]

    def _is_late(self) -> bool:
        asked = self._committed is not None and bool(self._committed[1])
        late = self._unheard_ms >= self._settings.filler_after_ms
        silent = self._caller is Caller.QUIET and not self._agent_was_heard
        return asked and late and silent and not self._filled
