"""The router's engine: the road for a request, from rules, then from the roads' examples.

Shared by all calls of a process; embedding takes a few milliseconds in a thread of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from voice_agent.answering.calibration import Calibration, Floats, read_calibration
from voice_agent.answering.request_form import form_of
from voice_agent.answering.road_examples import ROADS, Roads, read_roads, words_pattern
from voice_agent.answering.road_scores import RoadScores, texts_of
from voice_agent.answering.roads import choose_road, settle
from voice_agent.answering.spoken_of import SpokenOf
from voice_agent.config import RoadSettings
from voice_agent.errors import as_logged
from voice_agent.knowledge.query import make_query, stands_alone
from voice_agent.knowledge.remembered import TextEmbedder
from voice_agent.reply import Road, RoadChoice

log = structlog.get_logger(__name__)

MAX_CHARACTERS = 1_000
"""Of a request: the embedder sees 256 tokens, and the last words say what is wanted."""
MAX_WAITING = 16
"""Requests; one more is answered by rules at once instead of making all late."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a road is chosen for.

    ``history`` are earlier turns as (caller, agent heard), oldest first; ``clarified``: the agent's
    last words were a question about what the caller means.
    """

    question: str
    history: tuple[tuple[str, str], ...] = ()
    last_heard: str = ""
    clarified: bool = False


class RoadChooser:
    """Chooses roads. Made by :meth:`open`."""

    def __init__(
        self,
        settings: RoadSettings,
        roads: Roads,
        calibration: Calibration,
        embedder: TextEmbedder,
        index: Path | None = None,
    ) -> None:
        """Embeds the examples: about 3 ms each. ``index``: the folder of the built index."""
        self._settings = settings
        self._embedder = embedder
        self._calibration = calibration
        self._groups = roads.groups()
        self._always = [
            (number, pattern)
            for number, (_, group) in enumerate(self._groups)
            if (pattern := words_pattern(group.words))
        ]
        self._word_for_word = {
            _plain(text): number
            for number, (_, group) in enumerate(self._groups)
            for text in group.asked
        }
        self._scores = RoadScores(roads, embedder.embed(texts_of(roads)))
        self._spoken_of = SpokenOf(in_scope(roads), index, embedder.identity)
        self._spoken_of.refresh()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="roads")
        self._waiting = 0
        self.sentences = roads.sentences()
        """What may be said as it is written; worth keeping as sound."""
        self.examples = digest_of(roads)

    @classmethod
    def open(
        cls, settings: RoadSettings, embedder: TextEmbedder, index: Path | None = None
    ) -> RoadChooser:
        """Read examples and calibration (blocking, a second or two).

        Raises:
            ConfigError: one line that says what is wrong with a file.
        """
        roads = read_roads(settings.examples)
        calibration = read_calibration(settings.calibration)
        chooser = cls(settings, roads, calibration, embedder, index)
        if (calibration.examples, calibration.embedder) != (chooser.examples, embedder.identity):
            log.warning("roads_calibrated_with_others", calibration=str(settings.calibration))
        return chooser

    async def choose(self, asked: Asked) -> RoadChoice:
        """The road for a request; never raises, and never takes longer than the deadline.

        Late, or without an embedding, it is the rules' road, that of an example said word for word,
        or an answer from the documents, which is checked on its way.
        """
        began = time.perf_counter()
        if ruled := self.ruled(asked):
            return ruled
        if self._waiting >= MAX_WAITING:
            log.warning("road_refused", waiting=self._waiting)
            return self._without_embedding(asked)
        self._waiting += 1
        work = self._executor.submit(self.compared, asked)
        comparing: asyncio.Future[RoadChoice] = asyncio.wrap_future(work)
        comparing.add_done_callback(self._one_less)
        try:
            async with asyncio.timeout(self._settings.deadline_ms / 1000):
                choice = await asyncio.shield(comparing)
        except TimeoutError:
            log.warning("road_late", waiting=self._waiting)
            choice = self._without_embedding(asked)
        except Exception as error:  # the engine raises bare exceptions; a call goes on without it
            log.error("road_failed", **as_logged(error))
            choice = self._without_embedding(asked)
        finally:
            work.cancel()  # nobody waits for it any more; has no effect once it has begun
        return replace(choice, took_ms=round((time.perf_counter() - began) * 1000, 2))

    def _without_embedding(self, asked: Asked) -> RoadChoice:
        number = self._word_for_word.get(_plain(asked.question))
        if number is None:
            return RoadChoice(Road.ANSWER, 0.0, because="late")
        road, group = self._groups[number]
        return RoadChoice(road, 0.0, name=group.name, says=group.says, because="late")

    def _one_less(self, comparing: asyncio.Future[RoadChoice]) -> None:
        self._waiting -= 1
        if not comparing.cancelled():
            comparing.exception()  # taken here, because nobody waits for a late one any more

    def ruled(self, asked: Asked) -> RoadChoice | None:
        """The road that words alone decide, if they do."""
        for number, pattern in self._always:
            if pattern.search(asked.question):
                road, group = self._groups[number]
                return RoadChoice(road, name=group.name, says=group.says, because="words")
        road = choose_road(asked.question, asked.last_heard)
        return None if road is Road.ANSWER else RoadChoice(road)

    def compared(self, asked: Asked) -> RoadChoice:
        """The road by the examples (blocking: one embedding, two when earlier turns count)."""
        texts = _ways_to_read(asked.question, asked.history)
        vectors = self._embedder.embed(texts)
        form = form_of(asked.question)  # what is said now is what is wanted
        scores = self._scores.scores(vectors, [form] * len(texts))
        probabilities = self._calibration.probabilities(scores, self._strange(texts))
        probabilities = self._within_documents(probabilities, vectors)
        row = _surest(probabilities)
        settled = settle(
            {road: float(p) for road, p in zip(ROADS, probabilities[row], strict=True)},
            self._settings,
            clarified=asked.clarified,
        )
        if settled.because == "doubt":
            return settled
        number = self._scores.nearest_group(vectors[row], settled.road)
        if number is None:
            return settled
        group = self._groups[number][1]
        return replace(settled, name=group.name, says=group.says)

    def scored(self, requests: Sequence[str]) -> tuple[Floats, Floats]:
        """Scores of requests that stand alone, a row each, and how many strange words they have;
        for calibrating."""
        vectors = self._embedder.embed(list(requests))
        scores = self._scores.scores(vectors, [form_of(request) for request in requests])
        return scores, self._strange(requests)

    def likelihoods(self, question: str) -> Mapping[Road, float]:
        """The probability of each road for a request that stands alone."""
        probabilities = self._calibration.probabilities(*self.scored([question]))
        (row,) = self._within_documents(probabilities, self._embedder.embed([question]))
        return {road: float(p) for road, p in zip(ROADS, row, strict=True)}

    def _within_documents(self, probabilities: Floats, vectors: Floats) -> Floats:
        """Probabilities, given that what the documents speak of is not out of scope."""
        near = self._spoken_of.nearness(vectors) >= self._settings.spoken_of
        within = probabilities.copy()
        within[near, ROADS.index(Road.OUT_OF_SCOPE)] = 0.0
        return np.asarray(within / within.sum(axis=1, keepdims=True))

    def follow(self) -> None:
        """Take the documents that answer now (blocking; cheap when none changed)."""
        self._spoken_of.refresh()

    def _strange(self, texts: Sequence[str]) -> Floats:
        return np.array([self._spoken_of.strange(text) for text in texts], dtype=float)

    def close(self) -> None:
        """Stop the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _plain(text: str) -> str:
    """A text without case and punctuation, "where's" as "where is"."""
    said = text.casefold().replace("’", "'").replace("'s", " is").replace("'m", " am")
    return " ".join(re.findall(r"[\w']+", said))


def _ways_to_read(question: str, history: Sequence[tuple[str, str]]) -> list[str]:
    """The request alone and, when it refers back, with the turns it refers to."""
    alone = " ".join(question.split())[-MAX_CHARACTERS:]
    if not history or stands_alone(alone):
        return [alone]
    together = make_query(history, alone).text
    return [alone] if together == alone else [alone, together]


def _surest(probabilities: Floats) -> int:
    """The reading whose likeliest road is the surest; alone, many requests only seem unclear."""
    if len(probabilities) == 1:
        return 0
    unclear = ROADS.index(Road.CLARIFY)
    if int(np.argmax(probabilities[0])) == unclear:
        return 1
    return int(np.argmax(probabilities.max(axis=1)))


def in_scope(roads: Roads) -> list[str]:
    """The examples of what this agent is for."""
    groups = roads.groups()
    return [text for road, g in groups if road is not Road.OUT_OF_SCOPE for text in g.asked]


def digest_of(roads: Roads) -> str:
    """What identifies examples: 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(texts_of(roads)).encode()).hexdigest()[:16]
