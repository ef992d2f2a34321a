"""The gateway's own sentences: spoken once, never half, a company's recordings kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from telephony.prompts import PromptName
from tests.voice_agent.test_check import free_port
from voice_agent.config import SynthesiserSettings
from voice_agent.phone_prompts import SENTENCES, missing, render
from voice_agent.speech.synthesiser import SynthesiserError


def test_every_prompt_the_gateway_looks_for_has_a_sentence() -> None:
    assert set(SENTENCES) == {name.value for name in PromptName}


def test_recordings_of_ones_own_are_kept(tmp_path: Path) -> None:
    (tmp_path / "hold.wav").write_bytes(b"our jingle")
    assert missing(tmp_path) == [name for name in SENTENCES if name != "hold"]
    assert missing(tmp_path / "none") == list(SENTENCES)


async def test_nothing_is_written_when_the_synthesiser_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(SynthesiserError):
        await render(tmp_path, SynthesiserSettings(port=free_port()))
    assert missing(tmp_path) == list(SENTENCES)
