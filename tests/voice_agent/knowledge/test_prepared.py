from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.prepared import FOLDER, open_kept, prepare, prepare_kept
from voice_agent.knowledge.rows import Rows
from voice_agent.knowledge.terms import weigh_name, weigh_passage
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.versions import VersionStore
from voice_agent.knowledge.wanted import Wanted

PASSAGES = tuple(
    Passage(
        f"p{number}",
        f"d{number // 2}",
        title,
        "",
        text,
        "",
        language="en",
        valid_until="2026-03-31" if number == 3 else "",
    )
    for number, (title, text) in enumerate(
        (
            ("Blue Heron Inn", "Pets may stay in every room."),
            ("Blue Heron Inn", "There is a pool behind the inn."),
            ("Kestrel Grill", "Pets may stay on the terrace."),
            ("Kestrel Grill", "The terrace opens at noon."),
        )
    )
)
QUESTIONS = ("may pets stay at the blue herron inn", "when does the terrace open", "a pool")


@pytest.fixture
def kept(tmp_path: Path) -> VersionStore:
    versions = VersionStore(tmp_path)
    with versions.building():
        vectors = HashedEmbedder().embed([each.embedded_text for each in PASSAGES])
        versions.write("v1", PASSAGES, vectors, {"embedder": "hashed"})
    return versions


def answers(version: Version) -> list[list[Passage]]:
    rows = Rows(version)
    embed = HashedEmbedder().embed
    return [rows.search(Wanted(said, day="2026-02-01"), embed([said]), 3) for said in QUESTIONS]


def test_a_term_is_found_where_it_is_and_nowhere_else() -> None:
    prepared = prepare(PASSAGES)
    for row, passage in enumerate(PASSAGES):
        for term in weigh_passage(passage.embedded_text).indices:
            start, end = prepared.rows_with(term)
            assert row in prepared.term_rows[start:end]
    (absent,) = weigh_name("helicopter").indices
    start, end = prepared.rows_with(absent)
    assert start == end


def test_a_version_is_written_with_what_searching_needs(kept: VersionStore, tmp_path: Path) -> None:
    mapped = open_kept(tmp_path / "versions" / "v1", len(PASSAGES))
    assert mapped is not None
    anew = prepare(PASSAGES)
    for name in ("terms", "starts", "term_rows", "term_values", "title", "document", "days"):
        assert np.array_equal(getattr(mapped, name), getattr(anew, name)), name
    assert (mapped.titles, mapped.languages) == (anew.titles, anew.languages)


def test_a_large_version_is_prepared_the_same_in_a_process_of_its_own(
    kept: VersionStore, tmp_path: Path
) -> None:
    folder = tmp_path / "versions" / "v1"
    before = {path.name: path.read_bytes() for path in (folder / FOLDER).iterdir()}
    shutil.rmtree(folder / FOLDER)
    prepare_kept(folder, 1_000_000)
    assert {path.name: path.read_bytes() for path in (folder / FOLDER).iterdir()} == before


@pytest.mark.parametrize("harm", ["missing", "changed", "cut"])
def test_what_is_gone_or_damaged_is_made_anew_and_finds_the_same(
    kept: VersionStore, tmp_path: Path, harm: str
) -> None:
    before = answers(kept.read("v1"))
    folder = tmp_path / "versions" / "v1" / FOLDER
    for path in folder.iterdir():
        if harm == "missing":
            path.unlink()
        else:
            held = path.read_bytes()
            path.write_bytes(held[:-1] if harm == "cut" else held[:-1] + b"\xff")
    assert open_kept(folder.parent, len(PASSAGES)) is None
    assert answers(kept.read("v1")) == before
    assert open_kept(folder.parent, len(PASSAGES)) is not None


def test_it_is_not_taken_for_another_number_of_passages(kept: VersionStore, tmp_path: Path) -> None:
    assert open_kept(tmp_path / "versions" / "v1", len(PASSAGES) + 1) is None
