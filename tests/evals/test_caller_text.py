"""`voice-agent call --text`: words become a caller's speech."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from evals.caller import call_command
from evals.scenario import Say
from voice_agent.config import Settings
from voice_agent.speech.synthesiser import SynthesiserError

RATE_HZ = 16_000


class FakeVoice:
    """Says everything as half a second of a tone, or nothing at all."""

    lost = False

    def __init__(self, *_: object) -> None:
        pass

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        if self.lost:
            raise SynthesiserError("gone")
        tone = np.sin(np.arange(RATE_HZ // 2) * 0.1) * 12_000
        yield tone.astype(np.int16).tobytes()

    async def close(self) -> None:
        pass


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The steps of the calls that were made."""
    steps: list[Any] = []

    def ring(_uri: str, wanted: list[Any], *_: object) -> None:
        steps.extend(wanted)

    monkeypatch.setattr("evals.rig.Synthesiser", FakeVoice)
    monkeypatch.setattr("evals.caller._ring", ring)
    return steps


def test_each_text_is_a_turn_by_its_own_words(rung: list[Any]) -> None:
    texts = ["How much is delivery?", "And to Hawaii?"]
    call_command("sip:agent@127.0.0.1", [], texts, None, None, Settings())
    assert all(isinstance(step, Say) and len(step.utterance.samples) for step in rung)
    assert [step.utterance.name for step in rung] == texts


def test_without_a_voice_nobody_is_rung_and_the_reason_is_said(
    rung: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeVoice, "lost", True)
    assert call_command("sip:agent@127.0.0.1", [], ["Hello"], None, None, Settings()) == 1
    assert rung == []
    assert "`voice-agent serve` runs the voice" in capsys.readouterr().err
