"""REFER, blind and attended, to programs that share no code with us: sipp and Debian's baresip.

Run where both are installed (``-m interop``); a missing program is a failure, not a skip.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evals.wire_line import free_port
from telephony.call import TRANSFERRED, LegAnswered, LegEnded, LegState
from telephony.errors import NotTransferred
from telephony.sip_leg import SipLeg
from tests.telephony.debian_phone import baresip_folder, program
from tests.telephony.sip_stage import Arrivals, clocked, event_of, far_end, open_line
from tests.telephony.sipp_caller import (
    HANGS_UP,
    IS_HELD,
    IS_HUNG_UP_ON,
    IS_TAKEN_BACK,
    RINGS_AND_IS_ANSWERED,
    is_referred,
    reports,
    sipp_caller,
)
from tests.telephony.test_sip_interop import humming

pytestmark = [pytest.mark.loopback, pytest.mark.interop]

HUMAN = "sip:human@127.0.0.1:5070"
TRYING = reports("100 Trying", 2, "active;expires=60")
REFER_TO_HUMAN = "sip:human@127.0.0.1:5070"
_TAG = "[0-9a-f]+"
REFER_TO_REPLACES = (
    r"sip:peer@127.0.0.1:[0-9]+;transport=udp\?"
    f"Replaces={_TAG}%3Bto-tag%3D{_TAG}%3Bfrom-tag%3D{_TAG}"
)


async def answered(arrivals: Arrivals) -> SipLeg:
    leg = await arrivals.next()
    await leg.answer()
    await event_of(leg, LegAnswered)
    assert isinstance(leg, SipLeg)
    return leg


@contextlib.asynccontextmanager
async def with_sipp(
    folder: Path, *parts: str
) -> AsyncIterator[tuple[SipLeg, asyncio.subprocess.Process]]:
    async with (
        open_line(transfers="replaces") as (line, arrivals, _),
        sipp_caller(folder, line.settings.port, RINGS_AND_IS_ANSWERED, *parts) as sipp,
    ):
        yield await answered(arrivals), sipp


async def went_as_written(sipp: asyncio.subprocess.Process) -> bool:
    return await asyncio.wait_for(sipp.wait(), 40) == 0


async def test_a_blind_transfer_that_is_done_ends_the_leg(tmp_path: Path) -> None:
    done = reports("200 OK", 3, "terminated;reason=noresource")
    parts = is_referred("202 Accepted", REFER_TO_HUMAN), TRYING, done, IS_HUNG_UP_ON
    async with with_sipp(tmp_path, *parts) as (leg, sipp):
        await leg.refer(HUMAN)
        assert await event_of(leg, LegEnded) == LegEnded(TRANSFERRED)
        assert await went_as_written(sipp)


@pytest.mark.parametrize("answer", ["403 Forbidden", "405 Method Not Allowed", "503 Unavailable"])
async def test_a_refer_that_is_refused_leaves_the_leg_as_it_was(
    tmp_path: Path, answer: str
) -> None:
    async with with_sipp(tmp_path, is_referred(answer, REFER_TO_HUMAN), HANGS_UP) as (leg, sipp):
        with pytest.raises(NotTransferred) as refused:
            await leg.refer(HUMAN)
        assert refused.value.sip_code == int(answer[:3])
        assert await event_of(leg, LegEnded) == LegEnded("far_end_hung_up")
        assert await went_as_written(sipp)


async def test_a_transfer_that_fails_later_leaves_the_leg_as_it_was(tmp_path: Path) -> None:
    failed = reports("486 Busy Here", 3, "terminated;reason=noresource")
    parts = is_referred("202 Accepted", REFER_TO_HUMAN), TRYING, failed, HANGS_UP
    async with with_sipp(tmp_path, *parts) as (leg, sipp):
        with pytest.raises(NotTransferred) as refused:
            await leg.refer(HUMAN)
        assert refused.value.sip_code == 486
        assert await went_as_written(sipp)


@pytest.mark.parametrize("answer", ["202 Accepted", ""])
async def test_an_outcome_that_never_comes_can_be_given_up(tmp_path: Path, answer: str) -> None:
    parts = is_referred(answer, REFER_TO_HUMAN), '<pause milliseconds="20000"/>'
    async with with_sipp(tmp_path, *parts) as (leg, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await leg.refer(HUMAN)
        assert leg.state is LegState.ANSWERED


async def test_an_attended_transfer_names_the_dialog_with_the_person(tmp_path: Path) -> None:
    done = reports("200 OK", 3, "terminated;reason=noresource")
    parts = IS_HELD, is_referred("202 Accepted", REFER_TO_REPLACES), TRYING, done, IS_HUNG_UP_ON
    async with (
        far_end() as peer,
        open_line(transfers="replaces") as (line, arrivals, _),
        sipp_caller(tmp_path, line.settings.port, RINGS_AND_IS_ANSWERED, *parts) as sipp,
    ):
        caller = await answered(arrivals)
        person = await line.dial(peer.uri)
        await peer.until("ringing")
        await peer.do("answer")
        await event_of(person, LegAnswered)
        await caller.refer(person)
        assert await event_of(caller, LegEnded) == LegEnded(TRANSFERRED)
        assert await went_as_written(sipp)


async def test_after_an_attended_transfer_fails_both_are_held_and_can_be_taken_back(
    tmp_path: Path,
) -> None:
    refused = is_referred("202 Accepted", REFER_TO_REPLACES)
    failed = reports("481 Call Does Not Exist", 3, "terminated;reason=noresource")
    parts = IS_HELD, refused, TRYING, failed, IS_TAKEN_BACK, HANGS_UP
    async with (
        far_end() as peer,
        open_line(transfers="replaces") as (line, arrivals, _),
        sipp_caller(tmp_path, line.settings.port, RINGS_AND_IS_ANSWERED, *parts) as sipp,
    ):
        caller = await answered(arrivals)
        person = await line.dial(peer.uri)
        await peer.until("ringing")
        await peer.do("answer")
        await event_of(person, LegAnswered)
        async with clocked(person, hz=440):
            with pytest.raises(NotTransferred):
                await caller.refer(person)
            await peer.until("held")
            await caller.hold(False)
            await person.hold(False)
            await peer.until("resumed")
            await peer.do("listen", ms=400, from_now=True)
            assert (await peer.until("heard"))["hz"] == pytest.approx(440, abs=15)
        assert await went_as_written(sipp)


async def test_debian_baresip_is_transferred_to_sipp(tmp_path: Path) -> None:
    hum = humming(tmp_path, 900)
    home = baresip_folder(tmp_path, free_port("127.0.0.1"), hum, answers=False)
    port = free_port("127.0.0.1")
    uas = ("sipp", "-sn", "uas", "-m", "1", "-i", "127.0.0.1", "-p", str(port))
    async with (
        open_line(transfers="refer") as (_, arrivals, uri),
        program(tmp_path, *uas),
        program(tmp_path, "baresip", "-f", str(home), "-e", f"/dial {uri}"),
    ):
        leg = await answered(arrivals)
        await leg.refer(f"sip:human@127.0.0.1:{port}")
        assert await event_of(leg, LegEnded) == LegEnded(TRANSFERRED)


async def test_debian_baresip_that_finds_nobody_there_stays(tmp_path: Path) -> None:
    hum = humming(tmp_path, 900)
    home = baresip_folder(tmp_path, free_port("127.0.0.1"), hum, answers=False)
    async with (
        open_line(transfers="refer") as (line, arrivals, uri),
        program(tmp_path, "baresip", "-f", str(home), "-e", f"/dial {uri}"),
    ):
        leg = await answered(arrivals)
        with pytest.raises(NotTransferred):
            await leg.refer(f"sip:nobody@127.0.0.1:{free_port('127.0.0.1')};transport=tcp")
        assert leg.state is LegState.ANSWERED
        assert line.legs == 1
