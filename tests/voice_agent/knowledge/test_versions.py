from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.knowledge.errors import BuildRunning, IndexMissing, IndexUnusable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.version_writer import IndexedDocument
from voice_agent.knowledge.versions import VersionStore, version_id

PASSAGES = [
    Passage(f"doc#{name}", "doc", "Title", name, f"Text about {name} — 5 €.", "doc.md")
    for name in ("sofa", "lamp")
]
MANIFEST = {"embedder": "hashed"}


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return VersionStore(tmp_path)


def write(store: VersionStore, version: str = "v1") -> None:
    vectors = HashedEmbedder().embed([passage.embedded_text for passage in PASSAGES])
    with store.building(), store.writing(version, MANIFEST) as writer:
        writer.add_document(IndexedDocument("doc", "Title", "doc.md", "digest", 2))
        writer.add_passages(PASSAGES[:1], vectors[:1])
        writer.add_passages(PASSAGES[1:], vectors[1:])


def test_what_is_written_is_read_back(store: VersionStore) -> None:
    write(store)
    version = store.read("v1")
    assert (version.version, version.embedder) == ("v1", "hashed")
    assert list(version.passages) == PASSAGES
    assert (version.passages[-1], version.passages[:1]) == (PASSAGES[1], (PASSAGES[0],))
    assert [document.id for document in store.documents("v1")] == ["doc"]
    manifest = store.manifest("v1")
    assert (manifest["documents"], manifest["passages"]) == (1, 2)
    assert np.array_equal(
        version.vectors, HashedEmbedder().embed([p.embedded_text for p in PASSAGES])
    )


def test_nothing_is_current_before_the_first_promotion(store: VersionStore) -> None:
    with pytest.raises(IndexMissing, match="knowledge build"):
        store.current()
    write(store)
    with pytest.raises(IndexMissing):
        store.current()


def test_promotion_switches_and_switches_back(store: VersionStore) -> None:
    for version in ("v1", "v2"):
        write(store, version)
        store.promote(version)
        assert store.current() == version
    store.promote("v1")
    assert store.current() == "v1"


def test_only_a_complete_version_is_promoted(store: VersionStore, tmp_path: Path) -> None:
    write(store)
    store.promote("v1")
    (tmp_path / "versions" / "v2").mkdir()
    for name in ("v2", "v3"):
        with pytest.raises(IndexMissing):
            store.promote(name)
    assert store.current() == "v1"


@pytest.mark.parametrize(
    "name", ["passages.jsonl", "vectors.npy", "documents.jsonl", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["cut short", "gone"])
def test_a_damaged_version_is_noticed(
    store: VersionStore, tmp_path: Path, name: str, damage: str
) -> None:
    write(store)
    path = tmp_path / "versions" / "v1" / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises((IndexUnusable, IndexMissing)):
        store.read("v1")


def test_a_damaged_version_is_replaced_by_writing_it_again(
    store: VersionStore, tmp_path: Path
) -> None:
    write(store)
    (tmp_path / "versions" / "v1" / "vectors.npy").write_bytes(b"")
    write(store)
    assert len(store.read("v1").passages) == 2


def test_another_format_asks_for_a_build(store: VersionStore, tmp_path: Path) -> None:
    write(store)
    path = tmp_path / "versions" / "v1" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(IndexUnusable, match="another format"):
        store.read("v1")


def test_what_a_killed_build_left_is_never_served_and_goes_away(
    store: VersionStore, tmp_path: Path
) -> None:
    leftover = tmp_path / "versions" / ".building-abc"
    leftover.mkdir(parents=True)
    (leftover / "passages.jsonl").write_text("half")
    write(store)
    assert [path.name for path in (tmp_path / "versions").iterdir()] == ["v1"]


def test_a_failed_write_leaves_nothing_behind(store: VersionStore, tmp_path: Path) -> None:
    with store.building(), pytest.raises(TypeError):
        store.write("v1", PASSAGES, np.zeros((2, 384), np.float32), {"bad": object()})
    assert list((tmp_path / "versions").iterdir()) == []


def test_two_builds_at_once_are_refused(store: VersionStore, tmp_path: Path) -> None:
    other = VersionStore(tmp_path)
    with store.building(), pytest.raises(BuildRunning, match="another build"), other.building():
        pass
    with other.building():
        pass


def test_an_index_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexUnusable, match="cannot be written"):
        write(VersionStore(tmp_path / "file"))


def test_a_version_is_named_by_everything_that_makes_it() -> None:
    parts = {"chunker": "1", "embedder": "a", "documents": [{"id": "x", "digest": "1"}]}
    assert version_id(parts) == version_id(dict(reversed(list(parts.items()))))
    assert version_id(parts) != version_id({**parts, "embedder": "b"})
    assert version_id(parts) != version_id({**parts, "documents": [{"id": "x", "digest": "2"}]})
