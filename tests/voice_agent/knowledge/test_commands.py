from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from voice_agent.config import (
    AnsweringSettings,
    KnowledgeSettings,
    LanguageModelSettings,
    ModelsSettings,
    RecordsSettings,
    Settings,
)
from voice_agent.knowledge.build import BuildOptions
from voice_agent.knowledge.commands import ask, build, retry, search
from voice_agent.knowledge.commands_looking_back import replay_turns, report
from voice_agent.knowledge.commands_versions import (
    copy,
    diff,
    pin,
    promote,
    rollback,
    status,
    versions,
)
from voice_agent.knowledge.evidence import evidence
from voice_agent.knowledge.index import Knowledge
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.store import Records

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "sofas.md").write_text("# Sofas\n\n## Price\n\nA sofa costs $899.\n")
    (tmp_path / "documents" / "broken.md").write_bytes(b"\x00")
    return Settings(
        models=ModelsSettings(folder=ROOT / "var" / "models"),
        knowledge=KnowledgeSettings(
            documents=tmp_path / "documents", index=tmp_path / "index", questions=None
        ),
        records=RecordsSettings(path=tmp_path / "records.sqlite"),
        answering=AnsweringSettings(model=LanguageModelSettings(url="http://127.0.0.1:1/v1")),
    )


