"""One agent's time with a caller: what it says is heard, what it asks for is begun."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

import structlog

from telephony import metrics
from telephony.agent_link import AgentStream
from telephony.call import Leg
from telephony.call_media import CallMedia
from telephony.errors import StreamLost
from telephony.media_stream import (
    Announcement,
    CallBack,
    Caption,
    Clear,
    Consent,
    Disclosed,
    Dtmf,
    Mark,
    MediaStreamError,
    Message,
    Note,
    Pause,
    Steered,
    Stop,
    Transfer,
    Withdraw,
    check_audio,
)

log = structlog.get_logger(__name__)

_DIGIT = re.compile(r"[0-9*#A-D]")


def announced_audio(encoded: str) -> bytes:
    """The PCM of an announcement.

    Raises:
        MediaStreamError: not base64, or half a sample.
    """
    try:
        return check_audio(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as error:
        raise MediaStreamError("an announcement that is not base64 PCM") from error


class Conversation:
    """An open stream, read until it is lost. Each request of the agent goes to one callback."""

    def __init__(
        self,
        stream: AgentStream,
        media: CallMedia,
        caller: Leg,
        *,
        on_transfer: Callable[[Transfer, bytes], None],
        on_announcement: Callable[[bytes], None],
        on_withdraw: Callable[[], None],
        on_call_back: Callable[[CallBack, bytes], None],
        on_stop: Callable[[], None],
        on_key: Callable[[str], None],
        on_note: Callable[[Note], None],
        on_steered: Callable[[Steered], None],
        on_consent: Callable[[Consent], None],
        on_disclosed: Callable[[], None],
        on_pause: Callable[[Pause], None],
    ) -> None:
        self._stream = stream
        self._media = media
        self._caller = caller
        self._on_transfer = on_transfer
        self._on_announcement = on_announcement
        self._on_withdraw = on_withdraw
        self._on_call_back = on_call_back
        self._on_stop = on_stop
        self._on_key = on_key
        self._on_note = on_note
        self._on_steered = on_steered
        self._on_consent = on_consent
        self._on_disclosed = on_disclosed
        self._on_pause = on_pause

    async def run(self) -> int:
        """Listen to the agent until its stream is lost, then close it.

        Returns for how long it served, in ms of audio: 0 when it never spoke.
        """
        stream, media = self._stream, self._media
        try:
            async for item in stream.received():
                self._hear(item)
        except StreamLost as lost:
            metrics.AGENT_STREAMS_LOST.labels(lost.how).inc()
            log.warning("agent_lost", how=lost.how, reason=str(lost))
        served_ms = stream.clock_ms if media.agent_spoke else 0
        media.detach()
        await stream.close()
        return served_ms

    def _hear(self, item: bytes | Message) -> None:
        """
        Raises:
            StreamLost: one breach of the contract too many.
        """
        match item:
            case bytes():
                self._media.take_agent_audio(item)
            case Clear():
                self._media.clear_agent_audio()
            case Mark(name):
                if not self._media.take_mark(name):
                    self._stream.note_breach("too many marks")
            case Caption(speaker, caption_id, text, final):
                self._caller.show_caption(speaker, caption_id, text, final)
            case Dtmf(digit):
                if _DIGIT.fullmatch(digit):
                    self._on_key(digit)
                else:
                    self._stream.note_breach("a key no telephone has")
            case Transfer(state=""):
                self._on_transfer(item, self._sound_of(item.announcement))
            case Announcement(audio):
                self._on_announcement(self._sound_of(audio))
            case Withdraw():
                self._on_withdraw()
            case CallBack(state=""):
                self._on_call_back(item, self._sound_of(item.announcement))
            case Note():
                self._on_note(item)
            case Steered():
                self._on_steered(item)
            case Consent():
                self._on_consent(item)
            case Disclosed():
                self._on_disclosed()
            case Pause():
                self._on_pause(item)
            case Stop():
                self._on_stop()
            case _:
                self._stream.note_breach(f"an agent does not send {item.event}")

    def _sound_of(self, encoded: str) -> bytes:
        try:
            return announced_audio(encoded)
        except MediaStreamError as error:  # better a person without a brief than none
            self._stream.note_breach(str(error))
            return b""
