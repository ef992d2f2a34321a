"""What the plain telephone sends and hears, packet by packet and message by message."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evals.latency.ear import Ear, gaps, sounding
from evals.latency.impairments import Impairments, Network
from evals.latency.mouth import Mouth, Noise
from evals.latency.rtp import (
    PCMA,
    PCMU,
    KeyListener,
    RtpPacket,
    Unwrapped,
    decoded,
    encoded,
    key_events,
    read_packet,
)
from evals.latency.sip_messages import (
    SipMessage,
    address,
    describe,
    host_and_port,
    parameter,
    read_description,
    read_message,
    split_routes,
)
from evals.latency.sip_state import DialogState
from evals.wire_audio import PACKET_SAMPLES, Span, Utterance
from evals.wire_call import CallError
from tests.evals.spoken import spoken, tone

# --- packets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "codes", "levels"),
    [
        (PCMU, b"\xff\x7f\x80\x00", [0, 0, 32_124, -32_124]),
        (PCMA, b"\xd5\x55\xaa\x2a", [8, -8, 32_256, -32_256]),
    ],
)
def test_g711_is_decoded_as_the_standard_has_it(kind: int, codes: bytes, levels: list[int]) -> None:
    assert list(decoded(codes, kind)) == levels


@pytest.mark.parametrize("kind", [PCMU, PCMA])
def test_g711_there_and_back_is_near_and_stays_where_it_is(kind: int) -> None:
    samples = np.arange(-32_768, 32_768, 7, dtype=np.int32).astype(np.int16)
    once = decoded(encoded(samples, kind), kind)
    error = np.abs(once.astype(int) - samples)
    assert (error <= np.maximum(16, np.abs(samples.astype(int)) // 16)).all()
    assert (decoded(encoded(once, kind), kind) == once).all()


def test_silence_is_the_usual_code() -> None:
    assert encoded(np.zeros(2, dtype=np.int16), PCMU) == b"\xff\xff"


def test_a_packet_is_read_as_it_was_written() -> None:
    packet = RtpPacket(8, 65_535, 0xFFFFFFF0, 7, b"sound", marker=True)
    assert read_packet(packet.encode()) == packet


def test_extension_sources_and_padding_are_no_sound() -> None:
    plain = RtpPacket(0, 1, 2, 3, b"").encode()
    first = bytes([0x80 | 0x20 | 0x10 | 1])
    data = first + plain[1:] + b"csrc" + b"\x00\x00\x00\x01" + b"extn" + b"sound" + b"\x00\x02"
    packet = read_packet(data)
    assert packet is not None
    assert packet.payload == b"sound"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x00" * 40,
        b"\x80\xc8" + b"\x00" * 20,
        b"\x90\x00" + b"\x00" * 10,
        b"\xa0\x00" + b"\x00" * 10 + b"\xff",
        b"\x8f\x00" + b"\x00" * 12,
    ],
    ids=["empty", "text", "version 0", "rtcp", "no extension", "padding too long", "sources"],
)
def test_garbage_is_no_packet(data: bytes) -> None:
    assert read_packet(data) is None


def test_counters_never_wrap_and_may_go_back() -> None:
    counter = Unwrapped(16)
    assert [counter.value(n) for n in (65_534, 65_535, 0, 65_533, 1)] == [
        *(65_534, 65_535, 65_536, 65_533, 65_537)
    ]


def test_a_key_is_heard_once_however_often_its_packets_come() -> None:
    listener, heard = KeyListener(), ""
    for place, key in enumerate("1#A1"):
        for payload, _ in key_events(key):
            for _ in range(2):
                heard += listener.hear(RtpPacket(101, 0, place * 2_000, 5, payload))
    assert heard == "1#A1"
    assert listener.hear(RtpPacket(101, 0, 1, 5, b"")) == ""
    assert listener.hear(RtpPacket(101, 0, 1, 5, b"\xff\x00\x00\x00")) == ""


def test_a_key_ends_three_times_and_lasts_longer_and_longer() -> None:
    payloads = [payload for payload, _ in key_events("5")]
    durations = [int.from_bytes(payload[2:], "big") for payload in payloads]
    assert durations == sorted(durations)
    assert [bool(payload[1] & 0x80) for payload in payloads] == [False] * 5 + [True] * 3


# --- the ear -------------------------------------------------------------------------------------

QUIET = np.zeros(PACKET_SAMPLES, dtype=np.int16)
LOUD = tone(20)


def heard(*packets: tuple[int, int, bool]) -> tuple[Ear, list[tuple[float, float]]]:
    """An ear that heard packets (arrival in ms, sequence, loud), and what sounds when, in ms."""
    ear = Ear()
    for arrived_ms, sequence, loud in packets:
        ear.hear(arrived_ms / 1000, 1, sequence, LOUD if loud else QUIET)
    _, spans = sounding(ear.heard, 0.0)
    return ear, [(span.start / 8, span.end / 8) for span in spans]


def test_samples_are_heard_from_their_arrival() -> None:
    _, spans = heard((0, 1, True), (20, 2, True), (45, 3, True))
    assert spans == [(0, 20), (20, 40), (45, 65)]


def test_packets_that_come_at_once_sound_one_after_the_other_until_a_quiet_one() -> None:
    _, spans = heard((0, 1, True), (50, 2, True), (50, 3, True), (60, 4, False), (80, 5, True))
    assert spans == [(0, 20), (50, 70), (70, 90), (90, 80 + 10), (90, 110)]


def test_the_first_word_after_silence_sits_at_its_arrival() -> None:
    _, spans = heard((0, 1, False), (28, 2, False), (40, 3, True))
    assert spans[2] == (40, 60)
    assert spans[1] == (28, 40)


def test_what_comes_late_or_twice_is_counted_and_not_heard() -> None:
    ear, spans = heard((0, 1, True), (40, 3, True), (45, 2, True), (50, 3, True), (60, 6, True))
    assert len(spans) == 3
    assert (ear.late, ear.duplicates, ear.lost, ear.received) == (1, 1, 2, 5)


def test_a_new_stream_begins_anew() -> None:
    ear = Ear()
    for source, sequence in ((1, 9_000), (1, 9_001), (2, 5), (2, 6), (2, 40_000)):
        ear.hear(0.0, source, sequence, LOUD)
    assert ear.duplicates == 0
    assert [one.begins for one in ear.heard[:4]] == [True, False, True, False]


@pytest.mark.parametrize(
    ("packets", "expected_ms"),
    [
        ([(0, 1, True), (20, 2, True)], []),
        ([(0, 1, True), (90, 2, True)], [70]),
        ([(0, 1, True), (80, 5, True)], [60]),
        ([(0, 1, False), (90, 2, False)], []),
        ([(0, 1, False), (80, 5, False)], [60]),
    ],
    ids=["steady", "late", "lost", "late but silent", "lost between silence"],
)
def test_gaps_are_where_packets_were_missing_or_late(
    packets: list[tuple[int, int, bool]], expected_ms: list[float]
) -> None:
    ear, _ = heard(*packets)
    found = gaps(ear.heard, sounding(ear.heard, 0.0)[1])
    assert [gap.length_ms for gap in found] == expected_ms


def test_a_sender_that_paused_on_purpose_leaves_no_gap() -> None:
    ear = Ear()
    ear.hear(0.0, 1, 1, LOUD)
    ear.hear(2.0, 1, 2, LOUD, begins=True)
    assert gaps(ear.heard, sounding(ear.heard, 0.0)[1]) == []


# --- the mouth and the network -------------------------------------------------------------------


def test_the_mouth_is_silent_until_it_is_told_and_ends_with_the_last_frame() -> None:
    mouth = Mouth()
    assert not mouth.next_frame().narrow.any()
    mouth.say(Utterance("a", tone(50), Span(0, 400)))
    frames = [mouth.next_frame() for _ in range(4)]
    assert [frame.last for frame in frames] == [False, False, True, False]
    assert (np.concatenate([frame.narrow for frame in frames[:3]])[:400] == tone(50)).all()
    assert [len(frame.wide) for frame in frames] == [320] * 4
    mouth.say(spoken())
    mouth.hush()
    assert not mouth.speaking


def test_a_background_goes_on_for_ever_under_speech_and_silence() -> None:
    noise = Noise(np.arange(1, 501, dtype=np.int16))
    mouth = Mouth(noise.started_at(400))
    wide = np.concatenate([mouth.next_frame().wide for _ in range(3)])
    assert list(wide[:3]) == [401, 402, 403]
    assert list(wide[99:102]) == [500, 1, 2]
    with pytest.raises(ValueError, match="samples"):
        Noise(np.zeros(0, dtype=np.int16))


def test_a_bad_network_is_the_same_each_time_and_as_bad_as_asked() -> None:
    made = Impairments(
        loss_percent=10, reorder_percent=5, duplicate_percent=3, jitter_ms=20, seed=3
    )
    network, again = Network(made), Network(made)
    fates = [network.fates() for _ in range(4_000)]
    assert fates == [again.fates() for _ in range(4_000)]
    assert fates != [Network(made.seeded(1)).fates() for _ in range(4_000)]
    lost = sum(not fate for fate in fates)
    assert 300 < lost < 500
    assert 60 < sum(len(fate) == 2 for fate in fates) < 180
    assert max(max(fate, default=0) for fate in fates) <= 0.05
    assert Network(Impairments()).fates() == (0.0,)


@pytest.mark.parametrize(
    "bad",
    [
        {"loss_percent": 101},
        {"reorder_percent": -1},
        {"duplicate_percent": math.nan},
        {"jitter_ms": -1},
        {"jitter_ms": math.nan},
        {"jitter_ms": math.inf},
    ],
)
def test_a_network_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between|negative"):
        Impairments(**bad)  # type: ignore[arg-type]


# --- messages ------------------------------------------------------------------------------------

RESPONSE = (
    b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\n"
    b"To: <sip:c@d>;tag=2\r\ni: x\r\nCSeq: 7 INVITE\r\nm: <sip:e@f:5;x=y>\r\nl: 4\r\n\r\nbody"
)


def test_a_message_is_read_with_short_and_folded_headers() -> None:
    message = read_message(RESPONSE.replace(b"To: ", b"To:\r\n  "))
    assert message is not None
    assert (message.status, message.reason, message.method) == (200, "OK", "")
    assert message.sequence == (7, "INVITE")
    assert message.branch == "z9hG4bK1"
    assert address(message.get("Contact")) == "sip:e@f:5;x=y"
    assert parameter(message.get("To"), "tag") == "2"
    assert read_message(message.encode()) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x00rtp",
        b"SIP/2.0 200 OK\r\n\r\n",
        RESPONSE.replace(b"i: x\r\n", b""),
        RESPONSE.replace(b"i: x", b"no colon"),
        RESPONSE.replace(b"200", b"999"),
        RESPONSE.replace(b"CSeq: 7", "CSeq: ²".encode()),
        RESPONSE.replace(b"CSeq: 7", b"CSeq: " + b"7" * 5_000),
        RESPONSE.replace(b"\r\n\r\n", b"\r\n"),
        b"\xff\xfe\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_garbage_is_no_message(data: bytes) -> None:
    assert read_message(data) is None


def test_routes_are_told_apart() -> None:
    assert split_routes(["<sip:a;lr>, <sip:b;lr>", "<sip:c;lr>"]) == [
        *("<sip:a;lr>", "<sip:b;lr>", "<sip:c;lr>")
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:agent@127.0.0.1:5062", ("127.0.0.1", 5062)),
        ("sip:127.0.0.1", ("127.0.0.1", 5060)),
        ("sip:a@[::1]:5070;transport=udp", ("::1", 5070)),
    ],
)
def test_where_an_address_is(uri: str, expected: tuple[str, int]) -> None:
    assert host_and_port(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "agent",
        "tel:1",
        "sip:",
        "sips:a@b",
        "sip:a@b;transport=tls",
        "sip:a@b:99999",
        "sip:a@b:0",
    ],
)
def test_an_address_that_udp_does_not_reach_is_refused(uri: str) -> None:
    with pytest.raises(CallError):
        host_and_port(uri)


def test_a_description_is_read_as_it_was_written() -> None:
    media = read_description(describe("10.0.0.1", 4_000, "sendonly", 1, (PCMA, PCMU)))
    assert (media.host, media.port, media.payload_type) == ("10.0.0.1", 4_000, PCMA)
    assert (media.keys_type, media.direction) == (101, "sendonly")


SDP = b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no audio"),
        (b"\xff\xff", "no audio"),
        (b"v=0\r\nm=video 9 RTP/AVP 31\r\n", "no audio"),
        (SDP.replace(b"audio 9", b"audio 0"), "no audio"),
        (SDP.replace(b"audio 9", b"audio x"), "no audio"),
        (SDP.replace(b"audio 9", b"audio 65536"), "no audio"),
        (SDP.replace(b"audio 9", b"audio " + b"9" * 5_000), "no audio"),
        (SDP.replace(b"AVP 0", b"AVP " + b"9" * 5_000), "no audio"),
        (SDP.replace(b"RTP/AVP", b"RTP/SAVP"), "RTP/SAVP"),
        (SDP.replace(b"AVP 0", b"AVP 9 96"), "neither"),
        (SDP.replace(b"c=IN IP4 1.2.3.4\r\n", b""), "neither"),
    ],
)
def test_a_description_without_usable_audio_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(CallError, match=why):
        read_description(body)


@pytest.mark.parametrize("kind", [b"128", b"999", b"9" * 5_000])
def test_keys_of_a_type_that_no_packet_can_have_are_not_taken(kind: bytes) -> None:
    assert read_description(SDP + b"a=rtpmap:" + kind + b" telephone-event/8000\r\n").keys_type == 0


def test_requests_take_the_route_that_proxies_asked_for() -> None:
    state = DialogState("sip:a@b", ("10.0.0.1", 5060))
    state.sit_at("10.0.0.2", 4_000)
    invite = state.request("INVITE")
    assert state.next_hop() == ("10.0.0.1", 5060)
    headers = [("To", "<sip:a@b>;tag=9"), ("Contact", "<sip:c@d>")]
    routes = [("Record-Route", "<sip:10.0.0.3:5070;lr>"), ("Record-Route", "<sip:10.0.0.4;lr>")]
    state.take_answer(SipMessage("SIP/2.0 200 OK", headers + routes))
    bye = state.request("BYE")
    assert bye.start == "BYE sip:c@d SIP/2.0"
    assert bye.all("Route") == ["<sip:10.0.0.4;lr>", "<sip:10.0.0.3:5070;lr>"]
    assert state.next_hop() == ("10.0.0.4", 5060)
    assert bye.sequence == (2, "BYE")
    assert state.request("ACK", number=1).sequence == (1, "ACK")
    assert parameter(bye.get("From"), "tag") == parameter(invite.get("From"), "tag")
