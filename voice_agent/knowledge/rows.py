"""The embedded engine: every passage of a version compared, exactly, in a few milliseconds.

Vectors stay in their memory-mapped file and are read by one matrix product; words are found in an
inverted index (BM25, see `terms`) and subjects by name (see `subjects`). Nothing is approximate, so
the same version and query give the same passages in every process and after every rebuild, and any
number of processes may read one version.

Measured on two cores at 50,000 passages: about 20 ms a search, embedding included (``python -m
evals.latency.retrieval``). The time grows with the passages, so larger collections belong on a
Qdrant server. Why not Qdrant in this process: its local mode compares words in Python, about 60 us
a passage, and is too slow from 1,000 passages on; qdrant-edge answers in 2 to 6 ms (20 with
filters), but takes 70 s to fill, lets one process at a time open a folder, and its graph need not
come out the same twice.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.ranking import (
    LEAST_SHARE,
    SPARE,
    Scores,
    answering,
    best_rows,
    join_parts,
    relevance,
    without_repeats,
)
from voice_agent.knowledge.subjects import Subjects
from voice_agent.knowledge.terms import weigh_passage, weigh_query
from voice_agent.knowledge.versions import Version
from voice_agent.knowledge.wanted import Wanted, day_number

_ALWAYS = 9999_12_31


class Rows:
    """A version's passages, ready to be compared. Searching is safe from one thread at a time."""

    def __init__(self, version: Version) -> None:
        self._passages = version.passages
        self._vectors = version.vectors
        numbers, rows, values = array("L"), array("l"), array("f")
        titles: dict[str, int] = {}
        languages: dict[str, int] = {"": 0}
        titled: list[tuple[str, list[int]]] = []
        self._title = np.zeros(len(version.passages), dtype=np.int32)
        self._language = np.zeros(len(version.passages), dtype=np.int32)
        self._days = np.zeros((len(version.passages), 2), dtype=np.int32)
        for row, passage in enumerate(version.passages):
            weights = weigh_passage(passage.embedded_text)
            numbers.extend(weights.indices)
            values.extend(weights.values)
            titled.append((passage.title, weights.indices))
            rows.extend([row] * len(weights.indices))
            self._title[row] = titles.setdefault(passage.title, len(titles))
            self._language[row] = languages.setdefault(passage.language, len(languages))
            self._days[row] = (
                day_number(passage.valid_from),
                day_number(passage.valid_until, _ALWAYS),
            )
        self._titles = titles
        self._languages = languages
        self._subjects = Subjects(titled)
        self._restricted = bool(
            len(languages) > 1 or self._days[:, 0].any() or (self._days[:, 1] != _ALWAYS).any()
        )
        self._keep_terms(np.asarray(numbers), np.asarray(rows), np.asarray(values))

        nothing = np.zeros(len(version.passages), dtype=np.float32)
        self._matched: tuple[Wanted | None, Scores, Scores, Scores] = (
            None,
            nothing,
            nothing,
            nothing,
        )

    def _keep_terms(
        self,
        numbers: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int64],
        values: npt.NDArray[np.float32],
    ) -> None:
        order = np.argsort(numbers, kind="stable")
        terms, starts = np.unique(numbers[order], return_index=True)
        self._places = dict(zip(terms.tolist(), range(len(terms)), strict=True))
        self._starts = np.append(starts, len(numbers)).astype(np.int64)
        self._term_rows = rows[order].astype(np.int32)
        self._term_values = values[order].astype(np.float32)

    def search(
        self, wanted: Wanted, meaning: npt.NDArray[np.float32] | None, limit: int
    ) -> list[Passage]:
        """The best passages, best first; see `store.PassageStore.find`."""
        if wanted != self._matched[0]:  # each is asked twice: at once by its words, then for good
            self._matched = (
                wanted,
                *self._match_words(wanted.question),
                self._match_subjects(wanted),
            )
        _, terms, share, subject = self._matched
        if meaning is None:
            near = np.zeros(len(self._passages), dtype=np.float32)
            fitting = share >= LEAST_SHARE
        else:
            parts = np.atleast_2d(meaning)
            # row by row on one thread: the same bytes on any number of cores, busy or not
            near = join_parts(np.stack([np.vecdot(self._vectors, part) for part in parts]))
            fitting = answering(near, subject, wanted.least)
        fitting &= self._allowed(wanted)
        total = np.where(fitting, relevance(near, terms, subject), -np.inf).astype(np.float32)
        rows = best_rows(total, limit * SPARE)
        return without_repeats((self._found(int(row), float(near[row])) for row in rows), limit)

    def _found(self, row: int, score: float) -> Passage:
        return replace(self._passages[row], score=round(score, 4))

    def _match_words(self, question: str) -> tuple[Scores, Scores]:
        """BM25 of every passage, and its share of the weight of the question's known words."""
        total = len(self._passages)
        scores = np.zeros(total, dtype=np.float32)
        covered = np.zeros(total, dtype=np.float32)
        weighed = 0.0
        for number in weigh_query(question).indices:
            place = self._places.get(number)
            if place is None:
                continue
            start, end = self._starts[place], self._starts[place + 1]
            holding = int(end - start)
            rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
            rows = self._term_rows[start:end]
            scores[rows] += self._term_values[start:end] * np.float32(rarity)
            covered[rows] += np.float32(rarity)
            weighed += rarity
        return scores, covered / np.float32(weighed) if weighed else covered

    def _match_subjects(self, wanted: Wanted) -> Scores:
        named = self._subjects.named_in((*wanted.context, wanted.question))
        sure = np.zeros(max(len(self._titles), 1), dtype=np.float32)
        for title, surety in named.items():
            sure[self._titles[title]] = surety
        found: Scores = sure[self._title]
        return found

    def _allowed(self, wanted: Wanted) -> npt.NDArray[np.bool_]:
        allowed = np.ones(len(self._passages), dtype=np.bool_)
        if self._restricted and wanted.day:
            day = day_number(wanted.day)
            allowed &= (self._days[:, 0] <= day) & (self._days[:, 1] >= day)
        if self._restricted and wanted.language:
            spoken = self._languages.get(wanted.language, 0)
            allowed &= (self._language == 0) | (self._language == spoken)
        return allowed
