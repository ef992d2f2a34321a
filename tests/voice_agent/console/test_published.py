"""From an approved answer to the version that says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.voice_agent.console.conftest import Stage
from voice_agent.config import KnowledgeSettings
from voice_agent.console.grades import approved_id
from voice_agent.console.published import Published
from voice_agent.console.roles import Role
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.version_writer import IndexedDocument
from voice_agent.knowledge.versions import VersionStore


def build(index: Path, version: str, *names: str) -> None:
    """A version that answers, made of these documents."""
    store = VersionStore(index)
    with store.building(), store.writing(version, {"embedder": "none"}) as writer:
        for name in names:
            writer.add_document(IndexedDocument(f"approved.jsonl:{name}", name, "approved", "0"))
        passage = Passage("p1", "d1", "Delivery", "", "It costs $4.95.", "approved")
        writer.add_passages([passage], np.zeros((1, 384), np.float32))
    store.promote(version)


async def test_an_approved_answer_is_in_a_version_only_once_one_was_built_with_it(
    stage: Stage,
) -> None:
    quality, desk = await stage.signed_in(Role.QUALITY), stage.console.desk
    proposal = desk.grades.propose("t1", "What does delivery cost?", "$4.95.", "somebody")
    other = desk.grades.propose("t2", "Is it quick?", "It is.", "somebody")
    await quality.do(f"/api/proposals/{proposal}/approve")

    async def versions() -> dict[str, str | None]:
        rows = (await quality.get("/api/proposals"))["proposals"]
        return {row["id"]: row["version"] for row in rows}

    assert await versions() == {proposal: None, other: None}
    index = desk.settings.knowledge.index
    build(index, "v1", "something-else")
    assert await versions() == {proposal: None, other: None}
    # one that was never approved is not said to be, whatever a version holds
    build(index, "v2", approved_id(proposal), approved_id(other))
    assert await versions() == {proposal: "v2", other: None}
    answer = await quality.get("/api/proposals")
    assert answer["version"] == "v2"
    assert answer["is_source"] is False


async def test_a_version_that_cannot_be_read_says_nothing_and_breaks_nothing(stage: Stage) -> None:
    quality, desk = await stage.signed_in(Role.QUALITY), stage.console.desk
    desk.grades.propose("t1", "What does delivery cost?", "$4.95.", "somebody")
    build(desk.settings.knowledge.index, "v1")
    for manifest in desk.settings.knowledge.index.rglob("manifest.json"):
        manifest.chmod(0o644)
        manifest.write_text("{")
    answer = await quality.get("/api/proposals")
    assert answer["version"] is None
    assert len(answer["proposals"]) == 1


@pytest.mark.parametrize(
    ("source", "read"), [("verified", True), (".", True), ("elsewhere", False)]
)
def test_whether_a_build_reads_approved_answers(tmp_path: Path, source: str, read: bool) -> None:
    knowledge = KnowledgeSettings.model_validate(
        {"sources": [{"kind": "folder", "name": "approved", "path": str(tmp_path / source)}]}
    )
    assert Published(knowledge, tmp_path / "verified" / "approved.jsonl").is_source is read
