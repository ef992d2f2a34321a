"""What a web page may offer: decided on the text alone, before anything is opened for it.

Only audio, as Opus, and one data channel are taken; a call is not the place for video, and
decoding it would cost more than the whole call. Candidates hidden behind multicast names are left
out: the browser's own first connectivity check tells where it is (RFC 8445, section 7.3.1.3), so
the gateway need not listen to multicast and the answer does not wait for it.
"""

from __future__ import annotations

import ipaddress
import json

from aiortc.sdp import MediaDescription, SessionDescription

from telephony.errors import GatewayError

MAX_OFFER_BYTES = 64 * 1024
MAX_CANDIDATES = 40
AUDIO_CODEC = ("audio/opus", 48_000)
"""Every browser has it (RFC 7874, section 3)."""


class OfferRefused(GatewayError):
    """An offer that is not taken; ``status`` is the HTTP status, the message is for the page."""

    code = "offer_refused"
    status = 400


class OfferMalformed(OfferRefused):
    """Not JSON, not the expected fields, or no session description (RFC 8866)."""

    code = "offer_malformed"


class OfferWithoutAudio(OfferRefused):
    """A description with no audio in it that could be answered."""

    code = "offer_without_audio"


class OfferUnsupported(OfferRefused):
    """Nothing both sides speak: no common codec, or media this line does not take."""

    code = "offer_unsupported"
    status = 415


def offered_description(body: bytes) -> str:
    """The session description in a request body ``{"sdp": ..., "type": "offer"}``.

    Raises:
        OfferMalformed: anything else.
    """
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OfferMalformed("The offer is not JSON.") from error
    if not isinstance(offer, dict) or offer.get("type") != "offer":
        raise OfferMalformed('The offer must be an object with "type": "offer".')
    description = offer.get("sdp")
    if not isinstance(description, str) or not description.startswith("v=0"):
        raise OfferMalformed('The offer\'s "sdp" must be a session description.')
    return description


def checked_description(description: str) -> str:
    """``description`` without candidates that cannot be used, when it can be answered at all.

    Raises:
        OfferMalformed: not a session description, or without the keys of ICE and DTLS.
        OfferWithoutAudio: no audio, or audio one way only.
        OfferUnsupported: no common codec, video, several streams.
    """
    try:
        session = SessionDescription.parse(description)
    except Exception as error:  # the parser raises whatever the broken line makes it raise
        raise OfferMalformed("The session description is malformed.") from error
    audio = [media for media in session.media if media.kind == "audio"]
    data = [media for media in session.media if media.kind == "application"]
    if not audio:
        raise OfferWithoutAudio("The offer has no audio.")
    if len(audio) > 1 or len(data) > 1 or len(session.media) != len(audio) + len(data):
        raise OfferUnsupported("Only one audio stream and one data channel are taken.")
    if audio[0].direction not in (None, "sendrecv") or audio[0].port == 0:
        raise OfferWithoutAudio("The offer's audio does not go both ways.")
    if not any(
        (codec.mimeType.lower(), codec.clockRate) == AUDIO_CODEC for codec in audio[0].rtp.codecs
    ):
        raise OfferUnsupported("No common audio codec: offer Opus.")
    for media in session.media:
        _check_transport(media)
    names = [media.rtp.muxId for media in session.media]
    bundled = [name for group in session.group for name in group.items]
    if len(set(names)) < len(names) or not set(bundled) <= set(names):
        raise OfferMalformed("The offer bundles media it does not have.")
    return _with_usable_candidates(description)


def _check_transport(media: MediaDescription) -> None:
    if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
        raise OfferMalformed("The offer has no ICE credentials.")
    if media.dtls is None or not media.dtls.fingerprints:
        raise OfferMalformed("The offer has no DTLS fingerprint.")
    if media.kind == "audio" and not media.rtcp_mux:
        raise OfferMalformed("The offer does not multiplex RTCP.")


def _with_usable_candidates(description: str) -> str:
    kept: list[str] = []
    candidates = 0
    for line in description.splitlines():
        if line.startswith("a=end-of-candidates"):
            continue  # believed, it would end the wait for a browser that has to come by itself
        if line.startswith("a=candidate:"):
            if candidates == MAX_CANDIDATES or not _is_reachable(line):
                continue
            candidates += 1
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _is_reachable(line: str) -> bool:
    """A UDP candidate with an address in place of a name (RFC 8839, section 5.1)."""
    fields = line.split()
    try:
        address = ipaddress.ip_address(fields[4])
        transport = fields[2].lower()
    except (IndexError, ValueError):
        return False
    return transport == "udp" and not address.is_multicast and not address.is_unspecified
