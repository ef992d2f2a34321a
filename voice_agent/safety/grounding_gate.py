"""The gate that every generated sentence of one reply passes before it is synthesised."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from voice_agent.errors import as_logged
from voice_agent.safety.claims import SENTENCE_ENDS
from voice_agent.safety.evidence import Evidence, Statement
from voice_agent.safety.grounding import Judgement, Verdict, judge

log = structlog.get_logger(__name__)

PATIENCE_S = 0.012
"""What the comparison of meanings may add to the first sound; after that, words alone decide."""
NEIGHBOURS = 2
"""Statements on either side of the best one that a judging model is shown with it."""


class Meanings(Protocol):
    """Cosine similarities (see ``safety.semantic.Nearness``)."""

    async def prepare(self, evidence: Evidence) -> None:
        """Embed the statements beforehand."""

    async def measure(self, sentence: str, evidence: Evidence) -> tuple[float, ...]:
        """The similarity of a sentence to each statement."""


class Judge(Protocol):
    """A model that says what follows (see ``safety.semantic.ModelJudge``)."""

    async def follows(self, sentence: str, statements: Sequence[Statement]) -> bool | None:
        """Whether a sentence follows from statements; ``None``: not known."""


async def measured_in_time(
    meanings: Meanings | None, text: str, evidence: Evidence, patience_s: float
) -> tuple[float, ...] | None:
    """The similarity of a text to each statement; ``None`` when it takes too long."""
    if meanings is None or not evidence.statements:
        return None
    measuring = asyncio.ensure_future(meanings.measure(text, evidence))
    done, _ = await asyncio.wait({measuring}, timeout=patience_s)
    if not done:
        measuring.add_done_callback(_log_failure)
        return None
    _log_failure(measuring)
    return None if measuring.exception() else measuring.result()


def _log_failure(measuring: asyncio.Future[tuple[float, ...]]) -> None:
    error = None if measuring.cancelled() else measuring.exception()
    if isinstance(error, Exception):  # without a measure, words alone decide
        log.warning("sentence_not_measured", **as_logged(error))


class GroundingGate:
    """Judges the clauses of one reply in their order."""

    def __init__(
        self,
        evidence: Evidence,
        question: str,
        meanings: Meanings | None = None,
        model: Judge | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._evidence = evidence
        self._question = question
        self._meanings = meanings
        self._model = model
        self._begun = ""
        """What has been spoken of a sentence that is not over."""
        self._spoken = False

    async def check(self, clause: str) -> Judgement:
        """Whether the next clause may be spoken; it is judged with its sentence's beginning."""
        sentence = f"{self._begun} {clause}".strip()
        whole = bool(SENTENCE_ENDS.search(clause))
        found = judge(
            sentence,
            self._evidence,
            self._question,
            first=not self._spoken,
            whole=whole,
            nearness=await measured_in_time(
                self._meanings, sentence, self._evidence, self._patience_s
            ),
        )
        if found.supported and found.reason == "follows" and whole and self._model is not None:
            found = await self._ask_model(sentence, found, self._model)
        if found.supported:
            self._spoken = True
            self._begun = "" if whole else sentence
        return found

    async def _ask_model(self, sentence: str, found: Judgement, model: Judge) -> Judgement:
        """A model may only take back what the rules let through."""
        said = self._evidence.statements
        at = next((n for n, each in enumerate(said) if each is found.statement), 0)
        around = said[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]
        if await model.follows(sentence, around) is False:
            return Judgement(Verdict.REPAIR, "model_denies", found.statement, found.support)
        return found
