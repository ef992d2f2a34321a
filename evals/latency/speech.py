"""Recorded human speech whose beginnings, pauses and ends are known.

``python -m evals.latency.speech prepare FOLDER --out speech.json`` finds them by energy, once; a
person may then correct the file. It is a JSON list, times in seconds of the recording::

    {"file": "a.flac", "text": "what is said, if known", "speaks": [[0.4, 1.9], [2.6, 3.8]],
     "utterances": [{"begin_s": 0.4, "end_s": 3.8, "pauses": [[1.9, 2.6]]}]}

``file`` is relative to the JSON's folder. A recording that holds several utterances, such as one
channel of a call, is cut at silences over 2 s and, when ``NAME_agent.*`` lies beside
``NAME_caller.*``, where the other party speaks in between; the agent's channel itself is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from evals.latency.recorded import (
    Recorded,
    SpeechError,
    pauses_of,
    utterances_of,
    voiced,
    with_noise,
    with_pause,
)
from evals.wire_audio import RATE_HZ, Samples, Span

__all__ = ["Recorded", "SpeechError", "load", "prepare", "read_audio", "with_noise", "with_pause"]

SUFFIXES = (".wav", ".flac")
_LEAD_MS = 100
_TAIL_MS = 200


def read_audio(path: Path) -> Samples:
    """A recording as one channel at 8 kHz.

    Raises:
        SpeechError: it cannot be read or is empty.
    """
    try:
        data, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise SpeechError(f"{path}: cannot be read as audio") from error
    if not len(data):
        raise SpeechError(f"{path}: is empty")
    mono = data.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    samples: Samples = np.clip(np.rint(mono * 32_767), -32_768, 32_767).astype(np.int16)
    return samples


# --- speech.json -----------------------------------------------------------------------------


def prepare(folder: Path) -> list[dict[str, Any]]:
    """The entries of a ``speech.json`` for a folder of bare recordings; silent ones are left out.

    Raises:
        SpeechError: the folder holds no speech, or a file cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise SpeechError(f"{folder}: cannot be read: {error.strerror}") from error
    texts = _texts(folder)
    entries = [
        entry
        for path in files
        if not _other_channel(path, "_agent", "_caller")
        and (entry := _entry(path, texts.get(path.name, "")))["utterances"]
    ]
    if not entries:
        raise SpeechError(f"{folder}: holds no WAV or FLAC file with speech")
    return entries


def _entry(path: Path, text: str) -> dict[str, Any]:
    speaks = voiced(read_audio(path))
    other = _other_channel(path, "_caller", "_agent")
    spans = utterances_of(speaks, voiced(read_audio(other)) if other else ())
    entry: dict[str, Any] = {"file": path.name, "speaks": [_seconds(span) for span in speaks]}
    if text:
        entry["text"] = text
    entry["utterances"] = []
    for span in spans:
        begin_s, end_s = _seconds(span)
        pauses = [_seconds(pause) for pause in pauses_of(speaks, span)]
        entry["utterances"].append({"begin_s": begin_s, "end_s": end_s, "pauses": pauses})
    return entry


def _other_channel(path: Path, mine: str, other: str) -> Path | None:
    if not path.stem.endswith(mine):
        return None
    beside = path.with_name(path.stem.removesuffix(mine) + other + path.suffix)
    return beside if beside.exists() else None


def _texts(folder: Path) -> dict[str, str]:
    labels = folder / "labels.jsonl"
    if not labels.exists():
        return {}
    try:
        rows = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
        return {row["file"]: row.get("text", "") for row in rows}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SpeechError(f"{labels}: is not a list of JSON objects with `file`") from error


def _seconds(span: Span) -> list[float]:
    return [round(span.start / RATE_HZ, 4), round(span.end / RATE_HZ, 4)]


