"""The embedded engine and a server find the same, under the same conditions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from qdrant_client import QdrantClient

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.knowledge.errors import IndexMissing, KnowledgeError
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.server_store import ServerStore
from voice_agent.knowledge.store import EmbeddedStore, PassageStore
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.wanted import Wanted

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def entry(
    passage_id: str,
    title: str,
    text: str,
    language: str = "",
    valid_from: str = "",
    valid_until: str = "",
    verified: bool = False,
) -> Passage:
    return Passage(
        passage_id,
        passage_id.partition("#")[0],
        title,
        "",
        text,
        f"{passage_id}.md",
        language=language,
        valid_from=valid_from,
        valid_until=valid_until,
        verified=verified,
        spoken="Yes, they may come." if verified else "",
    )


PASSAGES = (
    entry("heron#pets", "Blue Heron Inn", "Pets may stay in every room.", verified=True),
    entry("heron#pets-2", "Blue Heron Inn", "Pets may stay in every room!"),
    entry("grill#pets", "Kestrel Grill", "Pets may stay on the terrace."),
    entry("sale#old", "Spring sale", "Lamps cost half.", "en", "2026-03-01", "2026-03-31"),
    entry("sale#new", "Autumn sale", "Lamps cost a third less.", "en", "2026-09-01"),
    entry("lampen", "Lampen", "Lamps heissen Lampen.", "de"),
    entry("code", "Errors", "Enter 0742 when it asks for a code."),
)


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Iterator[PassageStore]:
    made: PassageStore = (
        EmbeddedStore() if request.param == "embedded" else ServerStore(QdrantClient(":memory:"))
    )
    vectors = HashedEmbedder().embed([passage.embedded_text for passage in PASSAGES])
    made.fill(Version("v1", "hashed", PASSAGES, vectors))
    yield made
    made.close()


def found(store: PassageStore, wanted: Wanted, limit: int = 3) -> list[str]:
    meaning = HashedEmbedder().embed([wanted.question])
    return [passage.passage_id for passage in store.find("v1", wanted, meaning, limit)]


def test_a_subject_named_before_decides_between_equal_answers(store: PassageStore) -> None:
    question = "may pets stay"
    assert found(store, Wanted(question, ("we booked the blue herron inn",)))[0] == "heron#pets"
    assert found(store, Wanted(question, ("a table at kestrel gril",)))[0] == "grill#pets"


def test_nearly_equal_passages_of_one_subject_come_once(store: PassageStore) -> None:
    pets = found(store, Wanted("pets may stay"), 7)
    assert "heron#pets" in pets
    assert "heron#pets-2" not in pets
    assert "grill#pets" in pets


@pytest.mark.parametrize(
    ("day", "there", "not_there"),
    [
        ("2026-03-31", "sale#old", "sale#new"),
        ("2026-04-01", "code", "sale#old"),
        ("2026-09-01", "sale#new", "sale#old"),
    ],
)
def test_passages_that_are_not_valid_that_day_are_left_out(
    store: PassageStore, day: str, there: str, not_there: str
) -> None:
    ids = found(store, Wanted("lamps cost code", day=day), 7)
    assert there in ids
    assert not_there not in ids


def test_another_language_is_left_out_and_an_unknown_one_is_not(store: PassageStore) -> None:
    ids = found(store, Wanted("lamps cost code", language="en"), 7)
    assert "lampen" not in ids
    assert {"sale#old", "code"} <= set(ids)
    assert "lampen" in found(store, Wanted("lamps", language="de"), 7)
    assert "lampen" not in found(store, Wanted("lamps", language="fr"), 7)


def test_a_spoken_code_finds_the_written_one(store: PassageStore) -> None:
    assert found(store, Wanted("it shows oh seven four two"))[0] == "code"


def test_a_verified_answer_keeps_its_flag_and_its_words(store: PassageStore) -> None:
    meaning = HashedEmbedder().embed(["pets stay in every room"])
    best = store.find("v1", Wanted("pets stay in every room"), meaning, 1)[0]
    assert (best.verified, best.spoken) == (True, "Yes, they may come.")
    assert 0 < best.score <= 1


def test_what_is_too_far_is_left_out(store: PassageStore) -> None:
    assert found(store, Wanted("helicopter rides", least=0.3)) == []


def test_several_parts_of_a_question_are_searched_together(store: PassageStore) -> None:
    parts = HashedEmbedder().embed(["enter the code", "lamps cost half"])
    best = store.find("v1", Wanted("enter the code. lamps cost half"), parts, 2)
    assert {passage.passage_id for passage in best} == {"code", "sale#old"}


def test_without_a_meaning_only_the_words_count(store: PassageStore) -> None:
    by_words = store.find("v1", Wanted("lamps cost a third"), None, 3)
    assert all(passage.score == 0.0 for passage in by_words)
    if isinstance(store, EmbeddedStore):
        assert by_words[0].passage_id == "sale#new"
        assert store.find("v1", Wanted("helicopter lamps over there"), None, 3)
        assert store.find("v1", Wanted("helicopter"), None, 3) == []


def test_the_version_that_was_promoted_answers(store: PassageStore) -> None:
    with pytest.raises(IndexMissing):
        store.current()
    store.promote("v1")
    assert store.current() == "v1"
    assert store.embedder_of("v1") == "hashed"


def test_a_version_that_is_not_there_is_an_error_of_ours(store: PassageStore) -> None:
    meaning = HashedEmbedder().embed(["lamps"])
    with pytest.raises(KnowledgeError):
        store.find("v2", Wanted("lamps"), meaning, 1)


def test_an_empty_version_finds_nothing(store: PassageStore) -> None:
    store.fill(Version("empty", "hashed", (), np.zeros((0, 384), dtype=np.float32)))
    assert store.find("empty", Wanted("lamps"), HashedEmbedder().embed(["lamps"]), 3) == []
