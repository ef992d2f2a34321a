"""Two hundred questions about the sample documents, and the passages found for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from voice_agent.config import KnowledgeSettings, Settings
from voice_agent.knowledge.build import build_index
from voice_agent.knowledge.index import Knowledge, load_embedder
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import make_query

FILE = Path(__file__).with_name("questions.yaml")
DOCUMENTS = Path("configs/knowledge")
INDEX = Path("var/trust/knowledge")
Kind = Literal["answerable", "near_miss", "unanswerable"]
KINDS: tuple[Kind, ...] = ("answerable", "near_miss", "unanswerable")


@dataclass(frozen=True, slots=True)
class Question:
    """A question; ``says`` must all be in a right answer, each as one of several wordings."""

    kind: Kind
    ask: str
    says: tuple[tuple[str, ...], ...] = ()


def read_questions(path: Path = FILE) -> list[Question]:
    """The questions in the order of the file."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Question(
            kind,
            str(row["ask"]),
            tuple(tuple(str(each).split("|")) for each in row.get("says", ())),
        )
        for kind in KINDS
        for row in raw[kind]
    ]


def sample_knowledge(settings: Settings, folder: Path = INDEX) -> KnowledgeSettings:
    """The sample documents, whatever else is configured, in an index of their own."""
    return settings.knowledge.model_copy(
        update={
            "documents": DOCUMENTS,
            "sources": (),
            "questions": None,
            "index": folder,
            "server_url": None,
            "deadline_ms": 60_000,
        }
    )


def find_passages(settings: Settings, questions: list[Question]) -> dict[str, tuple[Passage, ...]]:
    """What a call would find for each question in the sample documents, by its words.

    Raises:
        KnowledgeError: they cannot be indexed.
    """
    sample = sample_knowledge(settings)
    embedder = load_embedder(sample, settings.models.folder)
    build_index(sample, embedder, lambda *_: None)
    knowledge = Knowledge.open(sample, settings.models.folder)

    async def find_all() -> dict[str, tuple[Passage, ...]]:
        return {
            each.ask: (await knowledge.search(make_query((), each.ask))).passages
            for each in questions
        }

    try:
        return asyncio.run(find_all())
    finally:
        knowledge.close()
