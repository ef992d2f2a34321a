from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings, RecordsSettings, Settings
from voice_agent.knowledge.build import build_index
from voice_agent.knowledge.errors import IndexMissing
from voice_agent.knowledge.report import DAY_S, gather, look_over, stability_index
from voice_agent.knowledge.report_metrics import as_metrics
from voice_agent.knowledge.report_page import render
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.store import Records

NOW = 1_000 * float(DAY_S)


def a_turn(
    days_ago: float, *passages: tuple[str, float], heard: str = "", late: bool = False
) -> dict[str, Any]:
    return {
        "began_at": NOW - days_ago * DAY_S,
        "heard": heard,
        "retrieval": {
            "version": "v1",
            "query": heard,
            "late": late,
            "passages": [{"passage_id": name, "score": score} for name, score in passages],
        },
    }


def test_turns_are_counted_by_what_they_found() -> None:
    turns = [
        a_turn(1, ("sofa#1", 0.81), ("sofa#2", 0.4)),
        a_turn(8, ("sofa#2", 0.52)),
        a_turn(2, heard="Do you sell  CARS"),
        a_turn(3, heard="do you sell cars"),
        a_turn(1, late=True),
        {"began_at": NOW, "retrieval": {}},
    ]
    found = look_over(turns, NOW, 14)
    assert (found.turns, found.found_nothing, found.late) == (5, 2, 1)
    assert found.uses == {"sofa#1": (1, 1), "sofa#2": (2, 1)}
    assert [(each.question, each.times) for each in found.unanswered] == [("do you sell cars", 2)]
    before, last = found.weeks
    assert (before.turns, before.median_score) == (1, 0.52)
    assert (last.turns, last.found_nothing, last.late, last.median_score) == (4, 2, 1, 0.81)
    assert (last.scores[16], sum(last.scores), before.scores[10]) == (1, 1, 1)
    assert found.versions == {"v1": 5}


def test_a_shift_of_scores_is_noticed_and_chance_is_not() -> None:
    def weeks(now: float, before: float, number: int = 60) -> float | None:
        turns = [a_turn(1, ("p", now - n % 7 / 50)) for n in range(number)]
        turns += [a_turn(10, ("p", before - n % 7 / 50)) for n in range(number)]
        return stability_index(look_over(turns, NOW, 14).weeks)

    alike, shifted = weeks(0.8, 0.8), weeks(0.5, 0.8)
    assert alike is not None
    assert shifted is not None
    assert alike < 0.1 < 0.2 < shifted
    assert weeks(0.5, 0.8, 20) is None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("sofas", "lamps", "<b>beds</b>"):
        path = documents / f"{name.replace('/', '')}.md"
        path.write_text(f"# {name}\n\nThe {name} text.\n")
    (documents / "empty.md").write_text("")
    return Settings(
        knowledge=KnowledgeSettings(documents=documents, index=tmp_path / "index", questions=None),
        records=RecordsSettings(path=tmp_path / "records.sqlite"),
    )


def with_calls(settings: Settings) -> None:
    build_index(settings.knowledge, HashedEmbedder(), lambda *_: None)
    records = Records.open(settings.records.path)
    for number, kept in enumerate(
        [
            a_turn(1, ("sofas#text", 0.7)),
            a_turn(2, ("sofas#text", 0.6), ("lamps#text", 0.4)),
            a_turn(3, heard="<script>alert(1)</script>"),
        ]
    ):
        records.record_turn(
            TurnRecord(
                "c1", f"t{number}", number, kept["began_at"], heard=kept["heard"],
                retrieval=kept["retrieval"],
            )
        )  # fmt: skip
    records.close()


def test_a_report_tells_what_is_found_what_never_and_what_is_wrong(settings: Settings) -> None:
    with_calls(settings)
    report = gather(settings, 28, NOW)
    assert [(use.passage_id, use.found, use.best) for use in report.used] == [
        ("sofas#text", 2, 2),
        ("lamps#text", 1, 0),
    ]
    assert (len(report.never), len(report.unused_documents)) == (1, 1)
    assert [each.question for each in report.unanswered] == ["<script>alert(1)</script>"]
    assert [letter.document for letter in report.dead_letters] == ["empty.md"]
    assert [source["name"] for source in report.sources] == ["documents"]
    assert len(report.runs) == 1


def test_the_page_shows_it_and_asks_nobody_for_anything(settings: Settings) -> None:
    with_calls(settings)
    page = render(gather(settings, 28, NOW))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"<script|https?://|url\(|@import|<link|<img", page)
    assert "sofas#text" in page
    assert "empty.md" in page


def test_the_metrics_have_the_same_figures(settings: Settings) -> None:
    with_calls(settings)
    lines = as_metrics(gather(settings, 28, NOW)).splitlines()
    assert "voice_agent_knowledge_turns 3.0" in lines
    assert "voice_agent_knowledge_turns_found_nothing 1.0" in lines
    assert "voice_agent_knowledge_passages_never_found 1.0" in lines
    assert "voice_agent_knowledge_documents_unusable 1.0" in lines
    assert any(
        line.startswith(
            'voice_agent_knowledge_source_answered_timestamp_seconds{source="documents"}'
        )
        for line in lines
    )


def test_there_is_no_report_without_an_index(settings: Settings) -> None:
    with pytest.raises(IndexMissing):
        gather(settings, 28, NOW)
