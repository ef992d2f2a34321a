"""A recorded caller played to the real turn engine in audio time, without waiting for it.

The recording goes over the telephone as in a call (G.711, then the gateway's resampler), through
the product's voice detector and ``turns.engine.TurnEngine``; Whisper and smart-turn judge each
pause that the engine asks about. What they cost is modelled, what they say is real and kept on disk
by content, so that another run with other settings takes seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection

from evals.latency.recorded import Recorded, background
from evals.wire_audio import RATE_HZ, Samples
from telephony.audio import Resampler, in_frames
from telephony.media_stream import FRAME_MS, SAMPLE_RATE_HZ
from voice_agent.config import TurnSettings
from voice_agent.frames import CallerAudio, CallerVoice
from voice_agent.speech import hearing, transcriber, whisper
from voice_agent.speech.transcriber import Transcriber, Transcript
from voice_agent.turns import completeness, endpointing, events
from voice_agent.turns.completeness import CompletenessModel
from voice_agent.turns.engine import TurnEngine
from voice_agent.turns.utterance import PRE_ROLL_MS, level_db
from voice_agent.turns.voice import VoiceDetector, VoiceModel

LEAD_MS = 600
"""Background before the recording, so that the detector has heard the line."""
TAIL_MS = 3000
"""Background after it, in which the turn must end."""
_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as the agent gets it: 16 kHz, and a voice probability for each 20 ms frame."""

    recorded: Recorded
    audio: Samples
    voice: tuple[float, ...]
    level_db: tuple[float, ...]

    def ms(self, position: int) -> float:
        """Where a sample of the recording lies on the agent's clock."""
        return LEAD_MS + position * 1000 / RATE_HZ


@dataclass(frozen=True, slots=True)
class Commit:
    """The engine held a turn for over, at ``at_ms`` of audio, with these words."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What judging a pause takes, in ms."""

    transcribe_ms: int = 120
    judge_ms: int = 40
    trailing_ms: int = 100


class Judges:
    """Whisper and smart-turn, with their answers kept in an SQLite file by content."""

    def __init__(
        self,
        load_transcriber: Callable[[], Transcriber],
        model: str,
        load_completeness: Callable[[], CompletenessModel],
        second_opinion: str,
        cache: Path,
    ) -> None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        self._known = sqlite3.connect(cache)
        self._known.execute("CREATE TABLE IF NOT EXISTS said (key TEXT PRIMARY KEY, value TEXT)")
        self._load_transcriber = load_transcriber
        self._load_completeness = load_completeness
        self._transcriber: Transcriber | None = None
        self._completeness: CompletenessModel | None = None
        self._runner = asyncio.Runner()
        self._whisper = (
            f"{model} {_version(transcriber.__file__, hearing.__file__, whisper.__file__)}"
        )
        judging = _version(completeness.__file__, endpointing.__file__)
        self._smart_turn = f"smart-turn {second_opinion} {judging}"

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *_: object) -> None:
        self._known.commit()
        self._known.close()
        self._runner.close()
        if self._transcriber:
            self._transcriber.close()

    def transcribe(self, samples: Samples) -> str:
        """The final text of 16 kHz samples."""
        return self._recall(self._whisper, samples, self._transcribe)

    def complete(self, samples: Samples) -> float:
        """smart-turn's probability for 16 kHz samples."""
        return float(self._recall(self._smart_turn, samples, self._complete))

    def trailing(self, samples: Samples, text: str) -> float | None:
        """How likely these words of 16 kHz samples trail off, a log probability."""
        known = self._recall(f"{self._whisper} {text}", samples, partial(self._trailing, text))
        return float(known) if known else None

    def _transcribe(self, samples: Samples) -> str:
        return self._runner.run(self._ears().transcribe(samples)).text

    def _trailing(self, text: str, samples: Samples) -> str:
        heard = Transcript(text, 0.0, 0.0, "", 0.0)
        judged = self._runner.run(self._ears().trailing(samples, heard))
        return "" if judged is None else f"{judged:.4f}"

    def _ears(self) -> Transcriber:
        self._transcriber = self._transcriber or self._load_transcriber()
        return self._transcriber

    def _complete(self, samples: Samples) -> str:
        self._completeness = self._completeness or self._load_completeness()
        return f"{self._runner.run(self._completeness.judge(samples)):.4f}"

    def _recall(self, judge: str, samples: Samples, ask: Callable[[Samples], str]) -> str:
        key = hashlib.sha256(judge.encode() + samples.tobytes()).hexdigest()
        row = self._known.execute("SELECT value FROM said WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return str(row[0])
        answer = ask(samples)
        self._known.execute("INSERT OR REPLACE INTO said VALUES (?, ?)", (key, answer))
        self._known.commit()
        return answer


def _version(*sources: str) -> str:
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources))
    return digest.hexdigest()[:12]