def printed_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.models
def test_build_reports_what_it_did(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(settings, as_json=True) == 0
    report = printed_json(capsys)
    assert (report["documents"], report["passages"], report["reused"]) == (1, 1, False)
    assert report["refused"] == [{"document": "broken.md", "reason": "binary, not text"}]
    assert build(settings, as_json=False) == 0
    text = capsys.readouterr().out
    assert "refused broken.md: binary, not text" in text
    assert "nothing changed" in text
    assert f"version {report['version']} still answers" in text


@pytest.mark.models
def test_ask_prints_passages_scores_and_sources_without_a_language_model(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    build(settings, as_json=True)
    capsys.readouterr()
    assert ask(settings, "how much is a sofa", as_json=True) == 0
    found = printed_json(capsys)
    assert found["answer"] is None
    assert found["passages"][0]["source"] == "sofas.md"
    assert found["passages"][0]["score"] > 0.4
    assert ask(settings, "how much is a sofa", as_json=False) == 0
    assert "A sofa costs $899." in capsys.readouterr().out


@pytest.mark.models
def test_ask_says_when_nothing_is_near(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    build(settings, as_json=True)
    capsys.readouterr()
    assert ask(settings, "who won the election", as_json=False) == 1
    assert "No passage is near enough" in capsys.readouterr().out


@pytest.mark.models
def test_ask_before_build_says_what_to_do(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(settings, "sofa", as_json=False) == 1
    assert "voice-agent knowledge build" in " ".join(capsys.readouterr().err.split())
    assert ask(settings, "sofa", as_json=True) == 1
    assert printed_json(capsys)["error"]["code"] == "index_missing"


def test_build_without_the_model_says_what_to_do(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = settings.model_copy(update={"models": ModelsSettings(folder=tmp_path / "none")})
    assert build(without, as_json=True) == 1
    assert printed_json(capsys)["error"]["code"] == "embedder_unusable"


@pytest.fixture
def two_versions(settings: Settings, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    build(settings, as_json=True)
    first = printed_json(capsys)["version"]
    (settings.knowledge.documents / "sofas.md").write_text("# Sofas\n\nA sofa costs $799.\n")
    build(settings, as_json=True)
    return first, printed_json(capsys)["version"]


@pytest.mark.models
def test_status_tells_what_answers_and_what_cannot_be_used(
    settings: Settings, two_versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(settings, as_json=True) == 0
    found = printed_json(capsys)
    assert (found["previous"], found["current"]) == two_versions
    assert found["states"] == {"indexed": 1, "refused": 1}
    assert [letter["document"] for letter in found["dead_letters"]] == ["broken.md"]
    assert found["last_run"]["embedded"] == 1
    assert status(settings, as_json=False) == 0
    assert "not used broken.md: binary, not text" in capsys.readouterr().out


@pytest.mark.models
def test_status_before_the_first_build_is_1(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(settings, as_json=False) == 1
    assert "Nothing answers" in capsys.readouterr().out
    assert versions(settings, as_json=True) == 0
    assert printed_json(capsys) == []
    assert rollback(settings, "why", as_json=True) == 1
    assert printed_json(capsys)["error"]["code"] == "index_missing"


@pytest.mark.models
def test_versions_are_listed_pinned_compared_rolled_back_and_promoted(
    settings: Settings, two_versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two_versions
    assert pin(settings, first[:6], "evidence", as_json=True) == 0
    capsys.readouterr()
    assert versions(settings, as_json=True) == 0
    listed = {row["version"]: row for row in printed_json(capsys)}
    assert (listed[first]["pinned"], listed[second]["pinned"]) == ("evidence", None)
    assert (listed[first]["previous"], listed[second]["current"]) == (True, True)
    assert diff(settings, "", "", as_json=True) == 0
    assert printed_json(capsys)["documents_changed"] == ["sofas"]
    assert rollback(settings, "wrong price", as_json=True) == 0
    assert printed_json(capsys)["version"] == first
    assert versions(settings, as_json=True) == 0
    told = {row["version"]: row["withdrawn"] for row in printed_json(capsys)}
    assert told[first] is None
    assert "rolled back by" in told[second]
    assert versions(settings, as_json=False) == 0
    assert "rolled back" in " ".join(capsys.readouterr().out.split())
    assert promote(settings, second[:6], "by hand", force=False, as_json=True) == 1
    assert "wrong price" in printed_json(capsys)["error"]["message"]
    assert promote(settings, second[:6], "it was right", force=True, as_json=True) == 0
    assert printed_json(capsys)["version"] == second
    for command in (versions, status):
        assert command(settings, as_json=False) == 0
    assert diff(settings, first, second, as_json=False) == 0
    assert "1 documents changed" in capsys.readouterr().out
    assert diff(settings, "ffff", "", as_json=False) == 1


@pytest.mark.models
def test_a_build_may_leave_the_promotion_to_people(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(settings, as_json=True, options=BuildOptions(promote=False)) == 0
    assert printed_json(capsys)["promoted"] is False
    assert status(settings, as_json=True) == 1


@pytest.mark.models
def test_what_failed_is_tried_again(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    build(settings, as_json=True)
    capsys.readouterr()
    assert retry(settings, ["sofas.md"], as_json=True) == 1
    capsys.readouterr()
    assert retry(settings, ["broken.md"], as_json=True) == 0
    assert printed_json(capsys)["fetched"] == 1


@pytest.mark.models
async def test_recorded_turns_are_replayed_and_reported(
    settings: Settings, two_versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    knowledge = Knowledge.open(settings.knowledge, settings.models.folder)
    found = await knowledge.search("how much is a sofa")
    knowledge.close()
    records = Records.open(settings.records.path)
    for number in (1, 2):
        records.record_turn(
            TurnRecord("c1", f"turn-{number}", number, time.time(), retrieval=evidence(found))
        )
    records.close()
    capsys.readouterr()
    assert replay_turns(settings, "", as_json=True) == 0
    assert printed_json(capsys) == {"turns": 2, "identical": 2, "different_turns": []}
    assert replay_turns(settings, "turn-1", as_json=False) == 0
    assert "identical" in capsys.readouterr().out
    assert replay_turns(settings, "nowhere", as_json=False) == 1
    page, metrics = settings.records.path.with_name("page.html"), settings.records.path.parent / "m"
    assert report(settings, 7, page, metrics, as_json=True) == 0
    assert printed_json(capsys)["turns"] == 2
    assert page.read_text().startswith("<!doctype html>")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "voice_agent_knowledge_turns 2.0" in metrics.read_text()


@pytest.mark.models
def test_a_copy_to_a_server_that_is_away_is_one_clear_line(
    settings: Settings, two_versions: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy(settings, "http://127.0.0.1:1", all_kept=True, as_json=True) == 1
    assert printed_json(capsys)["error"]["code"] == "index_unreachable"


@pytest.mark.models
def test_search_needs_no_language_model(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    build(settings, as_json=True)
    capsys.readouterr()
    assert search(settings, "how much is a sofa", as_json=True) == 0
    assert printed_json(capsys)["passages"][0]["source"] == "sofas.md"
