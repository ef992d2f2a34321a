"""Files of requests with their roads."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.answering.routed_requests import (
    RequestsUnusable,
    RoutedRequest,
    read_requests,
)
from voice_agent.reply import Road


def _written(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_yaml_has_a_list_for_each_road(tmp_path: Path) -> None:
    path = _written(
        tmp_path,
        "requests.yaml",
        "answer:\n- How much?\n- {text: And that, after: [How much, Five.]}\nperson: [A person]\n",
    )
    assert read_requests(path) == [
        RoutedRequest("How much?", Road.ANSWER),
        RoutedRequest("And that", Road.ANSWER, (("How much", "Five."),)),
        RoutedRequest("A person", Road.PERSON),
    ]


def test_lines_of_json_have_a_request_each(tmp_path: Path) -> None:
    path = _written(tmp_path, "requests.jsonl", '{"text": "Hi", "road": "small_talk"}\n\n')
    assert read_requests(path) == [RoutedRequest("Hi", Road.SMALL_TALK)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("r.yaml", "goodbye: [Bye]", "no road"),
        ("r.yaml", "answer: How much?", "no list"),
        ("r.yaml", "answer: [3]", "no request"),
        ("r.yaml", "answer: ['  ']", "without words"),
        ("r.yaml", "answer: [{text: A, after: B}]", "`after`"),
        ("r.yaml", "answer: [", "not YAML"),
        ("r.yaml", "- answer", "no list of requests"),
        ("r.yaml", "{}", "holds no requests"),
        ("r.jsonl", '{"text": "Hi"}', "line 1"),
        ("r.jsonl", "Hi", "not JSON"),
        ("r.jsonl", "[]", "no road"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, name: str, content: str, reason: str) -> None:
    with pytest.raises(RequestsUnusable, match=reason) as told:
        read_requests(_written(tmp_path, name, content))
    assert "\n" not in str(told.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestsUnusable, match="nowhere"):
        read_requests(tmp_path / "nowhere.yaml")
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestsUnusable, match="UTF-8"):
        read_requests(tmp_path / "r.yaml")
