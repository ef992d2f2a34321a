from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.knowledge.errors import NothingToIndex
from voice_agent.knowledge.sources.reading import read_documents


def test_a_folder_is_read_and_what_is_refused_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Returns\n\nThirty days.")
    (tmp_path / "b.csv").write_text("question,answer\nOpen?,Yes.\nFar?\n")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    (tmp_path / "d.md").symlink_to("/etc/hostname")
    documents, refused = read_documents(tmp_path)
    assert [document.title for document in documents] == ["Returns", "Open?"]
    assert [refusal.document for refusal in refused] == ["b.csv:3", "c.png", "d.md"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingToIndex, match="no such folder"):
        read_documents(tmp_path / "nowhere")
