"""The embedded engine: every passage of a version compared, exactly, in a few milliseconds.

Vectors stay in their memory-mapped file and are read by one matrix product; words are found in an
inverted index (BM25, see `terms`) and subjects by name (see `subjects`). Nothing is approximate, so
the same version and query give the same passages in every process and after every rebuild, and any
number of processes may read one version.

Measured on two cores at 50,000 passages: 12 to 16 ms a search, embedding included (``python -m
evals.latency.retrieval``). The time grows with the passages, so larger collections belong on a
Qdrant server. Why not Qdrant in this process: its local mode compares words in Python, about 60 us
a passage, and is too slow from 1,000 passages on; qdrant-edge answers in 2 to 6 ms (20 with
filters), but takes 70 s to fill, lets one process at a time open a folder, and its graph need not
come out the same twice.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.cosines import cosines
from voice_agent.knowledge.long_questions import rank_documents
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import texts_of_parts
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
from voice_agent.knowledge.terms import weigh_query
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.wanted import ALWAYS, Wanted, day_number


class Rows:
    """A version's passages, ready to be compared. Searching is safe from one thread at a time."""

    def __init__(self, version: Version) -> None:
        self._passages = version.passages
        self._vectors = version.vectors
        self._prepared = prepared = version.prepare()
        self._title_places = {title: place for place, title in enumerate(prepared.titles)}
        self._subjects = Subjects(prepared.titles, prepared.own_shares)
        self._restricted = bool(
            len(prepared.languages) > 1
            or prepared.days[:, 0].any()
            or (prepared.days[:, 1] != ALWAYS).any()
        )
        nothing = np.zeros(len(version.passages), dtype=np.float32)
        self._matched: tuple[Wanted | None, Scores, Scores, Scores] = (
            None,
            nothing,
            nothing,
            nothing,
        )

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
        allowed = self._allowed(wanted)
        if meaning is None:
            near = np.zeros(len(self._passages), dtype=np.float32)
            fitting = allowed & (share >= LEAST_SHARE)
            scored = relevance(near, terms, subject)
        else:
            parts = np.stack([cosines(self._vectors, part) for part in np.atleast_2d(meaning)])
            near = join_parts(parts)
            fitting = allowed & answering(parts.max(axis=0), subject, wanted.least)
            if len(parts) == 1:
                scored = relevance(near, terms, subject)
            else:
                parts[:, ~allowed] = -1
                texts = texts_of_parts(wanted.question, len(parts))
                words = np.stack([self._match_words(text)[0] for text in texts])
                scored = rank_documents(parts, words, self._vectors, self._prepared.document)
        total = np.where(fitting, scored, -np.inf).astype(np.float32)
        rows = best_rows(total, limit * SPARE)
        return without_repeats((self._found(int(row), float(near[row])) for row in rows), limit)

    def _found(self, row: int, score: float) -> Passage:
        return replace(self._passages[row], score=round(score, 4))

    def _match_words(self, question: str) -> tuple[Scores, Scores]:
        """BM25 of every passage, and its share of the weight of the question's known words."""
        prepared, total = self._prepared, len(self._passages)
        scores = np.zeros(total, dtype=np.float32)
        covered = np.zeros(total, dtype=np.float32)
        weighed = 0.0
        for number in weigh_query(question).indices:
            start, end = prepared.rows_with(number)
            holding = end - start
            if not holding:
                continue
            rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
            rows = prepared.term_rows[start:end]
            scores[rows] += prepared.term_values[start:end] * np.float32(rarity)
            covered[rows] += np.float32(rarity)
            weighed += rarity
        return scores, covered / np.float32(weighed) if weighed else covered

    def _match_subjects(self, wanted: Wanted) -> Scores:
        named = self._subjects.named_in((*wanted.context, wanted.question))
        sure = np.zeros(max(len(self._title_places), 1), dtype=np.float32)
        for title, surety in named.items():
            sure[self._title_places[title]] = surety
        found: Scores = sure[self._prepared.title]
        return found

    def _allowed(self, wanted: Wanted) -> npt.NDArray[np.bool_]:
        allowed = np.ones(len(self._passages), dtype=np.bool_)
        if self._restricted and wanted.day:
            day = day_number(wanted.day)
            days = self._prepared.days
            allowed &= (days[:, 0] <= day) & (days[:, 1] >= day)
        if self._restricted and wanted.language:
            listed, language = self._prepared.languages, self._prepared.language
            spoken = listed.index(wanted.language) if wanted.language in listed else 0
            allowed &= (language == 0) | (language == spoken)
        return allowed
