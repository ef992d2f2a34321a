from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voice_agent.config import (
    AnsweringSettings,
    KnowledgeSettings,
    LanguageModelSettings,
    ModelsSettings,
    Settings,
)
from voice_agent.knowledge.commands import ask, build

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "sofas.md").write_text("# Sofas\n\n## Price\n\nA sofa costs $899.\n")
    (tmp_path / "documents" / "broken.md").write_bytes(b"\x00")
    return Settings(
        models=ModelsSettings(folder=ROOT / "var" / "models"),
        knowledge=KnowledgeSettings(documents=tmp_path / "documents", index=tmp_path / "index"),
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
