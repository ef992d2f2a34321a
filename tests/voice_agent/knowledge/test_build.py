from __future__ import annotations

from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildReport, build_index
from voice_agent.knowledge.errors import IndexUnreachable, NothingToIndex
from voice_agent.knowledge.server_store import ServerStore
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "sofas.md").write_text(
        "# Sofas\n\n## Price\n\nThe sofa costs $899.\n"
    )
    (tmp_path / "documents" / "lamps.md").write_text("# Lamps\n\n## Price\n\nThe lamp costs $39.\n")
    return KnowledgeSettings(documents=tmp_path / "documents", index=tmp_path / "index")


def build(
    settings: KnowledgeSettings,
    embedder: HashedEmbedder | None = None,
    server: PassageStore | None = None,
) -> BuildReport:
    return build_index(settings, embedder or HashedEmbedder(), lambda *_: None, server)


def test_a_build_is_promoted(settings: KnowledgeSettings) -> None:
    report = build(settings)
    assert (report.documents, report.passages, report.refused) == (2, 2, ())
    assert VersionStore(settings.index).current() == report.version


def test_progress_reaches_the_end_of_each_step(settings: KnowledgeSettings) -> None:
    seen: dict[str, tuple[int, int]] = {}
    build_index(settings, HashedEmbedder(), lambda step, n, of: seen.update({step: (n, of)}))
    steps = ("reading", "checking", "embedding", "writing")
    assert seen == dict.fromkeys(steps, (2, 2))


def test_bad_documents_are_reported_and_do_not_stop_the_build(settings: KnowledgeSettings) -> None:
    (settings.documents / "zeros.md").write_bytes(b"\x00\x01")
    (settings.documents / "headings.md").write_text("# Only\n\n## Headings\n")
    report = build(settings)
    assert report.documents == 2
    assert [(r.document, r.reason) for r in report.refused] == [
        ("headings.md", "headings without any text"),
        ("zeros.md", "binary, not text"),
    ]
    manifest = VersionStore(settings.index).manifest(report.version)
    assert [r["document"] for r in manifest["refused"]] == ["headings.md", "zeros.md"]
    assert manifest["refused_count"] == 2


def test_the_same_documents_give_the_same_version_and_cost_nothing(
    settings: KnowledgeSettings,
) -> None:
    first, embedder = build(settings), HashedEmbedder()
    second = build(settings, embedder)
    assert (second.version, second.reused, embedder.embedded) == (first.version, True, [])


def test_a_changed_document_and_another_embedder_give_another_version(
    settings: KnowledgeSettings,
) -> None:
    first = build(settings)
    other = build(settings, HashedEmbedder("other"))
    (settings.documents / "sofas.md").write_text("# Sofas\n\n## Price\n\nThe sofa costs $799.\n")
    third = build(settings)
    assert len({first.version, other.version, third.version}) == 3
    assert VersionStore(settings.index).current() == third.version
    assert VersionStore(settings.index).holds(first.version)


def test_going_back_to_old_documents_goes_back_to_their_version(
    settings: KnowledgeSettings,
) -> None:
    first = build(settings)
    before = (settings.documents / "sofas.md").read_text()
    (settings.documents / "sofas.md").write_text("# Sofas\n\nNone.\n")
    build(settings)
    (settings.documents / "sofas.md").write_text(before)
    assert build(settings).version == first.version
    assert VersionStore(settings.index).current() == first.version


def test_a_damaged_version_is_built_again(settings: KnowledgeSettings) -> None:
    report = build(settings)
    (settings.index / "versions" / report.version / "vectors.npy").write_bytes(b"")
    again = build(settings)
    assert (again.version, again.reused) == (report.version, False)
    assert VersionStore(settings.index).read(again.version).passages


def test_nothing_usable_leaves_the_old_version_answering(settings: KnowledgeSettings) -> None:
    report = build(settings)
    for path in settings.documents.iterdir():
        path.write_text("")
    with pytest.raises(NothingToIndex, match=r"lamps\.md: empty"):
        build(settings)
    assert VersionStore(settings.index).current() == report.version


def test_an_embedder_that_dies_leaves_the_old_version_answering(
    settings: KnowledgeSettings,
) -> None:
    def die() -> None:
        raise MemoryError

    report = build(settings)
    (settings.documents / "sofas.md").write_text("# Sofas\n\nNone.\n")
    with pytest.raises(MemoryError):
        build(settings, HashedEmbedder(before_embed=die))
    assert VersionStore(settings.index).current() == report.version
    assert build(settings).version != report.version


def test_a_server_is_filled_and_its_alias_moved(settings: KnowledgeSettings) -> None:
    server = ServerStore(QdrantClient(":memory:"))
    first = build(settings, server=server)
    assert server.current() == first.version
    (settings.documents / "sofas.md").write_text("# Sofas\n\nNone.\n")
    second = build(settings, server=server)
    assert server.current() == second.version
    assert server.embedder_of(second.version) == "hashed"
    assert build(settings, server=server).version == second.version


def test_a_server_that_is_away_is_one_clear_line_and_promotes_nothing(
    settings: KnowledgeSettings,
) -> None:
    with pytest.raises(IndexUnreachable, match="Qdrant cannot be used"):
        build(settings, server=PassageStore.at_server("http://127.0.0.1:1"))
    assert not (settings.index / "current").exists()
