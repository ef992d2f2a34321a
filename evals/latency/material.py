"""What the harness's callers say: questions, recorded people, pauses, and sounds that mean nothing.

Everything ends as WAV files in the run's folder, with the end points that are known.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import yaml

from evals.latency import speech
from evals.latency.figures import PAUSE_MS
from evals.latency.recorded import Recorded
from evals.rig import Rig, speak
from evals.wire_audio import RATE_HZ, Samples, Span, stretches
from voice_agent.config import Settings

QUESTIONS = Path("configs/knowledge_questions.yaml")
BACKCHANNELS = {
    "uh-huh": "Uh huh.",
    "okay": "Okay.",
    "right": "Right.",
    "i-see": "I see.",
    "yeah": "Yeah.",
}
BACKGROUND = "Have you seen where I put the car keys? I thought they were on the table."
BACKGROUND_PITCH = 0.85
BACKGROUND_DB = -20.0
"""A voice across the room, below the caller's."""
NOISE_MS = 2_000
SPLICED_MS = (500, 700, 900, 1_100, 1_300, 1_500)
LENGTH_S = (0.7, 9.0)
"""Recorded utterances of another length are left out: a word, a monologue."""
SEED = 4


@dataclass(frozen=True, slots=True)
class Said:
    """One recording. ``known``: begin, end and pauses in seconds of the file; ``None``: not known,
    and found by energy."""

    name: str
    file: Path
    words: str = ""
    must_say: tuple[str, ...] = ()
    known: tuple[float, float, tuple[tuple[float, float], ...]] | None = None

    def step(self, verb: str = "say", after_ms: float | None = None) -> dict[str, Any]:
        """A scenario's step that says it."""
        step: dict[str, Any] = {verb: str(self.file.resolve())}
        if after_ms is not None:
            step["after_ms"] = after_ms
        if self.known is not None:
            step["begin_s"], step["end_s"], pauses = self.known
            step["pauses"] = [list(pause) for pause in pauses]
        return step


def with_documents(settings: Settings, more: Sequence[Path], folder: Path) -> Settings:
    """The same settings with the documents of other folders added, in a copy below ``folder``."""
    if not more:
        return settings
    together = folder / "documents"
    shutil.rmtree(together, ignore_errors=True)
    shutil.copytree(settings.knowledge.documents, together)
    for number, source in enumerate(more, 1):
        shutil.copytree(source, together / f"more-{number}")
    knowledge = settings.knowledge.model_copy(
        update={"documents": together, "index": folder / "knowledge"}
    )
    return settings.model_copy(update={"knowledge": knowledge})


