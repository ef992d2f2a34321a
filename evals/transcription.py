"""How well and how fast the agent hears: ``python -m evals.transcription FOLDER [--g711]``.

Compares the transcriber's short window with faster-whisper's own 30 s window over the same files,
and with ``--streamed`` plays them as the turn taker hears a caller: interims, then the final text.
The folder holds either ``labels.jsonl`` (objects with ``file`` and ``text``, or ``slots``: name to
spoken value) or recordings named ``DIGIT_speaker_take.wav``, or, with ``--no-speech``, recordings
in which nobody speaks.

* slot recall: share of slot values that appear in the transcript, numbers and spelling evened out;
* word error rate: against ``text``; ``apart``: the short window's words against the full window's;
* loops: transcripts that repeat themselves; invented: pieces without speech that gave text;
* median, p95: wall time of a transcript, streamed: of the final one alone. A second table has its
  CPU time, and the time from the last word to the final text.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from faster_whisper import WhisperModel
from num2words import num2words
from rich.console import Console
from rich.progress import track
from rich.table import Table

from evals import streamed_transcription
from evals.streamed_transcription import Rhythm, Timing
from voice_agent.config import TranscriberSettings
from voice_agent.models import ModelsError, locate
from voice_agent.speech.hearing import SAMPLE_RATE_HZ, is_looping
from voice_agent.speech.transcriber import Transcriber, TranscriberError

Samples = npt.NDArray[np.int16]
Item = TypeVar("Item")
PIECE_S = 2
"""Length of the pieces that recordings without speech are cut into."""


@dataclass(frozen=True)
class Recording:
    """What was said in a file, as far as its label tells."""

    samples: Samples
    text: str | None
    slots: tuple[str, ...]


@dataclass
class Score:
    """What one way of hearing made of all recordings."""

    model: str
    way: str
    recordings: int = 0
    slots: int = 0
    slots_heard: int = 0
    words: int = 0
    word_errors: int = 0
    loops: int = 0
    texts: int = 0
    times_ms: list[float] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    apart: float | None = None
    timing: Timing | None = None

    def add(self, recording: Recording, text: str, took_ms: float) -> None:
        """Count one transcript."""
        self.recordings += 1
        self.times_ms.append(took_ms)
        heard = plain_words(text)
        self.heard.append(" ".join(heard))
        self.texts += bool(heard)
        self.loops += is_looping(text)
        sentence = f" {' '.join(heard)} "
        self.slots += len(recording.slots)
        self.slots_heard += sum(
            f" {' '.join(plain_words(value))} " in sentence for value in recording.slots
        )
        if recording.text is not None:
            said = plain_words(recording.text)
            self.words += len(said)
            self.word_errors += word_distance(said, heard)


def plain_words(text: str) -> list[str]:
    """Lower-case words, numbers as words, units and spellings evened out."""
    text = re.sub(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", " ", text.lower().replace("%", " percent "))
    text = re.sub(r"\d+", lambda match: f" {num2words(int(match.group()))} ", text)
    words = re.sub(r"[^a-z' ]", " ", text).split()
    even = {"oz": "ounce", "ounces": "ounce", "okay": "ok"}
    return [even.get(word, word) for word in words]


def word_distance(said: list[str], heard: list[str]) -> int:
    """Least number of words inserted, left out or replaced (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, previous + (word != other)),
            )
    return row[-1]


def through_g711(samples: Samples) -> Samples:
    """As it sounds over a telephone: 8 kHz and mu-law (ITU-T G.711), back at 16 kHz."""
    narrow = soxr.resample(samples, SAMPLE_RATE_HZ, 8_000, "HQ")
    coded = io.BytesIO()
    soundfile.write(coded, narrow, 8_000, format="WAV", subtype="ULAW")
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="int16")
    wide: Samples = soxr.resample(decoded, 8_000, SAMPLE_RATE_HZ, "HQ")
    return wide


def _read(path: Path) -> Samples:
    audio, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    samples: Samples = soxr.resample(np.ascontiguousarray(audio[:, 0]), rate_hz, SAMPLE_RATE_HZ)
    return samples


