"""The networks that judge whether a caller sounds done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pipecat.audio.turn.smart_turn
import pytest

from voice_agent.config import TurnSettings
from voice_agent.models import ModelMissing
from voice_agent.turns.completeness import CompletenessModel, CompletenessUnusable

(BUNDLED,) = (Path(pipecat.audio.turn.smart_turn.__file__).parent / "data").glob("*-cpu.onnx")


def half_a_word() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """A tone that stops at its loudest."""
    return (np.sin(np.arange(16_000) / 20) * np.linspace(0, 9000, 16_000)).astype(np.int16)


async def test_two_networks_give_one_probability_between_theirs(tmp_path: Path) -> None:
    alone = await CompletenessModel.load(TurnSettings(second_opinion=""), tmp_path).judge(
        half_a_word()
    )
    same_twice = CompletenessModel.load(TurnSettings(second_opinion=str(BUNDLED)), tmp_path)
    assert 0 < alone < 1
    assert await same_twice.judge(half_a_word()) == pytest.approx(alone)


def test_a_second_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"smart-turn-v3\.0"):
        CompletenessModel.load(TurnSettings(), tmp_path)


def test_a_second_network_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(CompletenessUnusable, match=r"^\S+broken\.onnx: cannot be used: .*$"):
        CompletenessModel.load(TurnSettings(second_opinion=str(broken)), tmp_path)
