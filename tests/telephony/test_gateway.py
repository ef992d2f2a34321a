"""The process around the calls: what it needs before it starts, and what it says if it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from telephony import sip
from telephony.errors import GatewayError, LineUnavailable
from telephony.gateway import Gateway, check_exposure, run
from telephony.prompts import PromptName, Prompts
from telephony.settings import GatewaySettings
from tests.telephony.fakes import FakeLeg
from tests.telephony.stage import staged


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_an_agent_on_this_machine_needs_no_token(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICE_AGENT_MEDIA_TOKEN", raising=False)
    check_exposure(GatewaySettings.model_validate({"agent": {"url": f"ws://{host}:8090/media"}}))


def test_an_agent_elsewhere_needs_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GatewaySettings.model_validate({"agent": {"url": "wss://agents.example/media"}})
    monkeypatch.delenv("VOICE_AGENT_MEDIA_TOKEN", raising=False)
    with pytest.raises(GatewayError, match="VOICE_AGENT_MEDIA_TOKEN"):
        check_exposure(settings)
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "letters")
    check_exposure(settings)


def test_people_can_be_rung_for_the_very_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    dials: list[object] = []

    class Line(sip.SipLine):
        async def start(self, on_incoming: sip.OnIncoming) -> None:
            gateway = getattr(on_incoming, "__self__", None)
            assert isinstance(gateway, Gateway)
            dials.append(gateway.dial)
            raise LineUnavailable("the test is over")

    monkeypatch.setattr(sip, "SipLine", Line)
    off = {"enabled": False}
    settings = {"control": off, "web": off, "kill_switch": "no/such/switch.json"}
    assert run(GatewaySettings.model_validate(settings)) == 2
    assert [dial is not None for dial in dials] == [True]


def test_a_process_that_cannot_start_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOICE_AGENT_MEDIA_TOKEN", raising=False)
    assert run(GatewaySettings.model_validate({"agent": {"url": "ws://far.example/media"}})) == 2


async def test_a_full_gateway_is_not_ready_and_an_emptied_one_is_again() -> None:
    async with staged(max_calls=1) as stage:
        caller = FakeLeg()
        assert stage.gateway.ready
        await stage.connect(caller)
        assert not stage.gateway.ready
        await caller.hang_up()
        await stage.calls[0]
        assert stage.gateway.ready


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
def test_prompts_may_have_any_rate_and_number_of_channels(tmp_path: Path, rate_hz: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "hold.wav", np.column_stack((tone, tone)), rate_hz)
    frames = Prompts.load(tmp_path).spoken[PromptName.HOLD]
    samples = np.frombuffer(b"".join(frames), "<i2")
    assert len(frames) == pytest.approx(50, abs=1)
    assert np.abs(samples).max() == pytest.approx(16_384, rel=0.05)


def test_missing_and_broken_prompts_become_a_tone(tmp_path: Path) -> None:
    (tmp_path / "hold.wav").write_bytes(b"not a sound")
    prompts = Prompts.load(tmp_path)
    assert prompts.spoken == {}
    for prompt in (prompts.on_hold(), prompts.while_ringing(), prompts.once(PromptName.GOODBYE)):
        played = b"".join(prompt.pop_frame() or b"" for _ in range(100))
        assert np.frombuffer(played, "<i2").any()
