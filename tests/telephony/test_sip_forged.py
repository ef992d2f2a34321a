"""Signalling that somebody else sends into a call: forged, or sent once more."""

from __future__ import annotations

import pytest

from telephony.call import LegEnded, LegState
from tests.telephony.raw_dialog import Dialog, accepted, dialog
from tests.telephony.sip_stage import event_of
from tests.telephony.test_sip_bad_input import GOOD_SDP, RawPhone, invite

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE"])
@pytest.mark.parametrize(
    "tags", [{"from_tag": "forged"}, {"to_tag": "forged"}, {"from_tag": "x", "to_tag": "y"}]
)
async def test_a_request_that_does_not_know_the_dialog_changes_nothing(
    method: str, tags: dict[str, str]
) -> None:
    async with dialog() as call:
        call.send(call.request(method, **tags))
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


def refer(call: Dialog, **tags: str) -> bytes:
    """A REFER to somewhere expensive."""
    expensive = b"Refer-To: <sip:900123@127.0.0.1:9>\r\nContact:"
    return call.request("REFER", **tags).replace(b"Contact:", expensive)


async def test_a_party_cannot_send_us_elsewhere() -> None:
    async with dialog() as call:
        call.send(refer(call))
        assert await call.phone.final_status() == 501
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


@pytest.mark.parametrize(
    "tags", [{"from_tag": "forged"}, {"to_tag": "forged"}, {"from_tag": "x", "to_tag": "y"}]
)
async def test_a_forged_refer_moves_no_caller(tags: dict[str, str]) -> None:
    async with dialog() as call:
        call.send(refer(call, **tags))
        assert await call.phone.final_status() == 481
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


@pytest.mark.parametrize("subscription", [b"", b"Refer-Sub: false\r\n"])
async def test_a_refer_of_no_call_at_all_rings_nobody(subscription: bytes) -> None:
    async with dialog() as call:
        stray = refer(call).replace(f";tag={call.to_tag}".encode(), b"")
        stray = stray.replace(b"Call-ID: rough", b"Call-ID: stray").replace(
            b"Refer-To:", subscription + b"Refer-To:"
        )
        call.send(stray)
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


async def test_a_forged_outcome_of_a_transfer_nobody_asked_for_ends_nothing() -> None:
    async with dialog() as call:
        fragment = b"SIP/2.0 200 OK\r\n"
        notify = call.request("NOTIFY").replace(
            b"Content-Length: 0\r\n",
            b"Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
            b"Content-Type: message/sipfrag\r\nContent-Length: %d\r\n" % len(fragment),
        )
        call.send(notify + fragment)
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED


@pytest.mark.parametrize(
    "names", ["stray-1;to-tag=a;from-tag=b", "stray-1;to-tag={to_tag};from-tag=a1", "stray-1"]
)
async def test_an_invite_that_does_not_know_a_call_cannot_take_its_place(names: str) -> None:
    async with dialog() as call:
        other = RawPhone()
        try:
            replaces = f"Replaces: {names.format(to_tag=call.to_tag)}\r\nContact:".encode()
            asked = invite(call.uri, other.port, GOOD_SDP).replace(b"Contact:", replaces)
            other.send(asked, call.line.settings.port)
            assert await other.final_status() == 481
            assert call.leg.state is LegState.ANSWERED
            assert call.line.legs == 1
        finally:
            other.socket.close()


async def test_who_takes_a_calls_place_is_a_caller_like_any_other() -> None:
    """The stack lets a call be replaced by whoever knows its Call-ID: that ends it, and says so;
    what was said in it, and who was on the line, stays unknown to the newcomer."""
    async with dialog() as call:
        other = RawPhone()
        try:
            known = f"rough-{call.phone.port}-1;to-tag={call.to_tag};from-tag=a1"
            asked = invite(call.uri, other.port, GOOD_SDP)
            asked = asked.replace(b"Contact:", f"Replaces: {known}\r\nContact:".encode())
            other.send(asked, call.line.settings.port)
            newcomer = await call.arrivals.next()
            assert await event_of(call.leg, LegEnded) == LegEnded("replaced")
            assert newcomer is not call.leg
            assert newcomer.state is LegState.RINGING
        finally:
            other.socket.close()


async def test_a_cancel_of_somebody_elses_call_is_refused() -> None:
    async with dialog() as call:
        call.send(call.request("CANCEL", from_tag="forged", cseq=1))
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED


async def test_an_invite_sent_once_more_is_no_second_call() -> None:
    async with dialog() as call:
        call.send(invite(call.uri, call.phone.port, GOOD_SDP))
        call.send(call.request("OPTIONS"))
        await call.phone.final_status()
        assert call.arrivals.legs.empty()
        assert call.line.legs == 1


async def test_a_bye_sent_once_more_ends_nothing_else() -> None:
    async with dialog() as call:
        bye = call.request("BYE")
        call.send(bye)
        await event_of(call.leg, LegEnded)
        other = RawPhone()
        try:
            other.send(invite(call.uri, other.port, GOOD_SDP), call.line.settings.port)
            leg = await call.arrivals.next()
            await leg.answer()
            await accepted(other)
            call.send(bye.replace(b"-BYE-2", b"-BYE-again"))
            while await call.phone.final_status() == 200:
                pass  # the answer to the first one
            assert leg.state is not LegState.ENDED
        finally:
            other.socket.close()
