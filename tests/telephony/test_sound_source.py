"""Who is taken for the sender of a call's sound, and what was agreed about it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from evals.latency.rtp import PCMU, RtpPacket
from telephony.sip_offers import Agreed, Offers, Sound, sound_in
from telephony.sound_source import FIRST_PACKETS, OTHER_PACKETS, SourceJudge
from telephony.udp_filter import Source

OURS, PHONE, NAT, EVIL = map(ip_address, ("192.0.2.1", "10.0.0.9", "203.0.113.7", "198.51.100.6"))
BEHIND_NAT = Agreed(Sound(OURS, 20_000), Sound(PHONE, 4_000), frozenset({NAT}))
LEARNT = Source(NAT, 61_000)


def rtp(number: int, ssrc: int = 1) -> bytes:
    return RtpPacket(PCMU, number % 65_536, number * 160, ssrc, b"\xff" * 160, False).encode()


def judged(judge: SourceJudge, source: Source, packets: int, first: int = 65_530) -> Source | None:
    """What the judge makes of so many packets of one source."""
    port = source.port or 0
    found = [judge.heard(rtp(first + n), source.address, port) for n in range(packets)]
    return found[-1]


def test_a_caller_behind_a_nat_is_known_after_a_few_packets() -> None:
    judge = SourceJudge(BEHIND_NAT)
    assert judged(judge, LEARNT, FIRST_PACKETS - 1) is None
    assert judge.heard(rtp(65_530 + FIRST_PACKETS), NAT, 61_000) == LEARNT


def test_the_agreed_source_is_known_at_once() -> None:
    assert judged(SourceJudge(BEHIND_NAT), Source(PHONE, 4_000), 1) == Source(PHONE, 4_000)


def test_who_has_nothing_to_do_with_the_call_is_never_known() -> None:
    assert judged(SourceJudge(BEHIND_NAT), Source(EVIL, 4_000), 200) is None


def test_another_source_needs_a_stream_and_the_silence_of_the_known_one() -> None:
    judge = SourceJudge(BEHIND_NAT, LEARNT)
    assert judged(judge, Source(NAT, 7), OTHER_PACKETS - 1) is None
    assert judge.heard(rtp(5), NAT, 61_000) == LEARNT
    other = SourceJudge(BEHIND_NAT, LEARNT)
    assert judged(other, Source(NAT, 7), OTHER_PACKETS) == Source(NAT, 7)


@pytest.mark.parametrize(
    "packet", [b"", b"\x80", rtp(1)[:11], b"\x00" + rtp(1)[1:], b"\x80\xc8" + rtp(1)[2:]]
)
def test_what_is_no_sound_counts_for_nothing(packet: bytes) -> None:
    judge = SourceJudge(BEHIND_NAT)
    assert [judge.heard(packet, NAT, 9) for _ in range(9)] == [None] * 9


def test_a_packet_sent_again_and_again_is_no_stream() -> None:
    judge = SourceJudge(BEHIND_NAT)
    assert [judge.heard(rtp(7), NAT, 9) for _ in range(9)] == [None] * 9


# --- what was agreed ---------------------------------------------------------------------------


def sdp(address: str, port: int) -> str:
    return f"v=0\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"


def message(
    way: str, start: str, body: str, *, branch: str = "z9hG4bKa", method: str = "INVITE",
    to_tag: str = "", via: str = "", source: str = "203.0.113.7:5060",
) -> str:  # fmt: skip
    path = f"{source} -> 192.0.2.1:5060" if way == "RX" else f"192.0.2.1:5060 -> {source}"
    tag = f";tag={to_tag}" if to_tag else ""
    return (
        f"{way} UDP {path}\n{start}\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch={branch}{via}\r\n"
        f"To: <sip:agent@192.0.2.1>{tag}\r\nCall-ID: one\r\nCSeq: 7 {method}\r\n\r\n{body}"
    )


INVITE = message("RX", "INVITE sip:agent@192.0.2.1 SIP/2.0", sdp("10.0.0.9", 4_000))
ACCEPTED = message("TX", "SIP/2.0 200 OK", sdp("192.0.2.1", 20_000), to_tag="ours")


def test_an_offer_counts_once_it_is_answered() -> None:
    offers = Offers()
    assert offers.read(INVITE) is None
    assert offers.read(ACCEPTED) == BEHIND_NAT
    assert BEHIND_NAT.behind_nat


def test_an_offer_that_was_refused_or_belongs_to_another_transaction_counts_for_nothing() -> None:
    offers = Offers()
    offers.read(INVITE)
    forged = INVITE.replace("branch=z9hG4bKa", "branch=z9hG4bKb").replace("10.0.0.9 ", "6.6.6.6 ")
    offers.read(forged.replace("4000", "666"))
    refused = message("TX", "SIP/2.0 481 No", sdp("192.0.2.1", 20_000), branch="z9hG4bKb")
    assert offers.read(refused) is None
    assert offers.read(ACCEPTED) == BEHIND_NAT


FLOOD = 600


def test_a_flood_of_offers_costs_those_of_its_own_source_only() -> None:
    offers = Offers()
    offers.read(INVITE)
    for number in range(FLOOD):
        forged = INVITE.replace("z9hG4bKa", f"z9hG4bKf{number}")
        offers.read(forged.replace("203.0.113.7:", "198.51.100.6:"))
    assert offers.lost > 0
    assert offers.read(ACCEPTED) == BEHIND_NAT


def test_an_answered_offer_is_not_lost_when_the_answer_is_sent_again() -> None:
    offers = Offers()
    offers.read(INVITE)
    assert offers.read(ACCEPTED) == BEHIND_NAT
    for number in range(FLOOD):
        offers.read(INVITE.replace("z9hG4bKa", f"z9hG4bKf{number}"))
    assert offers.read(ACCEPTED) == BEHIND_NAT


def test_a_call_whose_offer_is_lost_hears_only_where_our_answer_goes() -> None:
    offers = Offers()
    offers.read(INVITE)
    for number in range(FLOOD):
        offers.read(INVITE.replace("z9hG4bKa", f"z9hG4bKf{number}"))
    agreed = offers.read(ACCEPTED)
    assert agreed is not None
    assert agreed.hosts == {NAT}
    assert agreed.behind_nat, "its port has to be learnt"
    judge = SourceJudge(agreed)
    assert judged(judge, Source(EVIL, 4_000), 200) is None
    assert judged(judge, LEARNT, FIRST_PACKETS) == LEARNT


def test_our_own_offer_is_answered_only_by_who_got_it() -> None:
    offers = Offers()
    offers.read(message("TX", "INVITE sip:x@203.0.113.7 SIP/2.0", sdp("192.0.2.1", 20_000)))
    answer = message("RX", "SIP/2.0 183 Progress", sdp("10.0.0.9", 4_000))
    assert offers.read(answer.replace("z9hG4bKa", "z9hG4bKguessed")) is None
    assert offers.read(answer) == BEHIND_NAT


def test_an_offer_of_ours_in_an_answer_is_settled_by_the_acknowledgement() -> None:
    offers = Offers()
    offers.read(ACCEPTED)  # of an INVITE without a session description
    ack = message(
        "RX", "ACK sip:agent@192.0.2.1 SIP/2.0", sdp("10.0.0.9", 4_000),
        branch="z9hG4bKack", method="ACK", to_tag="ours",
    )  # fmt: skip
    assert offers.read(ack.replace("tag=ours", "tag=guessed")) is None
    assert offers.read(ack) == BEHIND_NAT


def test_the_address_a_proxy_saw_may_send() -> None:
    offers = Offers()
    seen = message(
        "RX", "INVITE sip:agent@192.0.2.1 SIP/2.0", sdp("10.0.0.9", 4_000),
        via=";received=203.0.113.7;rport=9", source="198.51.100.6:5060",
    )  # fmt: skip
    offers.read(seen)
    agreed = offers.read(ACCEPTED)
    assert agreed is not None
    assert agreed.hosts == {PHONE, NAT, EVIL}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (sdp("10.0.0.9", 4_000), Sound(PHONE, 4_000)),
        (sdp("10.0.0.9", 4_000).replace("t=0 0\r\n", "") + "c=IN IP4 203.0.113.7\r\n",
         Sound(NAT, 4_000)),
        (sdp("0.0.0.0", 4_000), None),  # noqa: S104 - on hold
        (sdp("10.0.0.9", 0), None),
        (sdp("10.0.0.9", 99_999), None),
        (sdp("999.1.1.1", 4_000), None),
        (sdp("phone.example", 4_000), None),
        ("m=audio 4000 RTP/AVP 0\r\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_sound_is_read_from_a_session_description(body: str, found: Sound | None) -> None:
    assert sound_in(f"INVITE sip:a SIP/2.0\r\n\r\n{body}") == found
