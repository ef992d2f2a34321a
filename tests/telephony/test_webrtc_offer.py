"""What a page may offer, decided on text alone."""

from __future__ import annotations

import json

import pytest

from telephony.webrtc_offer import (
    MAX_CANDIDATES,
    OfferMalformed,
    OfferUnsupported,
    OfferWithoutAudio,
    checked_description,
    offered_description,
)

SESSION = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
TRANSPORT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:actpass\r\n"
)
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendrecv\r\n"
    "a=mid:0\r\na=rtpmap:111 opus/48000/2\r\n" + TRANSPORT
)
DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
    "a=sctp-port:5000\r\n" + TRANSPORT
)
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:2\r\n"
    "a=rtpmap:96 VP8/90000\r\n" + TRANSPORT
)


def candidate(address: str, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2122260223 {address} 50000 typ host\r\n"


def test_an_ordinary_offer_passes_unchanged() -> None:
    offer = SESSION + AUDIO + DATA
    assert checked_description(offer) == offer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[" * 50_000,
        b"[]",
        b'"v=0"',
        b"{}",
        b'{"type": "offer"}',
        b'{"type": "offer", "sdp": 1}',
        b'{"type": "offer", "sdp": "hello"}',
        json.dumps({"type": "answer", "sdp": SESSION}).encode(),
    ],
)
def test_a_body_that_is_no_offer_is_malformed(body: bytes) -> None:
    with pytest.raises(OfferMalformed):
        offered_description(body)


@pytest.mark.parametrize(
    "description",
    [
        SESSION + "m=audio nine UDP/TLS/RTP/SAVPF 111\r\n",
        SESSION + "m=\r\n",
        SESSION + AUDIO.replace("a=setup:actpass", "a=setup:perhaps"),
        SESSION + AUDIO + "a=fmtp:112 minptime=10\r\n",
        SESSION + AUDIO + "a=candidate:1\r\n",
        SESSION + AUDIO.replace("opus/48000/2", "opus/fast"),
        SESSION + AUDIO.replace("a=ice-ufrag:abcd\r\n", ""),
        SESSION + AUDIO.replace("a=setup:actpass\r\n", ""),
        SESSION + AUDIO.replace("a=rtcp-mux\r\n", ""),
        SESSION + "a=group:BUNDLE 7 0\r\n" + AUDIO,
        SESSION + AUDIO + DATA.replace("a=mid:1", "a=mid:0"),
    ],
)
def test_a_broken_description_is_malformed(description: str) -> None:
    with pytest.raises(OfferMalformed):
        checked_description(description)


@pytest.mark.parametrize(
    "description",
    [
        SESSION,
        SESSION + DATA,
        SESSION + AUDIO.replace("sendrecv", "recvonly"),
        SESSION + AUDIO.replace("sendrecv", "inactive"),
        SESSION + AUDIO.replace("m=audio 9", "m=audio 0"),
    ],
)
def test_an_offer_without_two_way_audio_is_refused(description: str) -> None:
    with pytest.raises(OfferWithoutAudio):
        checked_description(description)


@pytest.mark.parametrize(
    "description",
    [
        SESSION + AUDIO.replace("opus/48000/2", "speex/16000"),
        SESSION + AUDIO + VIDEO,
        SESSION + AUDIO + AUDIO,
        SESSION + AUDIO + DATA + DATA,
    ],
)
def test_media_the_line_does_not_take_is_unsupported(description: str) -> None:
    with pytest.raises(OfferUnsupported):
        checked_description(description)


def test_candidates_that_cannot_be_used_are_left_out() -> None:
    kept = candidate("192.0.2.7") + candidate("2001:db8::7")
    unusable = (
        candidate("7d9c0d3e-12ab-4c5d-8e9f-001122334455.local")
        + candidate("caller.example")
        + candidate("192.0.2.7", "tcp")
        + candidate("224.0.0.251")
        + candidate("::")
    )
    checked = checked_description(SESSION + AUDIO + unusable + kept + "a=end-of-candidates\r\n")
    assert "end-of-candidates" not in checked
    assert [line for line in checked.splitlines() if "a=candidate" in line] == kept.splitlines()


def test_candidates_are_bounded() -> None:
    many = "".join(candidate(f"192.0.2.{n}") for n in range(1, 200))
    assert checked_description(SESSION + AUDIO + many).count("a=candidate") == MAX_CANDIDATES
