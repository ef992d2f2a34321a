"""What a file of examples may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.voice_agent.answering.small_roads import SMALL_ROADS
from voice_agent.answering.road_examples import read_roads, words_pattern
from voice_agent.answering.routed_requests import read_requests
from voice_agent.config import ConfigError, RoadSettings


def _file(tmp_path: Path, change: Any = None) -> Path:
    given = SMALL_ROADS.model_dump(mode="json")
    if change:
        change(given["roads"])
    path = tmp_path / "roads.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    return path


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    assert read_roads(_file(tmp_path)) == SMALL_ROADS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda roads: roads.pop("person"), "`person` has no examples"),
        (lambda roads: roads.update(goodbye=roads["answer"]), "no road that examples lead to"),
        (lambda roads: roads.update(teleport=roads["answer"]), "teleport"),
        (lambda roads: roads["clarify"][0].update(says=" "), "says nothing"),
        (lambda roads: roads["answer"][0].update(says="Hm."), "never said"),
        (lambda roads: roads["answer"][0].update(asked=[]), "asked"),
        (lambda roads: roads["answer"][0].update(asked=["?!"]), "empty text"),
        (lambda roads: roads["answer"][0].update(asked=["I SMELL GAS."]), "example of both"),
        (lambda roads: roads["answer"][0].update(words=["gas"]), "only ever lead to a person"),
        (lambda roads: roads["action"].append(roads["action"][0]), "two groups of one name"),
        (lambda roads: roads["answer"][0].update(threshold=1), "threshold"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, change: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=r"answering\.roads") as told:
        read_roads(_file(tmp_path, change))
    assert reason in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"roads: [", b"\xff\xfe\x00", b"", b"- a", b"roads: {}"])
def test_what_is_no_file_of_examples_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "roads.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        read_roads(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        read_roads(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You will hear from my  LAWYER.", True),
        ("I'll sue you!", True),
        ("Pursue your dream", False),
        ("I'll sue your neighbour", False),
    ],
)
def test_words_are_found_whole(text: str, found: bool) -> None:
    pattern = words_pattern(("my lawyer", "sue you"))
    assert pattern is not None
    assert bool(pattern.search(text)) is found


def test_the_examples_and_the_requests_they_are_measured_with_are_apart() -> None:
    def told(texts: list[str]) -> set[str]:
        return {text.casefold().strip(" .?!") for text in texts}

    roads = read_roads(RoadSettings().examples)
    examples = told([text for _, group in roads.groups() for text in group.asked])
    held_out = told([r.text for r in read_requests(Path("evals/trust/roads_held_out.yaml"))])
    fitted = told([r.text for r in read_requests(Path("evals/trust/roads_calibration.yaml"))])
    assert not examples & held_out
    assert not fitted & held_out
    assert not examples & fitted
