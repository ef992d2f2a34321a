"""What callers can ask for and what can be done are the same."""

from __future__ import annotations

from pathlib import Path

from voice_agent.answering.actions.declaration import read_declarations
from voice_agent.answering.road_examples import read_roads
from voice_agent.reply import Road


def test_every_action_has_a_road_and_every_road_to_an_action_has_one() -> None:
    declared = read_declarations(Path("configs/actions.yaml")).actions
    groups = read_roads(Path("configs/roads.yaml")).groups()
    assert {group.name for road, group in groups if road is Road.ACTION} == set(declared)
