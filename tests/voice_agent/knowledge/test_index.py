from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import build_index
from voice_agent.knowledge.errors import (
    EmbedderUnusable,
    IndexMissing,
    IndexUnreachable,
    IndexUnusable,
)
from voice_agent.knowledge.index import MAX_WAITING, Knowledge
from voice_agent.knowledge.query import Query, make_query
from voice_agent.knowledge.search import Retrieval, clean_query
from voice_agent.knowledge.server_store import ServerStore
from voice_agent.knowledge.store import PassageStore

PATIENT_MS = 60_000


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name, text in {
        "sofas": "The Alder sofa costs $899 and seats three.",
        "lamps": "A lamp costs $39 and needs a bulb.",
        "codes": "Error E18 means that water does not drain.",
    }.items():
        (documents / f"{name}.md").write_text(f"# {name.title()}\n\n## About\n\n{text}\n")
    settings = KnowledgeSettings(
        documents=documents, index=tmp_path / "index", deadline_ms=PATIENT_MS, minimum_score=0.2
    )
    rebuild(settings)
    return settings


def rebuild(settings: KnowledgeSettings, server: PassageStore | None = None) -> str:
    return build_index(settings, HashedEmbedder(), lambda *_: None, server).version


@pytest.fixture
async def knowledge(settings: KnowledgeSettings) -> AsyncIterator[Knowledge]:
    knowledge = Knowledge(settings, HashedEmbedder(), None)
    yield knowledge
    knowledge.close()


async def test_the_best_passage_comes_first_with_its_source(knowledge: Knowledge) -> None:
    found = await knowledge.search("How much is the Alder sofa?")
    best = found.passages[0]
    assert (best.document_id, best.title, best.heading) == ("sofas", "Sofas", "About")
    assert (best.source, best.passage_id) == ("sofas.md", "sofas#about")
    assert best.text.startswith("The Alder sofa")
    assert 0.2 < best.score <= 1.0
    assert (found.version, found.late) == (knowledge.version, False)
    assert found.took_ms > 0


async def test_a_question_that_names_its_subject_is_answered_from_its_own_words(
    knowledge: Knowledge,
) -> None:
    question = "How much does a lamp cost?"
    query = make_query([("Error E18, why does the water not drain?", "")], question)
    found = await knowledge.search(query)
    assert query.text != question
    assert (found.passages[0].document_id, found.query) == ("lamps", question)


async def test_one_that_finds_little_alone_is_answered_with_the_question_before_it(
    knowledge: Knowledge,
) -> None:
    query = make_query([("Tell me about the Alder sofa.", "")], "Do you have seats?")
    found = await knowledge.search(query)
    assert query.shorter
    assert (found.passages[0].document_id, found.query) == ("sofas", query.text)


async def test_a_code_is_found_by_its_term(knowledge: Knowledge) -> None:
    found = await knowledge.search("it says e 18")
    assert found.passages[0].document_id == "codes"


async def test_no_more_than_asked_for_and_none_that_is_far(knowledge: Knowledge) -> None:
    assert len((await knowledge.search("sofa lamp costs", limit=1)).passages) == 1
    assert (await knowledge.search("helicopter rides")).passages == ()


@pytest.mark.parametrize("query", ["", "   ", "🎉🎉", "?!…", "\x00\x07"])
async def test_a_query_without_words_finds_nothing_and_harms_nothing(
    knowledge: Knowledge, query: str
) -> None:
    found = await knowledge.search(query)
    assert (found.passages, found.late) == ((), False)


@pytest.mark.parametrize(
    "query", ["qwxz " * 40, "sofa\ud800", "s" * 100_000, "日本語の質問", "a'b\"c;--"]
)
async def test_nonsense_is_a_valid_query(knowledge: Knowledge, query: str) -> None:
    assert not (await knowledge.search(query)).late


def test_a_query_is_cleaned_and_keeps_its_end() -> None:
    assert clean_query(" a\n\tb\x00c  ") == "a b c"
    assert clean_query("x " * 9000 + "end").endswith("x end")
    assert len(clean_query("x " * 9000)) <= 6000


