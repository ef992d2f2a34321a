"""Are questions that given passages do not answer declined, and are the others answered?

MT-RAG's turns with the passages they were asked with. Most unanswerable ones have no passage at
all; so each answerable question is also asked with the passages of another one of its collection,
which do not answer it, and both figures are told.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.trust.part import Part, Tell, confusion, share
from evals.trust.run import NoMaterial
from voice_agent.answering.grounded_answer import GroundedAnswer
from voice_agent.config import Settings
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import make_query
from voice_agent.safety.evidence import evidence_of
from voice_agent.safety.semantic import Nearness

FILE = Path("grounding/mtrag_un.jsonl")
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with what was said before it, and the passages it is answered from."""

    kind: str
    collection: str
    question: str
    history: tuple[tuple[str, str], ...]
    passages: tuple[Passage, ...]


def run(data: Path, settings: Settings, tell: Tell) -> Part:
    """Measure what the agent says at once: the passages' own words, or that it does not know.

    Raises:
        NoMaterial: the file is not in the folder.
    """
    turns = read_turns(data / FILE)
    meanings = Nearness(load_embedder(settings.knowledge, settings.models.folder))
    try:
        answered = asyncio.run(_answered(turns, [turn.passages for turn in turns], meanings, tell))
        answerable = [turn for turn in turns if turn.kind == "answerable"]
        others = _of_others(answerable)
        wrongly = asyncio.run(_answered(answerable, others, meanings, tell))
    finally:
        meanings.close()
    part = Part("unanswerable")
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for turn, said in zip(turns, answered, strict=True):
        by_kind[turn.kind].append(said)
    unanswerable = by_kind["unanswerable"]
    part.figures["unanswerable_declined"] = 1 - share(sum(unanswerable), len(unanswerable))
    part.figures["answerable_answered_given_passages"] = share(
        sum(by_kind["answerable"]), len(by_kind["answerable"])
    )
    part.figures["declined_with_passages_of_another"] = 1 - share(sum(wrongly), len(wrongly))
    pairs = [
        (turn.kind, "answered" if said else "declined")
        for turn, said in zip(turns, answered, strict=True)
    ]
    pairs += [("another's passages", "answered" if said else "declined") for said in wrongly]
    kinds = ("answerable", "partial", "underspecified", "unanswerable", "another's passages")
    part.tables.append(confusion("Turns", pairs, (*kinds, "answered", "declined")))
    empty = sum(not turn.passages for turn in turns if turn.kind == "unanswerable")
    part.notes.append(f"{empty} of {len(unanswerable)} unanswerable turns have no passage at all.")
    return part


def read_turns(path: Path) -> list[Turn]:
    """The turns of the file.

    Raises:
        NoMaterial: it is not there.
    """
    if not path.is_file():
        raise NoMaterial(f"{path}: there is no such file")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_turn(json.loads(line)) for line in lines if line.strip()]


def _turn(row: dict[str, Any]) -> Turn:
    said = row["input"]
    return Turn(
        kind=str(row["answerability"][0]).lower(),
        collection=str(row.get("Collection", "")),
        question=str(said[-1]["text"]),
        history=tuple(
            (str(said[at]["text"]), str(said[at + 1]["text"])) for at in range(0, len(said) - 1, 2)
        ),
        passages=tuple(
            Passage(
                passage_id=f"{context['document_id']}#{number}",
                document_id=str(context["document_id"]),
                title="",
                heading="",
                text=str(context["text"]),
                source="",
            )
            for number, context in enumerate(row["contexts"])
        ),
    )


def _of_others(turns: Sequence[Turn]) -> list[tuple[Passage, ...]]:
    """For each turn the passages of the next one of its collection that has none of its own."""
    given = []
    for at, turn in enumerate(turns):
        own = {passage.document_id for passage in turn.passages}
        later = [*turns[at + 1 :], *turns[:at]]
        other = next(
            each
            for each in (*(t for t in later if t.collection == turn.collection), *later)
            if not own & {passage.document_id for passage in each.passages}
        )
        given.append(other.passages)
    return given


async def _answered(
    turns: Sequence[Turn], given: Sequence[tuple[Passage, ...]], meanings: Nearness, tell: Tell
) -> list[bool]:
    said = []
    for number, (turn, passages) in enumerate(zip(turns, given, strict=True), start=1):
        await meanings.prepare(evidence_of(passages, ""))
        query = make_query(turn.history, turn.question)
        answer = await GroundedAnswer.prepare(
            turn.question, passages, asked=query.text, meanings=meanings, patience_s=PATIENCE_S
        )
        said.append(answer.quote is not None)
        if number % 50 == 0:
            tell(f"{number} of {len(turns)} turns")
    return said