def load(path: Path) -> list[Recorded]:
    """Every utterance of a ``speech.json``, or of a folder with one or with bare recordings.

    Raises:
        SpeechError: something in it cannot be used.
    """
    if path.is_dir():
        listed = path / "speech.json"
        if not listed.exists():
            return _recorded(prepare(path), path, path)
        path = listed
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpeechError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpeechError(f"{path}: is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise SpeechError(f"{path}: is not a list of recordings")
    return _recorded(entries, path.parent, path)


def _recorded(entries: list[Any], folder: Path, source: Path) -> list[Recorded]:
    recorded = []
    for number, entry in enumerate(entries, 1):
        try:
            name, utterances = str(entry["file"]), list(entry["utterances"])
            spans = [(_span([u["begin_s"], u["end_s"]]), _spans(u["pauses"])) for u in utterances]
            heard = _spans(entry["speaks"]) if "speaks" in entry else [s for s, _ in spans]
            text = str(entry.get("text", "")) if len(spans) == 1 else ""
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SpeechError(f"{source}: recording {number}: {_reason(error)}") from error
        samples = read_audio(folder / name)
        for index, (span, pauses) in enumerate(spans):
            label = name if len(spans) == 1 else f"{name}#{index}"
            _check(f"{source}: {label}", span, pauses, len(samples))
            first, last = _surroundings(span, heard, len(samples))
            recorded.append(
                Recorded(
                    name=label,
                    samples=samples[first:last],
                    begin=span.start - first,
                    end=span.end - first,
                    pauses=tuple(Span(p.start - first, p.end - first) for p in pauses),
                    text=text,
                )
            )
    return recorded


def _reason(error: Exception) -> str:
    return f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else "is malformed"


def _span(pair: Any) -> Span:
    start_s, end_s = (float(value) for value in pair)
    return Span(round(start_s * RATE_HZ), round(end_s * RATE_HZ))


def _spans(pairs: Any) -> list[Span]:
    return [_span(pair) for pair in pairs]


def _check(name: str, span: Span, pauses: list[Span], length: int) -> None:
    if not 0 <= span.start < span.end <= length:
        raise SpeechError(f"{name}: its end points lie outside the recording")
    edges = [span.start, *(edge for p in pauses for edge in (p.start, p.end)), span.end]
    if any(after <= before for before, after in pairwise(edges)):
        raise SpeechError(f"{name}: its pauses are not in order between its end points")


def _surroundings(span: Span, heard: list[Span], length: int) -> tuple[int, int]:
    """A little of the background around, as far as nobody speaks in it."""
    ends = [other.end for other in heard if other.end <= span.start]
    starts = [other.start for other in heard if other.start >= span.end]
    first = max(span.start - RATE_HZ * _LEAD_MS // 1000, max(ends, default=0))
    last = min(span.end + RATE_HZ * _TAIL_MS // 1000, min(starts, default=length))
    return first, last


# --- the command line --------------------------------------------------------------------------


def write_prepared(folder: Path, out: Path) -> tuple[int, int]:
    """Write the ``speech.json`` of ``folder`` to ``out``; how many recordings and utterances.

    Raises:
        SpeechError: nothing usable in it, or ``out`` cannot be written.
    """
    entries = prepare(folder)
    for entry in entries:
        entry["file"] = os.path.relpath(folder / entry["file"], out.parent)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        rows = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        out.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    except OSError as error:
        raise SpeechError(f"{out}: cannot be written: {error.strerror}") from error
    return len(entries), sum(len(entry["utterances"]) for entry in entries)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for material that cannot be used."""
    parser = argparse.ArgumentParser(prog="evals.latency.speech")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("prepare", help="find where recordings speak and pause")
    command.add_argument("folder", type=Path, help="WAV or FLAC files")
    command.add_argument("--out", type=Path, help="default: speech.json in the folder")
    given = parser.parse_args(arguments)
    out = given.out or given.folder / "speech.json"
    try:
        recordings, utterances = write_prepared(given.folder, out)
    except SpeechError as error:
        print(f"evals.latency.speech: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {utterances} utterances in {recordings} recordings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
