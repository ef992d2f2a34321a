"""Personal data found in labelled sentences: how much of it, how surely, how fast.

A labelled span counts as found only when every letter and digit of it would be masked, whatever
kind it was taken for: that is what keeps it out of a record.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.trust.part import Part, Table, Tell, counted, percentile, share
from voice_agent.config import Settings
from voice_agent.models import locate
from voice_agent.safety.masking import Find
from voice_agent.safety.personal_data_kinds import Finding
from voice_agent.safety.spoken_forms import written
from voice_agent.speech.spoken_text import as_spoken

_CARDS_AND_IDS = frozenset(
    {"CREDIT_CARD", "US_SSN", "US_DRIVER_LICENSE", "IBAN_CODE", "US_PASSPORT", "US_ITIN", "UK_NHS"}
)
_WARM_UP, _TRIES = 30, 3
_SHOWN = 12


class NoSentences(Exception):
    """The labelled sentences are not there."""

    code = "material_missing"
    retryable = False
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled span, and whether it would be masked: wholly, in part, or not at all."""

    label: str
    value: str
    taken_for: str
    whole: bool
    touched: bool


def run(data: Path, settings: Settings, tell: Tell) -> Part:  # noqa: ARG001 - quick enough
    """Measure."""
    from voice_agent.safety.personal_data import PersonalData

    rows = read_rows(data)
    folder = locate(settings.models.folder, settings.safety.names_model)
    finder = PersonalData.load(folder)
    for row in rows[:_WARM_UP]:
        finder.find(row["full_text"])
    spans: list[Span] = []
    took_ms: list[float] = []
    worked_ms: list[float] = []
    false: list[str] = []
    found_in_all = 0
    for row in rows:
        findings, took, worked = _timed(finder.find, row["full_text"])
        took_ms.append(took)
        worked_ms.append(worked)
        spans += _spans(row, findings)
        found_in_all += len(findings)
        false += _false(row, findings)
    part = Part("personal_data")
    whole = [span.whole for span in spans]
    cards = [span.whole for span in spans if span.label in _CARDS_AND_IDS]
    part.figures = {
        "personal_data_recall": share(sum(whole), len(whole)),
        "cards_and_ids_recall": share(sum(cards), len(cards)),
        "personal_data_touched": share(sum(span.touched for span in spans), len(spans)),
        "personal_data_precision": 1 - share(len(false), found_in_all),
        "cards_and_ids_recall_spoken": _spoken_recall(rows, finder.find),
        "personal_data_p95_ms": percentile(took_ms, 95),
        "personal_data_p50_ms": percentile(took_ms, 50),
        "personal_data_cpu_p95_ms": percentile(worked_ms, 95),
    }
    taken = Counter(f"{span.label} for {span.taken_for}" for span in spans)
    part.tables = [
        _by_label(spans),
        counted("Taken", taken),
    ]
    missed = [f"{span.label}: {span.value!r}" for span in spans if not span.whole]
    part.notes = [f"not wholly found, e.g. {'; '.join(missed[:_SHOWN])}"] if missed else []
    part.notes.append(f"found without a label, e.g. {'; '.join(false[:_SHOWN])}")
    return part


def read_rows(data: Path) -> list[dict[str, Any]]:
    """The labelled sentences.

    Raises:
        NoSentences: they are not there.
    """
    path = data / "personal_data" / "labelled_sentences.jsonl"
    if not path.is_file():
        raise NoSentences(f"{path}: there is no such file")
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def _timed(find: Find, text: str) -> tuple[Sequence[Finding], float, float]:
    """What is found, in how many ms, and in how many of the processor's: the best of a few tries,
    since what other programs take of a shared machine is not what the finding costs."""
    times, worked = [], []
    for _ in range(_TRIES):
        began, began_working = time.perf_counter(), time.thread_time()
        findings = find(text)
        times.append((time.perf_counter() - began) * 1000)
        worked.append((time.thread_time() - began_working) * 1000)
    return findings, min(times), min(worked)


def _spans(row: dict[str, Any], findings: Sequence[Finding]) -> list[Span]:
    text = row["full_text"]
    kinds = {at: found.kind for found in findings for at in range(found.start, found.end)}
    spans = []
    for label in row["spans"]:
        places = range(label["start_position"], label["end_position"])
        said = [at for at in places if text[at].isalnum()]
        taken = [kinds[at].value for at in said if at in kinds]
        likeliest = max(sorted(set(taken)), key=taken.count) if taken else "nothing"
        spans.append(
            Span(
                label["entity_type"],
                label["entity_value"],
                likeliest,
                len(taken) == len(said),
                bool(taken),
            )
        )
    return spans


def _false(row: dict[str, Any], findings: Sequence[Finding]) -> list[str]:
    labelled = {
        at for span in row["spans"] for at in range(span["start_position"], span["end_position"])
    }
    return [
        f"{found.kind.value} {row['full_text'][found.start : found.end]!r}"
        for found in findings
        if labelled.isdisjoint(range(found.start, found.end))
    ]


def _spoken_recall(rows: Sequence[dict[str, Any]], find: Find) -> float:
    """The same cards and ids, said digit by digit as the voice would say them."""
    told = []
    for row in rows:
        for span in row["spans"]:
            value = span["entity_value"]
            digits = "".join(sign for sign in value if sign.isdigit())
            if span["entity_type"] not in ("CREDIT_CARD", "US_SSN") or len(digits) < 9:
                continue
            said = as_spoken(" ".join(digits)).strip(" .")
            text = row["full_text"].replace(value, said)
            at = text.find(said)
            masked = {place for found in find(text) for place in range(found.start, found.end)}
            letters = [place for place in range(at, at + len(said)) if text[place].isalnum()]
            told.append(written(said) is not None and all(place in masked for place in letters))
    return share(sum(told), len(told))


def _by_label(spans: Sequence[Span]) -> Table:
    labels = sorted({span.label for span in spans}, key=lambda name: -_count(spans, name))
    rows = tuple(
        (
            label,
            _count(spans, label),
            sum(span.whole for span in spans if span.label == label),
            sum(span.touched for span in spans if span.label == label),
            share(sum(s.whole for s in spans if s.label == label), _count(spans, label)),
        )
        for label in labels
    )
    return Table("Labelled spans", ("kind", "spans", "wholly", "touched", "recall"), rows)


def _count(spans: Sequence[Span], label: str) -> int:
    return sum(span.label == label for span in spans)
