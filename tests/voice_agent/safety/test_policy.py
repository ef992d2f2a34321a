"""The policy file does what its own examples say, and a wrong one is found before a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_agent.safety.policy import DEFAULT_POLICY, PolicyError, default_policy, read_policy


@pytest.fixture
def tree() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    return raw


def refused(tmp_path: Path, tree: object) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_projects_policy_does_what_its_examples_say() -> None:
    assert default_policy().failures() == []


def test_a_rule_that_misses_its_example_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["output"][0]["blocks"] = ["Have a nice day."]
    assert "does not block" in refused(tmp_path, tree)


def test_a_rule_that_catches_what_it_allows_is_refused(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    tree["output"][0]["allows"] = ["I promise it."]
    assert "blocks: I promise it." in refused(tmp_path, tree)


def test_an_unknown_key_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    assert "allow_everything" in refused(tmp_path, {**tree, "allow_everything": True})


def test_a_pattern_that_is_none_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["output"][0]["patterns"] = ["("]
    assert "regular expression" in refused(tmp_path, tree)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "said",
    [
        "Our products are guaranteed for two years.",
        "You can take the sofa back within thirty days.",
        "The instructions are in the box.",
    ],
)
def test_ordinary_answers_break_no_rule(said: str) -> None:
    assert default_policy().broken_rule(said) is None
