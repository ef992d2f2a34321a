"""A changed document is answered after the next look, and nothing else is lost by looking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.index import Knowledge
from voice_agent.knowledge.journal import Journal
from voice_agent.knowledge.sources import FetchResult, Unchanged, Validators, from_settings
from voice_agent.knowledge.versions import VersionStore
from voice_agent.knowledge.watch import Rested, Watcher


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    (tmp_path / "documents").mkdir()
    for number in range(4):
        path = tmp_path / "documents" / f"sofa{number}.md"
        path.write_text(f"# Sofa {number}\n\nSofa {number} costs $899.\n")
    return KnowledgeSettings(
        documents=tmp_path / "documents", index=tmp_path / "index", questions=None,
        minimum_score=0.05, deadline_ms=60_000,
    )  # fmt: skip


def watcher(settings: KnowledgeSettings) -> Watcher:
    return Watcher(settings, HashedEmbedder(), list(from_settings(settings)))


async def test_a_change_is_answered_after_one_look(settings: KnowledgeSettings) -> None:
    looking = watcher(settings)
    assert "4 fetched" in looking.look().news
    knowledge = Knowledge(settings, HashedEmbedder(), None)
    assert looking.look().news == ""
    (settings.documents / "sofa2.md").write_text("# Sofa 2\n\nSofa 2 costs only $499 now.\n")
    assert "1 fetched" in looking.look().news
    assert await knowledge.reload_if_changed()
    found = await knowledge.search("what does sofa 2 cost")
    assert found.passages[0].text == "Sofa 2 costs only $499 now."
    knowledge.close()
    assert [entry.who for entry in Journal(settings.index).entries()] == ["watcher", "watcher"]


def test_a_look_beside_a_build_tells_and_goes_on(settings: KnowledgeSettings) -> None:
    looking = watcher(settings)
    with VersionStore(settings.index).building():
        assert looking.look().news.startswith("build_running: ")
    assert "4 fetched" in looking.look().news


def test_what_the_gate_holds_back_is_told(settings: KnowledgeSettings) -> None:
    looking = watcher(settings)
    looking.look()
    current = VersionStore(settings.index).current()
    for path in sorted(settings.documents.iterdir())[:2]:
        path.unlink()
    assert "2 of 4 documents vanish" in looking.look().news
    assert looking.look().news == looking.look().news
    assert VersionStore(settings.index).current() == current


def test_a_source_far_away_is_not_asked_at_every_look() -> None:
    class Far:
        name = "far"
        asked = 0

        def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
            self.asked += 1
            yield Unchanged("a.md")

    far, now = Far(), [0.0]
    rested = Rested(far, every_s=30, clock=lambda: now[0])
    known = {"a.md": Validators(), "b.md": Validators()}
    seen = []
    for now[0] in (0.0, 10.0, 31.0):
        seen.append([result.uri for result in rested.fetch(known)])
    assert (seen, far.asked) == ([["a.md"], ["a.md", "b.md"], ["a.md"]], 2)


def test_no_documents_at_all_is_told(settings: KnowledgeSettings) -> None:
    for path in settings.documents.iterdir():
        path.unlink()
    assert watcher(settings).look().news.startswith("nothing_to_index: ")
