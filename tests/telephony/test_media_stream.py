"""The contract between gateway and agent: its words, and our gateway held to it."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.call import DigitPressed, LegEnded, LegState
from telephony.media_stream import (
    Caption,
    Clear,
    Cleared,
    Dtmf,
    Mark,
    MediaStreamError,
    Message,
    Playout,
    Resume,
    Start,
    Stop,
    Transfer,
    check_audio,
    encode,
    parse,
)
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.media_stream_conformance import CHECKS, Check
from tests.telephony.stage import Stage, staged

MESSAGES: list[Message] = [
    Start("c1", "sip:a@b.invalid", "sip:c@d.invalid", "webrtc", resumed=True),
    Playout(100, 20, 400),
    Cleared(1, 2, 3),
    Resume("hung_up"),
    Dtmf("5", 90),
    Mark("m"),
    Stop("done"),
    Transfer("billing", "asked", "AAAA", "ringing"),
    Clear(),
    Caption("caller", "id", "naïve “text” 💬", final=False),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.event)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert parse(encode(message)) == message


def test_an_unknown_event_is_none_and_unknown_fields_are_ignored() -> None:
    assert parse('{"event": "telepathy", "x": 1}') is None
    assert parse('{"event": "mark", "name": "m", "later": true}') == Mark("m")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "7",
        "null",
        "{}",
        '{"event": 5}',
        '{"event": "mark"}',
        '{"event": "mark", "name": 5}',
        '{"event": "playout", "played_ms": "many", "buffered_ms": 0, "at_ms": 0}',
        '{"event": "caption", "speaker": "dog", "caption_id": "1", "text": "woof"}',
        '{"event": "transfer", "state": "lost in thought"}',
        "[" * 100_000,
        '{"event": "mark", "name": ',
        "\x00",
    ],
)
def test_what_is_not_a_message_is_one_error_that_quotes_nothing(text: str) -> None:
    with pytest.raises(MediaStreamError) as error:
        parse(text)
    assert error.value.code == "media_stream_invalid"
    assert "woof" not in str(error.value)


@given(st.text() | st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps))
def test_no_text_does_worse_than_that_error(text: str) -> None:
    with suppress(MediaStreamError):
        parse(text)


def test_half_a_sample_is_refused() -> None:
    assert check_audio(b"\0\0") == b"\0\0"
    with pytest.raises(MediaStreamError):
        check_audio(b"\0\0\0")


class OurGateway:
    """``telephony.gateway`` with a leg in memory and a clock turned by hand."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._caller = FakeLeg()

    async def ring(self) -> None:
        self._stage.ring(self._caller)
        await eventually(lambda: self._caller.state is LegState.ANSWERED)

    def speak(self, frames: list[bytes]) -> None:
        self._caller.speak(*frames)

    def press(self, digit: str) -> None:
        self._caller.tell(DigitPressed(digit, 100))

    async def hang_up(self) -> None:
        self._caller.tell(LegEnded("bye"))
        await self._stage.calls[0]

    async def pass_time(self, ms: int) -> None:
        await self._stage.clock.advance(ms / 1000)

    def heard(self) -> bytes:
        return self._caller.heard_audio

    def line_up(self) -> bool:
        return self._caller.state is not LegState.ENDED


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_gateway_keeps_the_contract(check: Check) -> None:
    async with staged() as stage:
        await check(OurGateway(stage), stage.agent)
