"""The sample questions find their documents with the real embedding model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import build_index
from voice_agent.knowledge.index import Knowledge, load_embedder
from voice_agent.knowledge.query import make_query

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "var" / "models"
Turn = tuple[list[tuple[str, str]], str, dict[str, Any]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeSettings:
    index = tmp_path_factory.mktemp("index")
    settings = KnowledgeSettings(
        documents=ROOT / "configs" / "knowledge", index=index, deadline_ms=60_000
    )
    build_index(settings, load_embedder(settings, MODELS), lambda *_: None)
    return settings


@pytest.fixture
async def knowledge(settings: KnowledgeSettings) -> AsyncIterator[Knowledge]:
    knowledge = Knowledge.open(settings, MODELS)
    yield knowledge
    knowledge.close()


def asked() -> list[dict[str, Any]]:
    path = ROOT / "configs" / "knowledge_questions.yaml"
    questions: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return questions


def as_recognised(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s']", " ", text.lower()).split())


def first_turns() -> list[Turn]:
    return [([], entry["question"], entry) for entry in asked()]


def follow_ups() -> list[Turn]:
    return [
        ([(entry["question"], "")], entry["follow_up"]["question"], entry["follow_up"])
        for entry in asked()
        if "follow_up" in entry
    ]


def new_subjects() -> list[Turn]:
    entries = asked()
    return [
        ([(before["question"], "")], entry["question"], entry)
        for before, entry in zip(entries, entries[5:] + entries[:5], strict=True)
    ]


@pytest.mark.parametrize("spelling", [str, as_recognised])
@pytest.mark.parametrize(
    ("turns", "at_1", "at_3"),
    [(first_turns(), 0.85, 0.98), (follow_ups(), 0.85, 0.92), (new_subjects(), 0.83, 0.97)],
    ids=["first turn", "follow-up", "new subject"],
)
async def test_questions_find_their_documents(
    knowledge: Knowledge, turns: list[Turn], at_1: float, at_3: float, spelling: Any
) -> None:
    first = among_three = 0
    for history, question, entry in turns:
        query = make_query(
            [(spelling(caller), agent) for caller, agent in history], spelling(question)
        )
        found = [passage.document_id for passage in (await knowledge.search(query, 3)).passages]
        first += found[:1] == [entry["document"]]
        among_three += entry["document"] in found
    assert first / len(turns) >= at_1
    assert among_three / len(turns) >= at_3


@pytest.mark.parametrize(
    ("before", "question", "passage"),
    [
        (
            ["When are you open on Sundays?"],
            "How much does delivery cost?",
            "delivery-parcels#standard-delivery-price-and-time",
        ),
        (
            ["When are you open on Sundays?", "How much does delivery cost?"],
            "And how long does it take?",
            "delivery-parcels#standard-delivery-price-and-time",
        ),
        (
            ["How much does delivery cost?"],
            "What about Hawaii?",
            "delivery-areas#alaska-and-hawaii",
        ),
        (
            ["How long do you keep my order if I pick it up in the store?"],
            "What do I need to bring?",
            "store-pickup#what-to-bring-for-pickup",
        ),
    ],
)
async def test_a_call_that_goes_on_to_something_else_finds_that(
    knowledge: Knowledge, before: list[str], question: str, passage: str
) -> None:
    found = await knowledge.search(make_query([(said, "") for said in before], question))
    assert found.passages[0].passage_id == passage


async def test_callers_own_words_find_the_documents_too(knowledge: Knowledge) -> None:
    paraphrases = yaml.safe_load((Path(__file__).parent / "paraphrases.yaml").read_text())
    first = among_three = 0
    for question, document in paraphrases:
        found = [passage.document_id for passage in (await knowledge.search(question, 3)).passages]
        first += found[:1] == [document]
        among_three += document in found
    assert first / len(paraphrases) >= 0.7
    assert among_three / len(paraphrases) >= 0.9


@pytest.mark.parametrize(
    "query",
    ["", "🎉🎉", "qwxz zzxy " * 20, "what is the weather tomorrow", "who won the election"],
)
async def test_what_the_documents_do_not_answer_finds_nothing(
    knowledge: Knowledge, query: str
) -> None:
    assert (await knowledge.search(query)).passages == ()


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("E23", "washing-machine-help"),
        ("it says e 24", "dishwasher-help"),
        ("frostline 500", "refrigerator-help"),
        ("welcome10", "promo-codes"),
    ],
)
async def test_codes_and_product_names_find_their_document(
    knowledge: Knowledge, query: str, document: str
) -> None:
    assert (await knowledge.search(query)).passages[0].document_id == document
