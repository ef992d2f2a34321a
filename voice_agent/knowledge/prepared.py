"""What of a version's passages is compared besides their meaning, kept beside it as arrays.

Words, titles, languages and days of validity are worked out once, when a version is written, and
mapped from then on: opening 50,000 passages takes a fraction of a second instead of ten. All of it
follows from the passages, so it is no part of a version's identity: a folder of an older program,
or a damaged one, is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.passage_lines import PassageLines
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.subjects import own_shares
from voice_agent.knowledge.terms import weigh_passage
from voice_agent.knowledge.wanted import ALWAYS, day_number

FOLDER = "prepared-1"
"""Changes whenever the same passages are prepared otherwise."""

_NAMES = "names.json"
_MOST_HERE = 2_000
"""Passages; more take tens of megabytes and seconds, apart from the rest of a build."""

Whole = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays over the passages of a version, in their order.

    An inverted index: the passages with the term `terms[n]` are `term_rows[starts[n]:starts[n+1]]`
    (ascending), with the weights `term_values` there. For each passage `title`, `document` and
    `language`, places in the lists of the same name in the plural, and `days`, the first and the
    last on which it is valid. `own_shares` belong to the titles (see `subjects.own_shares`).
    """

    terms: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    term_rows: Whole
    term_values: npt.NDArray[np.float32]
    title: Whole
    document: Whole
    language: Whole
    days: Whole
    own_shares: npt.NDArray[np.float64]
    titles: tuple[str, ...]
    languages: tuple[str, ...]

    def rows_with(self, term: int) -> tuple[int, int]:
        """Where the passages with a term begin and end in `term_rows`; nowhere: (0, 0)."""
        at = int(np.searchsorted(self.terms, np.uint32(term)))
        if at == len(self.terms) or int(self.terms[at]) != term:
            return 0, 0
        return int(self.starts[at]), int(self.starts[at + 1])


_ARRAYS = tuple(
    field.name for field in fields(Prepared) if field.name not in ("titles", "languages")
)


def prepare(passages: Iterable[Passage]) -> Prepared:
    """Work all of it out (some 0.1 ms a passage)."""
    numbers, rows, values = array("I"), array("i"), array("f")
    titles: dict[str, int] = {}
    documents: dict[str, int] = {}
    languages: dict[str, int] = {"": 0}
    title, document, language, days = array("i"), array("i"), array("i"), array("i")
    for row, passage in enumerate(passages):
        weights = weigh_passage(passage.embedded_text)
        numbers.extend(weights.indices)
        values.extend(weights.values)
        rows.extend([row] * len(weights.indices))
        title.append(titles.setdefault(passage.title, len(titles)))
        document.append(documents.setdefault(passage.document_id, len(documents)))
        language.append(languages.setdefault(passage.language, len(languages)))
        days.extend((day_number(passage.valid_from), day_number(passage.valid_until, ALWAYS)))
    order = np.argsort(np.asarray(numbers), kind="stable")
    terms, starts = np.unique(np.asarray(numbers)[order], return_index=True)
    bounds = np.append(starts, len(numbers)).astype(np.int64)
    term_rows = np.asarray(rows)[order]
    place = {int(term): at for at, term in enumerate(terms)}

    def rows_with(term: int) -> Whole:
        at = place.get(term)
        return term_rows[:0] if at is None else term_rows[bounds[at] : bounds[at + 1]]

    named = tuple(titles)
    rows_titled: dict[str, array[int]] = {name: array("i") for name in named}
    for row, number in enumerate(title):
        rows_titled[named[number]].append(row)
    rows_of = {name: np.asarray(titled) for name, titled in rows_titled.items()}
    return Prepared(
        terms=terms,
        starts=bounds,
        term_rows=term_rows,
        term_values=np.asarray(values)[order],
        title=np.asarray(title),
        document=np.asarray(document),
        language=np.asarray(language),
        days=np.asarray(days).reshape(-1, 2),
        own_shares=np.asarray(own_shares(rows_of, rows_with), dtype=np.float64),
        titles=named,
        languages=tuple(languages),
    )


def keep(prepared: Prepared, version_folder: Path) -> None:
    """Write it into a version's folder, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    target = version_folder / FOLDER
    writing = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=version_folder))
    try:
        for name in _ARRAYS:
            np.save(writing / f"{name}.npy", getattr(prepared, name), allow_pickle=False)
        described = {
            "titles": prepared.titles,
            "languages": prepared.languages,
            "files": {name: _sha256(writing / f"{name}.npy") for name in _ARRAYS},
        }
        (writing / _NAMES).write_text(json.dumps(described), encoding="utf-8")
        writing.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        writing.rename(target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def prepare_kept(version_folder: Path, passages: int) -> None:
    """Prepare a version that has been written, in a process of its own if it is large.

    So a build takes no more memory for many passages than for few. What goes wrong there is left
    to the first who opens the version, and prepares it again.

    Raises:
        OSError: the disk refuses.
    """
    if passages <= _MOST_HERE:
        keep(prepare(PassageLines(version_folder / "passages.jsonl")), version_folder)
        return
    command = [sys.executable, "-m", "voice_agent.knowledge.prepared", str(version_folder)]
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=False, stdout=quiet, stderr=quiet)  # noqa: S603 - our own


def open_kept(version_folder: Path, passages: int) -> Prepared | None:
    """What `keep` wrote for so many passages, mapped; None: it is not there, or damaged."""
    folder = version_folder / FOLDER
    try:
        described: dict[str, Any] = json.loads((folder / _NAMES).read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy") for name in _ARRAYS}
        intact = all(_sha256(folder / f"{n}.npy") == described["files"][n] for n in _ARRAYS)
        titles, languages = tuple(described["titles"]), tuple(described["languages"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not intact or len(arrays["title"]) != passages:
        return None
    return Prepared(**arrays, titles=titles, languages=languages)


def _mapped(path: Path) -> npt.NDArray[Any]:
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # nothing cannot be mapped
        mapped = np.load(path, allow_pickle=False)
    return mapped


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    prepare_kept(Path(sys.argv[1]), 0)
