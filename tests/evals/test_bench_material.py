"""What the harness's callers say and ask about."""

from __future__ import annotations

from pathlib import Path

from evals.latency.material import with_documents
from voice_agent.config import Settings
from voice_agent.knowledge.sources.reading import read_documents


def test_documents_of_another_folder_are_added_to_the_configured_ones(tmp_path: Path) -> None:
    settings = Settings()
    more = Path("evals/latency/coffee_bar")
    both = with_documents(settings, [more], tmp_path)
    own, _ = read_documents(settings.knowledge.documents)
    together, refused = read_documents(both.knowledge.documents)
    titles = {document.title for document in together}
    assert titles == {document.title for document in own} | {"Coffee bar"}
    assert refused == []
    assert both.knowledge.index != settings.knowledge.index
    again = with_documents(settings, [more], tmp_path)
    assert len(read_documents(again.knowledge.documents)[0]) == len(own) + 1


def test_without_further_documents_nothing_is_copied(tmp_path: Path) -> None:
    assert with_documents(Settings(), [], tmp_path) == Settings()
    assert not list(tmp_path.iterdir())
