"""The gateway's end of the media stream: connect, send the caller, receive the agent.

Rules where the contract leaves room: what waits to be sent is bounded at ``MAX_QUEUED`` messages
(5 s of audio), and an agent that lets it fill is taken for hung; a message that breaks the contract
is counted and dropped, and the stream is closed at the ``MAX_BREACHES``-th.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import structlog

from telephony import metrics
from telephony.errors import AgentBusy, AgentLinkError, AgentRefused, AgentUnreachable, StreamLost
from telephony.media_stream import (
    FRAME_MS,
    MAX_MESSAGE_BYTES,
    MediaStreamError,
    Message,
    Start,
    Stop,
    check_audio,
    encode,
    parse,
)
from telephony.settings import AgentLinkSettings

log = structlog.get_logger(__name__)

MAX_QUEUED = 5_000 // FRAME_MS
MAX_BREACHES = 5
HEARTBEAT_S = 5.0
CLOSE_TIMEOUT_S = 1.0


class AgentStream:
    """One open media stream."""

    def __init__(self, opened: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = opened
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue(MAX_QUEUED)
        self._given_up: str | None = None
        self.breaches = 0
        self.frames_sent = 0
        """Caller frames given to this stream; times 20 ms, the agent's clock."""
        self._writer = asyncio.create_task(self._write())

    @property
    def clock_ms(self) -> int:
        """The caller's audio clock on this stream."""
        return self.frames_sent * FRAME_MS

    def send_audio(self, frame: bytes) -> None:
        """Queue 20 ms of the caller."""
        self.frames_sent += 1
        self._put(frame)

    def send(self, message: Message) -> None:
        """Queue a control message behind the audio sent so far."""
        self._put(encode(message))

    async def received(self) -> AsyncIterator[bytes | Message]:
        """The agent's audio and messages in order, with breaches left out.

        Raises:
            StreamLost: however the stream ends; the message says how.
        """
        while True:
            item = await self._socket.receive()
            match item.type:
                case aiohttp.WSMsgType.BINARY:
                    try:
                        yield check_audio(item.data)
                    except MediaStreamError as error:
                        self.note_breach(str(error))
                case aiohttp.WSMsgType.TEXT:
                    try:
                        message = parse(item.data)
                    except MediaStreamError as error:
                        self.note_breach(str(error))
                    else:
                        if message is not None:
                            yield message
                case _ if self._given_up is not None:
                    raise StreamLost(self._given_up)
                case aiohttp.WSMsgType.ERROR:
                    raise StreamLost("broken", "the connection or its messages were malformed")
                case _:
                    raise StreamLost("closed", f"closed by the agent ({self._socket.close_code})")

    def note_breach(self, what: str) -> None:
        """Count a message the contract does not allow.

        Raises:
            StreamLost: one too many.
        """
        self.breaches += 1
        metrics.STREAM_BREACHES.inc()
        log.warning("media_stream_breached", what=what, breaches=self.breaches)
        if self.breaches >= MAX_BREACHES:
            raise StreamLost("breach", "the agent kept breaking the contract")

    def give_up(self, how: str) -> None:
        """Cut the connection at once: a hung agent would never finish a closing handshake.

        ``received`` then raises ``StreamLost(how)``.
        """
        if self._given_up is None:
            self._given_up = how
            self._writer.cancel()
            if (tcp := self._socket.get_extra_info("socket")) is not None:
                with suppress(OSError):
                    tcp.shutdown(socket.SHUT_RDWR)

    async def close(self, reason: str | None = None) -> None:
        """Close within ``CLOSE_TIMEOUT_S``, after a ``stop`` when a reason is given."""
        self._writer.cancel()
        await asyncio.wait([self._writer])
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                if reason is not None and not self._socket.closed:
                    while not self._queue.empty():
                        await self._send(self._queue.get_nowait())
                    await self._send(encode(Stop(reason)))
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.debug("media_stream_close_failed")

    def _put(self, item: bytes | str) -> None:
        if self._given_up is not None:
            return
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            log.warning("agent_stopped_reading", queued=MAX_QUEUED)
            self.give_up("hung")

    async def _send(self, item: bytes | str) -> None:
        if isinstance(item, str):
            await self._socket.send_str(item)
        else:
            await self._socket.send_bytes(item)

    async def _write(self) -> None:
        try:
            while True:
                await self._send(await self._queue.get())
        except (aiohttp.ClientError, OSError):
            log.debug("media_stream_write_failed")  # the reading side says how it ended


class AgentLink:
    """The way to an agent, shared by all calls."""

    def __init__(self, settings: AgentLinkSettings, token: str) -> None:
        self._settings = settings
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def connect(self, start: Start) -> AgentStream:
        """A stream on which ``start`` is the first thing sent.

        Raises:
            AgentUnreachable: nobody there, no answer within the timeout, or a broken handshake.
            AgentBusy: the agent answered 503 or 429.
            AgentRefused: the agent answered 401, 403 or 404, or the URL is none.
        """
        try:
            stream = await self._open(start)
        except AgentLinkError as error:
            metrics.AGENT_CONNECTS.labels(error.code).inc()
            raise
        metrics.AGENT_CONNECTS.labels("connected").inc()
        return stream

    async def _open(self, start: Start) -> AgentStream:
        if self._session is None:
            # A connection a call, as many as there are calls; none outlives its call.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                opened = await self._session.ws_connect(
                    self._settings.url,
                    headers=headers,
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MAX_MESSAGE_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (429, 503):
                raise AgentBusy("the agent takes no further calls") from error
            if error.status in (401, 403, 404):
                raise AgentRefused(f"the agent refused the stream ({error.status})") from error
            raise AgentUnreachable(f"the agent failed the handshake ({error.status})") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise AgentRefused("the agent's address is not a WebSocket URL") from error
        except TimeoutError as error:
            raise AgentUnreachable("the agent did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AgentUnreachable("nobody answers at the agent's address") from error
        stream = AgentStream(opened)
        stream.send(start)  # from here on whoever has the stream closes it
        return stream

    async def close(self) -> None:
        """Free the connection pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None
