from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.sources import (
    FetchResult,
    SourceUnusable,
    Unchanged,
    Validators,
    from_settings,
)
from voice_agent.knowledge.sources.settings import SourceList

LIST: TypeAdapter[SourceList] = TypeAdapter(SourceList)


class Wiki:
    """A connector of one's own, as its documentation shows it."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._space = options["space"]

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        yield Unchanged(f"{self._space}/page")


class NoConnector:
    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        pass


def settings(tmp_path: Path, *sources: dict[str, Any]) -> KnowledgeSettings:
    return KnowledgeSettings(documents=tmp_path, index=tmp_path / "index", sources=sources)


def custom(connector: str, **options: Any) -> dict[str, Any]:
    return {"kind": "custom", "name": "wiki", "connector": connector, "options": options}


def test_the_folder_of_documents_comes_first_and_every_kind_is_made(tmp_path: Path) -> None:
    made = from_settings(
        settings(
            tmp_path,
            {"kind": "folder", "name": "more", "path": str(tmp_path)},
            {"kind": "git", "name": "docs", "repository": "https://git.shop.example/docs"},
            {"kind": "http", "name": "site", "urls": ["https://shop.example/help"]},
            {"kind": "feed", "name": "news", "url": "https://shop.example/sitemap.xml"},
            {"kind": "tickets", "name": "desk", "url": "https://help.shop.example"},
            custom(f"{__name__}:Wiki", space="HELP"),
        )
    )
    assert [source.name for source in made] == [
        "documents",
        "more",
        "docs",
        "site",
        "news",
        "desk",
        "wiki",
    ]
    assert list(made[-1].fetch({})) == [Unchanged("HELP/page")]


@pytest.mark.parametrize(
    ("connector", "options"),
    [
        ("no.such.module:Wiki", {}),
        (f"{__name__}:Nobody", {}),
        (f"{__name__}:Wiki", {"wrong": "option"}),
        (f"{__name__}:NoConnector", {}),
    ],
)
def test_a_connector_that_cannot_be_used_is_named(
    tmp_path: Path, connector: str, options: dict[str, str]
) -> None:
    with pytest.raises(SourceUnusable, match="wiki: "):
        from_settings(settings(tmp_path, custom(connector, **options)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"kind": "ftp", "name": "a"}, "kind"),
        ({"kind": "http", "name": "a", "urls": []}, "urls"),
        ({"kind": "http", "name": "a", "urls": ["file:///etc/passwd"]}, "not an http address"),
        ({"kind": "http", "name": "a", "urls": ["https://u:p@shop.example"]}, "token_env"),
        ({"kind": "feed", "name": "A b", "url": "https://shop.example"}, "name"),
        ({"kind": "feed", "name": "a", "url": "https://shop.example", "depth": 1}, "depth"),
        ({"kind": "git", "name": "a", "repository": "x", "ref": "--exec"}, "ref"),
        ({"kind": "custom", "name": "a", "connector": "os.system"}, "connector"),
    ],
)
def test_a_wrong_setting_is_told_by_its_key(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LIST.validate_python([source])


def test_names_are_unique() -> None:
    source = {"kind": "feed", "name": "a", "url": "https://shop.example"}
    with pytest.raises(ValidationError, match="two sources are named `a`"):
        LIST.validate_python([source, source])
