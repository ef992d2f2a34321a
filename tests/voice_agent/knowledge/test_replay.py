"""A recorded turn's passages are found again, byte for byte, however often the index is rebuilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildOptions, build_index
from voice_agent.knowledge.evidence import as_lines, evidence
from voice_agent.knowledge.index import Knowledge
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.replay import VersionFinder, replay
from voice_agent.knowledge.search import Retrieval
from voice_agent.knowledge.versions import VersionStore
from voice_agent.records.reading import turn, turns_since
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.schema import RecordsUnusable
from voice_agent.records.store import Records

PRODUCTS = ("sofa", "lamp", "chair", "bed", "desk", "shelf", "rug", "stool", "bench", "mirror")


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    (tmp_path / "documents").mkdir()
    settings = KnowledgeSettings(
        documents=tmp_path / "documents",
        index=tmp_path / "index",
        questions=None,
        minimum_score=0.05,
        deadline_ms=60_000,
    )
    rebuild(settings, 100)
    return settings


def rebuild(settings: KnowledgeSettings, price: int) -> str:
    for product in PRODUCTS:
        (settings.documents / f"{product}.md").write_text(
            f"# {product.title()}s\n\n## Price\n\nOur {product} costs ${price}.\n\n"
            f"## Delivery\n\nThe {product} is delivered within {price} days.\n"
        )
    options = BuildOptions(force=True, why="test")
    return build_index(settings, HashedEmbedder(), lambda *_: None, options=options).version


def record(path: Path, found: list[Retrieval]) -> None:
    records = Records.open(path)
    for number, retrieval in enumerate(found):
        kept = evidence(retrieval)
        records.record_turn(
            TurnRecord("c1", f"turn-{number:03}", number, 100.0 + number, retrieval=kept)
        )
    records.close()


async def search(settings: KnowledgeSettings, queries: list[Query]) -> list[Retrieval]:
    knowledge = Knowledge(settings, HashedEmbedder(), None)
    try:
        return [await knowledge.search(query, limit=4) for query in queries]
    finally:
        knowledge.close()


async def test_100_of_100_turns_are_identical_after_three_rebuilds(
    settings: KnowledgeSettings, tmp_path: Path
) -> None:
    asked = [
        Query(f"{words} the {product} {number}", (f"I have a {PRODUCTS[number]}",))
        for number, product in enumerate(PRODUCTS)
        for words in ("how much is", "what is the price of", "when do you deliver", "is", "and")
    ]
    found = await search(settings, asked)
    rebuild(settings, 200)
    found += await search(settings, asked)
    record(tmp_path / "records.sqlite", found)
    texts = [as_lines(retrieval.passages) for retrieval in found]
    assert (len(texts), len(set(texts)) > 20) == (100, True)
    for price in (300, 400, 500):
        rebuild(settings, price)
    finder = VersionFinder(settings, HashedEmbedder())
    replayed = [replay(each, finder) for each in turns_since(tmp_path / "records.sqlite", 0.0)]
    finder.close()
    assert [each.outcome for each in replayed] == ["identical"] * 100
    assert [as_lines(each.passages) for each in replayed] == texts


async def test_a_question_answered_from_its_own_words_is_found_again_by_them(
    settings: KnowledgeSettings,
) -> None:
    query = Query("tell me about sofa prices lamp price", shorter=("lamp price",))
    (retrieval,) = await search(settings, [query])
    assert retrieval.query == "lamp price"
    finder = VersionFinder(settings, HashedEmbedder())
    kept = json.loads(json.dumps(evidence(retrieval)))
    assert replay({"turn_id": "t", "retrieval": kept}, finder).outcome == "identical"
    finder.close()


async def test_other_passages_are_noticed(settings: KnowledgeSettings, tmp_path: Path) -> None:
    (retrieval,) = await search(settings, [Query("price of the sofa")])
    kept = json.loads(json.dumps(evidence(retrieval)))
    finder = VersionFinder(settings, HashedEmbedder())
    assert replay({"turn_id": "t", "retrieval": kept}, finder).outcome == "identical"
    other = {**kept, "query": "price of the lamp"}
    assert replay({"turn_id": "t", "retrieval": other}, finder).outcome == "different"
    finder.close()


async def test_a_version_that_is_not_kept_any_more_is_told(settings: KnowledgeSettings) -> None:
    (retrieval,) = await search(settings, [Query("price of the sofa")])
    rebuild(settings, 200)
    VersionStore(settings.index).remove(retrieval.version)
    finder = VersionFinder(settings, HashedEmbedder())
    found = replay({"turn_id": "t", "retrieval": evidence(retrieval)}, finder)
    assert (found.outcome, retrieval.version in found.reason) == ("not kept", True)


async def test_a_version_of_another_model_cannot_be_asked(settings: KnowledgeSettings) -> None:
    (retrieval,) = await search(settings, [Query("price of the sofa")])
    finder = VersionFinder(settings, HashedEmbedder("another"))
    found = replay({"turn_id": "t", "retrieval": evidence(retrieval)}, finder)
    assert (found.outcome, "another embedding model" in found.reason) == ("not kept", True)


async def test_a_late_turn_shows_what_it_would_have_found(settings: KnowledgeSettings) -> None:
    (retrieval,) = await search(settings, [Query("price of the sofa")])
    kept = evidence(retrieval) | {"late": True, "passages": []}
    finder = VersionFinder(settings, HashedEmbedder())
    found = replay({"turn_id": "t", "retrieval": kept}, finder)
    assert (found.outcome, found.passages) == ("late", retrieval.passages)
    finder.close()


@pytest.mark.parametrize("kept", [{}, None])
def test_a_turn_that_looked_nothing_up_has_nothing_to_repeat(
    settings: KnowledgeSettings, kept: dict[str, Any] | None
) -> None:
    found = replay({"turn_id": "t", "retrieval": kept}, VersionFinder(settings, HashedEmbedder()))
    assert found.outcome == "not recorded"


def test_a_turn_is_found_by_the_first_characters_of_its_id(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    with pytest.raises(RecordsUnusable, match="no records yet"):
        turn(path, "abc")
    records = Records.open(path)
    for name in ("abc", "abcd", "x_z"):
        records.record_turn(TurnRecord("c1", name, 1, 1.0))
    records.close()
    names = ("abc", "abcd", "x", "x%", "a")
    found = [(turn(path, name) or {}).get("turn_id") for name in names]
    assert found == ["abc", "abcd", "x_z", None, None]