def load(folder: Path, limit: int, no_speech: bool) -> list[Recording]:
    """The recordings of a folder, at most ``limit``, spread evenly over it.

    Raises:
        OSError, ValueError: nothing usable there.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in (".wav", ".flac"))
    if no_speech:
        step = PIECE_S * SAMPLE_RATE_HZ
        pieces = [
            Recording(samples[at : at + step], "", ())
            for samples in map(_read, files)
            for at in range(0, len(samples) - step + 1, step)
        ]
        return _spread(pieces, limit)
    labels = folder / "labels.jsonl"
    if labels.exists():
        rows = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
        return [
            Recording(
                _read(folder / row["file"]),
                row.get("text"),
                tuple(str(value) for value in row.get("slots", {}).values()),
            )
            for row in _spread(rows, limit)
        ]
    digits = [path for path in files if re.match(r"\d_", path.name)]
    if not digits:
        raise ValueError(f"{folder}: neither labels.jsonl nor DIGIT_speaker_take.wav")
    return [Recording(_read(path), path.name[0], ()) for path in _spread(digits, limit)]


def _spread(items: list[Item], limit: int) -> list[Item]:
    if not limit or limit >= len(items):
        return items
    return [items[index * len(items) // limit] for index in range(limit)]


def measure(recordings: Iterable[Recording], score: Score, hear: Callable[[Samples], str]) -> Score:
    """Let ``hear`` transcribe everything."""
    for recording in track(list(recordings), f"{score.model}, {score.way}", transient=True):
        began = time.perf_counter()
        text = hear(recording.samples)
        score.add(recording, text, (time.perf_counter() - began) * 1000)
    return score


def compare(
    settings: TranscriberSettings,
    models: Path,
    recordings: list[Recording],
    full: bool,
    rhythm: Rhythm | None,
) -> list[Score]:
    """The short window, streamed if a rhythm is given, and, if wanted, faster-whisper's own."""
    model = settings.model
    transcriber = Transcriber.load(settings, models)
    timing = Timing()
    with asyncio.Runner() as runner:

        def hear(samples: Samples) -> str:
            if rhythm is None:
                return runner.run(transcriber.transcribe(samples)).text
            return streamed_transcription.hear(runner, transcriber, samples, rhythm, timing)

        score = measure(recordings, Score(model, "streamed" if rhythm else "utterance"), hear)
    if rhythm:
        score.timing, score.times_ms = timing, timing.final_ms
    scores = [score]
    transcriber.close()
    if not full:
        return scores
    whisper = WhisperModel(
        str(locate(models, model)),
        device="cpu",
        compute_type="int8",
        cpu_threads=settings.threads,
    )

    def whole(samples: Samples) -> str:
        segments, _ = whisper.transcribe(
            samples.astype(np.float32) / 32768.0, language="en", hotwords=settings.prompt or None
        )
        return " ".join(segment.text for segment in segments)

    scores.append(measure(recordings, Score(model, "30 s"), whole))
    pairs = list(zip(scores[1].heard, scores[0].heard, strict=True))
    errors = sum(word_distance(full.split(), short.split()) for full, short in pairs)
    scores[0].apart = errors / max(1, sum(len(full.split()) for full, _ in pairs))
    return scores


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def table(scores: list[Score], no_speech: bool) -> Table:
    """The figures, one row a way of hearing."""
    out = Table("model", "window", "slot recall", "word errors", "apart", "loops", "invented",
                "median", "p95", title=f"{scores[0].recordings} recordings")  # fmt: skip
    for score in scores:
        out.add_row(
            score.model,
            score.way,
            _share(score.slots_heard, score.slots),
            _share(score.word_errors, score.words),
            "–" if score.apart is None else f"{100 * score.apart:.1f} %",
            str(score.loops),
            _share(score.texts, score.recordings) if no_speech else "–",
            f"{np.median(score.times_ms):.0f} ms",
            f"{np.percentile(score.times_ms, 95):.0f} ms",
        )
    return out


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 when there is nothing to measure with."""
    parser = argparse.ArgumentParser(prog="evals.transcription", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="recordings")
    parser.add_argument("--g711", action="store_true", help="as heard over a telephone")
    parser.add_argument("--no-speech", action="store_true", help="nobody speaks in these files")
    parser.add_argument("--limit", type=int, default=80, help="recordings to use; 0 for all")
    parser.add_argument("--model", action="append", help="model name; may be given again")
    parser.add_argument("--prompt", default="", help="words to expect (speech.transcriber.prompt)")
    parser.add_argument("--models", type=Path, default=Path("var/models"), help="models folder")
    parser.add_argument("--short-only", action="store_true", help="leave the 30 s window out")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads a decode may use")
    streamed_transcription.add_options(parser)
    parser.add_argument("--json", type=Path, help="write the figures and transcripts here")
    given = parser.parse_args(arguments)
    try:
        recordings = load(given.folder, given.limit, given.no_speech)
        if not recordings:
            raise ValueError(f"{given.folder}: no recordings")
        if given.g711:
            recordings = [
                Recording(through_g711(each.samples), each.text, each.slots) for each in recordings
            ]
        scores = [
            score
            for model in given.model or ["whisper-base"]
            for score in compare(
                TranscriberSettings(model=model, prompt=given.prompt, threads=given.threads),
                given.models,
                recordings,
                not given.short_only,
                streamed_transcription.rhythm(given),
            )
        ]
    except (OSError, ValueError, KeyError, ModelsError, TranscriberError) as error:
        print(f"evals.transcription: {error}", file=sys.stderr)
        return 2
    console = Console(width=110)
    console.print(table(scores, given.no_speech))
    for score in scores:
        if score.timing is not None:
            console.print(streamed_transcription.table(score.model, score.timing))
    if given.json:
        given.json.write_text(json.dumps([asdict(score) for score in scores], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