def questions(rig: Rig, count: int, path: Path = QUESTIONS) -> list[Said]:
    """The first ``count`` questions on the sample knowledge, spoken by the synthetic caller."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))[:count]
    named = {f"q{number:02d}": row for number, row in enumerate(rows)}
    files = speak(rig, {name: row["question"] for name, row in named.items()})
    return [
        Said(name, files[name], row["question"], tuple(row["must_say"]))
        for name, row in named.items()
    ]


def people(sources: Sequence[Path]) -> list[Recorded]:
    """Every recorded utterance of a usable length, the sources by turns, each in an order that is
    the same every time.

    Raises:
        SpeechError: material that cannot be used.
    """
    chance = np.random.default_rng(SEED)
    groups = []
    for source in sources:
        usable = [
            one for one in speech.load(source) if LENGTH_S[0] <= _length_s(one) <= LENGTH_S[1]
        ]
        groups.append([usable[place] for place in chance.permutation(len(usable))])
    longest = max((len(group) for group in groups), default=0)
    return [group[row] for row in range(longest) for group in groups if row < len(group)]


def pausing(recorded: Sequence[Recorded], count: int) -> list[Recorded]:
    """Utterances with a pause of 0.5-1.5 s: half of them people's own, as far as there are such,
    the rest with a pause put in, of each length in turn."""
    own = [one for one in recorded if any(map(_tempting, one.pauses))][: (count + 1) // 2]
    others = [one for one in recorded if not one.pauses or one not in own]
    spliced = [
        speech.with_pause(one, SPLICED_MS[number % len(SPLICED_MS)])
        for number, one in enumerate(others[: count - len(own)])
    ]
    return [*own, *spliced]


def _tempting(pause: Span) -> bool:
    return PAUSE_MS[0] <= pause.length_ms <= PAUSE_MS[1]


def _length_s(recorded: Recorded) -> float:
    return (recorded.end - recorded.begin) / RATE_HZ


def as_recorded(said: Said) -> Recorded:
    """A synthetic question with the end points that its energy shows."""
    samples = speech.read_audio(said.file)
    voiced = stretches(samples, join_ms=1e9)[0]
    return Recorded(said.name, samples, voiced.start, voiced.end, text=said.words)


def written(rig: Rig, recorded: Sequence[Recorded], prefix: str) -> list[Said]:
    """Recorded utterances as files of this run."""
    return [
        _write(rig, f"{prefix}{number:03d}", one.samples, one.text or one.name, one)
        for number, one in enumerate(recorded)
    ]


def sounds(rig: Rig, noises: Sequence[Path]) -> list[Said]:
    """What must not stop the agent: backchannels, coughs, a voice in the room, noises.

    Raises:
        SpeechError: a noise cannot be read.
    """
    spoken = speak(rig, BACKCHANNELS)
    room = speak(rig, {"room": BACKGROUND}, pitch=BACKGROUND_PITCH)["room"]
    made = [Said(name, spoken[name], words) for name, words in BACKCHANNELS.items()]
    others: list[tuple[str, Callable[[], Samples]]] = [
        ("cough", lambda: cough(1)),
        ("two-coughs", lambda: cough(2)),
        ("voice-in-the-room", lambda: _quieter(speech.read_audio(room), BACKGROUND_DB)),
        *((f"noise-{path.stem}", _loudest_of(path)) for path in noises),
    ]
    made += [_write(rig, name, make(), name.replace("-", " ")) for name, make in others]
    return made


def cough(times: int, seed: int = SEED) -> Samples:
    """So many coughs at 8 kHz: each a burst of noise with a hard start, and a softer one after."""
    chance = np.random.default_rng(seed)
    pieces = []
    for _ in range(times):
        for length_ms, level in ((160, 9_000.0), (120, 4_000.0)):
            at = np.arange(RATE_HZ * length_ms // 1000)
            fading = np.exp(-at / (len(at) / 4))
            pieces.append(level * fading * chance.standard_normal(len(at)) / 1.5)
            pieces.append(np.zeros(RATE_HZ * 60 // 1000))
        pieces.append(np.zeros(RATE_HZ * 150 // 1000))
    return np.clip(np.rint(np.concatenate(pieces)), -32_768, 32_767).astype(np.int16)


def _loudest_of(path: Path) -> Callable[[], Samples]:
    def excerpt() -> Samples:
        samples = speech.read_audio(path)
        size = RATE_HZ * NOISE_MS // 1000
        if len(samples) <= size:
            return samples
        energy = np.cumsum(samples.astype(np.float64) ** 2)
        start = int(np.argmax(energy[size:] - energy[:-size]))
        return samples[start : start + size]

    return excerpt


def _quieter(samples: Samples, by_db: float) -> Samples:
    softer: Samples = np.rint(samples * 10 ** (by_db / 20)).astype(np.int16)
    return softer


def _write(
    rig: Rig, name: str, samples: Samples, words: str, recorded: Recorded | None = None
) -> Said:
    folder = rig.folder / "voice"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.wav"
    sf.write(file, samples, RATE_HZ, subtype="PCM_16")
    if recorded is None:
        return Said(name, file, words)
    pauses = tuple((p.start / RATE_HZ, p.end / RATE_HZ) for p in recorded.pauses)
    known = (recorded.begin / RATE_HZ, recorded.end / RATE_HZ, pauses)
    return Said(name, file, words, known=known)
