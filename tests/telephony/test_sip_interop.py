"""Calls with SIP programs that share no code with our stack's bindings: sipp and Debian's baresip.

Run where both are installed (``-m interop``); a missing program is a failure, not a skip.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import soundfile

from evals.wire_line import free_port
from telephony.call import LegAnswered, LegEnded
from tests.telephony.debian_phone import baresip_folder, program
from tests.telephony.sip_peer import loudest_hz, tone
from tests.telephony.sip_stage import clocked, event_of, loud_frames, open_line

pytestmark = [pytest.mark.loopback, pytest.mark.interop]


def humming(folder: Path, hz: int) -> Path:
    """20 s of a tone."""
    path = folder / "tone.wav"
    soundfile.write(path, tone(hz, 20_000), 8_000)
    return path


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_rings_and_hangs_up(tmp_path: Path, transport: str) -> None:
    async with open_line() as (line, arrivals, _):
        target = f"127.0.0.1:{line.settings.port}"
        options = ("-m", "3", "-r", "5", "-d", "300", "-i", "127.0.0.1", "-t", transport)
        async with program(tmp_path, "sipp", "-sn", "uac", target, *options) as sipp:
            for _ in range(3):
                leg = await arrivals.next()
                await leg.answer()
                await event_of(leg, LegAnswered)
                assert (await event_of(leg, LegEnded)).reason == "far_end_hung_up"
            assert await asyncio.wait_for(sipp.wait(), 30) == 0
        assert line.legs == 0


async def test_we_ring_sipp_and_hang_up(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    options = ("-m", "1", "-i", "127.0.0.1", "-p", str(port))
    async with (
        open_line() as (line, _, _),
        program(tmp_path, "sipp", "-sn", "uas", *options) as sipp,
    ):
        leg = await line.dial(f"sip:service@127.0.0.1:{port}")
        await event_of(leg, LegAnswered)
        await leg.hang_up("tested")
        assert await asyncio.wait_for(sipp.wait(), 30) == 0


async def test_debian_baresip_rings_and_is_heard(tmp_path: Path) -> None:
    hum = humming(tmp_path, 900)
    home = baresip_folder(tmp_path, free_port("127.0.0.1"), hum, answers=False)
    async with open_line() as (_, arrivals, uri):
        words = ("baresip", "-f", str(home), "-e", f"/dial {uri}")
        async with program(tmp_path, *words):
            leg = await arrivals.next()
            await leg.answer()
            await event_of(leg, LegAnswered)
            async with clocked(leg, hz=440) as received:
                samples = await loud_frames(received, 30)
    assert loudest_hz(samples, 16_000) == pytest.approx(900, abs=15)


async def test_we_ring_debian_baresip_and_hear_it(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    home = baresip_folder(tmp_path, port, humming(tmp_path, 700), answers=True)
    async with open_line() as (line, _, _), program(tmp_path, "baresip", "-f", str(home)):
        leg = await line.dial(f"sip:debian@127.0.0.1:{port}")
        await event_of(leg, LegAnswered)
        async with clocked(leg, hz=440) as received:
            samples = await loud_frames(received, 30)
        await leg.hang_up("tested")
        await event_of(leg, LegEnded)
    assert loudest_hz(samples, 16_000) == pytest.approx(700, abs=15)
