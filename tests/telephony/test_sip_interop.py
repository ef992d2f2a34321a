"""Calls with SIP programs that share no code with our stack's bindings: sipp and Debian's baresip.

Run where both are installed (``-m interop``); a missing program is a failure, not a skip.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import soundfile

from evals.wire_line import free_port
from telephony.call import LegAnswered, LegEnded
from tests.telephony.sip_peer import loudest_hz, tone
from tests.telephony.sip_stage import clocked, event_of, loud_frames, open_line

pytestmark = [pytest.mark.loopback, pytest.mark.interop]

MODULES = Path("/usr/lib/baresip/modules")


@contextlib.asynccontextmanager
async def program(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def baresip_folder(folder: Path, port: int, tone_hz: int, *, answers: bool) -> Path:
    """A configuration of Debian's baresip that plays a tone."""
    home = folder / "baresip"
    home.mkdir()
    first = 2 * (port // 2)
    soundfile.write(home / "tone.wav", tone(tone_hz, 20_000), 8_000)
    (home / "config").write_text(
        f"sip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\n"
        f"rtp_ports {min(first, 60_000)}-{min(first, 60_000) + 100}\n"
        f"audio_source aufile,{home}/tone.wav\naudio_player aubridge,null\n"
        "audio_alert aubridge,null\n"
        f"module_path {MODULES}\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n"
        "module_tmp account.so\nmodule_app menu.so\n"
    )
    mode = "auto" if answers else "manual"
    (home / "accounts").write_text(
        f"<sip:debian@127.0.0.1:{port}>;regint=0;answermode={mode};audio_codecs=PCMU\n"
    )
    (home / "contacts").write_text("")
    return home


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
    home = baresip_folder(tmp_path, free_port("127.0.0.1"), 900, answers=False)
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
    home = baresip_folder(tmp_path, port, 700, answers=True)
    async with open_line() as (line, _, _), program(tmp_path, "baresip", "-f", str(home)):
        leg = await line.dial(f"sip:debian@127.0.0.1:{port}")
        await event_of(leg, LegAnswered)
        async with clocked(leg, hz=440) as received:
            samples = await loud_frames(received, 30)
        await leg.hang_up("tested")
        await event_of(leg, LegEnded)
    assert loudest_hz(samples, 16_000) == pytest.approx(700, abs=15)