class Gate:
    """Holds the embedder until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        self.shut = False

    def __call__(self) -> None:
        if self.shut:
            self.reached.set()
            self._open.wait()

    def open(self) -> None:
        self._open.set()


@pytest.fixture
async def gated(
    settings: KnowledgeSettings,
) -> AsyncIterator[Callable[[int], tuple[Knowledge, Gate]]]:
    made: list[tuple[Knowledge, Gate]] = []

    def make(deadline_ms: int) -> tuple[Knowledge, Gate]:
        gate = Gate()
        impatient = settings.model_copy(update={"deadline_ms": deadline_ms})
        made.append((Knowledge(impatient, HashedEmbedder(before_embed=gate), None), gate))
        return made[-1]

    yield make
    for knowledge, gate in made:
        gate.open()
        knowledge.close()


async def test_a_late_search_says_so_and_the_next_one_works(
    gated: Callable[[int], tuple[Knowledge, Gate]],
) -> None:
    knowledge, gate = gated(5)
    gate.shut = True
    gate.reached.clear()
    found = await knowledge.search("helicopter")
    assert (found.passages, found.late, found.version) == ((), True, knowledge.version)
    gate.shut = False
    gate.open()
    knowledge._settings = knowledge._settings.model_copy(update={"deadline_ms": PATIENT_MS})
    assert (await knowledge.search("sofa")).passages


async def test_a_late_search_gives_what_the_words_have_found(
    gated: Callable[[int], tuple[Knowledge, Gate]],
) -> None:
    knowledge, gate = gated(200)
    gate.shut = True
    found = await knowledge.search("a lamp's bulb")
    assert found.late
    assert [(p.document_id, p.score) for p in found.passages] == [("lamps", 0.0)]


async def test_a_retrieval_keeps_all_its_conditions(knowledge: Knowledge) -> None:
    query = Query("how much is it", ("the Alder sofa", "It is a fine one."))
    found = await knowledge.search(query, 2, day="2026-03-01", language="en")
    assert (found.query, found.context) == (query.text, query.context)
    assert (found.day, found.language, found.limit) == ("2026-03-01", "en", 2)
    assert found.minimum_score == 0.2


async def test_one_search_too_many_is_late_at_once(
    gated: Callable[[int], tuple[Knowledge, Gate]],
) -> None:
    knowledge, gate = gated(PATIENT_MS)
    gate.shut = True
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(knowledge.search("sofa")) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        assert (await knowledge.search("sofa")).late
        gate.open()
    assert all(task.result().passages for task in waiting)
    assert (await knowledge.search("sofa")).passages


async def test_a_caller_who_hangs_up_cancels_the_search(
    gated: Callable[[int], tuple[Knowledge, Gate]],
) -> None:
    knowledge, gate = gated(PATIENT_MS)
    gate.shut = True
    task = asyncio.create_task(knowledge.search("sofa"))
    await asyncio.to_thread(gate.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    assert (await knowledge.search("lamp")).passages[0].document_id == "lamps"


async def test_a_broken_embedder_is_an_error_of_ours(settings: KnowledgeSettings) -> None:
    def die() -> None:
        raise RuntimeError("engine gone")

    knowledge = Knowledge(settings, HashedEmbedder(before_embed=die), None)
    with pytest.raises(EmbedderUnusable, match="engine gone"):
        await knowledge.search("sofa")
    knowledge.close()


async def test_a_new_version_is_served_from_the_next_search_on(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    assert not await knowledge.reload_if_changed()
    (settings.documents / "sofas.md").write_text("# Sofas\n\nThe Alder sofa costs $799.\n")
    version = rebuild(settings)
    assert await knowledge.reload_if_changed()
    assert not await knowledge.reload_if_changed()
    found = await knowledge.search("Alder sofa")
    assert (found.version, knowledge.version) == (version, version)
    assert "$799" in found.passages[0].text


async def test_a_call_may_go_on_with_the_version_it_began_with(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    first, call = knowledge.version, knowledge.for_call()
    for price in (799, 949):
        text = f"# Sofas\n\nThe Alder sofa costs ${price}.\n"
        (settings.documents / "sofas.md").write_text(text)
        rebuild(settings)
        assert await knowledge.reload_if_changed()
    pinned, newest = await call.search("Alder sofa"), await knowledge.search("Alder sofa")
    assert (pinned.version, newest.version) == (first, knowledge.version)
    assert "$949" not in pinned.passages[0].text
    assert "$949" in newest.passages[0].text
    assert (await knowledge.for_call().search("Alder sofa")).version == knowledge.version


async def test_a_version_is_freed_when_the_last_call_that_began_with_it_is_over(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    first, calls = knowledge.version, [knowledge.for_call(), knowledge.for_call()]
    (settings.documents / "sofas.md").write_text("# Sofas\n\nThe Alder sofa costs $799.\n")
    rebuild(settings)
    await knowledge.reload_if_changed()
    calls.pop()
    assert (await calls[0].search("Alder sofa")).version == first
    calls.pop()
    assert (await knowledge.search("Alder sofa", version=first)).version == knowledge.version


async def test_searches_and_reloads_at_once_never_fail(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    async def search_after(reload: Awaitable[bool]) -> Retrieval:
        await reload
        return await knowledge.search("Alder sofa")

    for price in range(5):
        (settings.documents / "sofas.md").write_text(f"# Sofas\n\nThe Alder sofa costs ${price}.\n")
        rebuild(settings)
        results = await asyncio.gather(
            *(knowledge.search("Alder sofa") for _ in range(5)),
            *(search_after(knowledge.reload_if_changed()) for _ in range(2)),
        )
        assert all(found.passages for found in results)


async def test_a_damaged_new_version_leaves_the_old_one_answering(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    old = knowledge.version
    (settings.documents / "sofas.md").write_text("# Sofas\n\nNone.\n")
    version = rebuild(settings)
    (settings.index / "versions" / version / "vectors.npy").write_bytes(b"")
    assert not await knowledge.reload_if_changed()
    assert not await knowledge.reload_if_changed()
    found = await knowledge.search("Alder sofa")
    assert (found.version, "$899" in found.passages[0].text) == (old, True)


async def test_a_lost_pointer_leaves_the_old_version_answering(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    (settings.index / "current").unlink()
    assert not await knowledge.reload_if_changed()
    assert (await knowledge.search("sofa")).passages


async def test_several_processes_worth_of_readers_share_one_version(
    settings: KnowledgeSettings, knowledge: Knowledge
) -> None:
    second = Knowledge(settings, HashedEmbedder(), None)
    first_found, second_found = await knowledge.search("sofa"), await second.search("sofa")
    assert first_found.passages == second_found.passages
    second.close()


def test_no_index_and_another_embedder_say_what_to_do(
    settings: KnowledgeSettings, tmp_path: Path
) -> None:
    nowhere = settings.model_copy(update={"index": tmp_path / "nowhere"})
    with pytest.raises(IndexMissing, match="voice-agent knowledge build"):
        Knowledge(nowhere, HashedEmbedder(), None)
    with pytest.raises(IndexUnusable, match="another embedding model"):
        Knowledge(settings, HashedEmbedder("other"), None)


def test_a_missing_model_is_one_clear_line(settings: KnowledgeSettings, tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnusable) as caught:
        Knowledge.open(settings, tmp_path / "no-models")
    assert "minilm" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_server_answers_and_its_alias_is_followed(settings: KnowledgeSettings) -> None:
    server = ServerStore(QdrantClient(":memory:"))
    first = rebuild(settings, server)
    knowledge = Knowledge(settings, HashedEmbedder(), server)
    assert (await knowledge.search("Alder sofa")).version == first
    (settings.documents / "sofas.md").write_text("# Sofas\n\nThe Alder sofa costs $799.\n")
    second = rebuild(settings, server)
    assert await knowledge.reload_if_changed()
    found = await knowledge.search("Alder sofa")
    assert (found.version, "$799" in found.passages[0].text) == (second, True)
    knowledge.close()


async def test_server_and_embedded_find_the_same(settings: KnowledgeSettings) -> None:
    server = ServerStore(QdrantClient(":memory:"))
    rebuild(settings, server)
    embedded, remote = (Knowledge(settings, HashedEmbedder(), at) for at in (None, server))
    for question in ("sofa", "lamp costs", "E18 error"):
        mine, theirs = await embedded.search(question), await remote.search(question)
        assert mine.passages == theirs.passages
    embedded.close()
    remote.close()


def test_a_server_that_is_away_is_an_error_worth_retrying(settings: KnowledgeSettings) -> None:
    with pytest.raises(IndexUnreachable) as caught:
        Knowledge(settings, HashedEmbedder(), PassageStore.at_server("http://127.0.0.1:1"))
    assert caught.value.retryable
    assert "\n" not in str(caught.value)


async def test_a_collection_lost_under_a_call_is_an_error_of_ours(
    settings: KnowledgeSettings,
) -> None:
    client = QdrantClient(":memory:")
    server = ServerStore(client)
    version = rebuild(settings, server)
    knowledge = Knowledge(settings, HashedEmbedder(), server)
    client.delete_collection(f"knowledge-{version}")
    with pytest.raises(IndexUnreachable):
        await knowledge.search("sofa")
    knowledge.close()