class _Detector(VoiceDetector):
    """The product's detector outside a pipeline."""

    def __init__(self, model: VoiceModel) -> None:
        super().__init__(model)
        self.probabilities: list[float] = []

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        del direction
        if isinstance(frame, CallerVoice):
            self.probabilities.append(frame.probability)


def over_the_telephone(samples: Samples) -> Samples:
    """8 kHz samples through mu-law (ITU-T G.711) and the gateway's resampler, at 16 kHz."""
    coded = io.BytesIO()
    soundfile.write(coded, samples, RATE_HZ, format="WAV", subtype="ULAW")
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="int16")
    wide = Resampler(RATE_HZ, SAMPLE_RATE_HZ).feed(decoded.astype("<i2").tobytes())
    return np.frombuffer(wide, np.int16)


async def hear(recorded: Recorded, model: VoiceModel) -> Heard:
    """Play a recording, with its own background around it, to the voice detector."""
    lead = background(recorded, LEAD_MS * RATE_HZ // 1000)
    tail = background(recorded, TAIL_MS * RATE_HZ // 1000)
    audio = over_the_telephone(np.concatenate((lead, recorded.samples, tail)))
    frames = in_frames(audio.tobytes())
    detector = _Detector(model)
    for number, frame in enumerate(frames, 1):
        heard = CallerAudio(frame, number * FRAME_MS)
        await detector.process_frame(heard, FrameDirection.DOWNSTREAM)
    return Heard(recorded, audio, tuple(detector.probabilities), tuple(map(level_db, frames)))


def replay(heard: Heard, settings: TurnSettings, judges: Judges, costs: Costs) -> list[Commit]:
    """Every turn that the engine holds for over, in order."""
    engine = TurnEngine(settings)
    commits: list[Commit] = []
    answers: list[tuple[int, events.TurnEvent]] = []
    began_ms, text = 0, ""
    paused = _between(heard, 0, 0)
    for event in _with_answers(heard, answers):
        if isinstance(event, events.PauseTranscribed):
            text = event.text
        for decision in engine.react(event):
            match decision:
                case events.BeginUtterance(at_ms, settled):
                    began_ms = at_ms if settled else max(0, at_ms - PRE_ROLL_MS)
                case events.ExaminePause(pause, through_ms):
                    samples = paused = _between(heard, began_ms, through_ms)
                    words = events.PauseTranscribed(pause, judges.transcribe(samples))
                    answers.append((through_ms + costs.transcribe_ms, words))
                    answers.append(_judged(pause, through_ms, samples, judges, costs))
                case events.JudgeAgain(pause, through_ms):
                    samples = _between(heard, began_ms, through_ms)
                    answers.append(_judged(pause, through_ms, samples, judges, costs))
                case events.JudgeTrailing(pause):
                    assert isinstance(event, events.VoiceMeasured)  # noqa: S101 - time passes
                    if (judged := judges.trailing(paused, text)) is not None:
                        trailing = events.TrailingJudged(pause, judged)
                        answers.append((event.at_ms + costs.trailing_ms, trailing))
                case events.CommitReply():
                    assert isinstance(event, events.VoiceMeasured)  # noqa: S101 - time passes
                    commits.append(Commit(event.at_ms, text))
                case _:
                    pass
    return commits


def _judged(
    pause: int, through_ms: int, samples: Samples, judges: Judges, costs: Costs
) -> tuple[int, events.TurnEvent]:
    judged = events.CompletenessJudged(pause, judges.complete(samples))
    return through_ms + costs.judge_ms, judged


def _with_answers(
    heard: Heard, answers: list[tuple[int, events.TurnEvent]]
) -> Iterator[events.TurnEvent]:
    """The voice frame by frame, and between them the answers that have become due."""
    for number, (voice, level) in enumerate(zip(heard.voice, heard.level_db, strict=True), 1):
        at_ms = number * FRAME_MS
        for answer in sorted((a for a in answers if a[0] <= at_ms), key=lambda a: a[0]):
            answers.remove(answer)
            yield answer[1]
        yield events.VoiceMeasured(at_ms, voice, level)


def _between(heard: Heard, from_ms: int, to_ms: int) -> Samples:
    return heard.audio[from_ms * _SAMPLES_PER_MS : to_ms * _SAMPLES_PER_MS]
