"""One call's signalling over UDP, from the caller's side: RFC 3261 without authentication.

Requests are sent again (timers A and E) until they are answered or the time given is over (B and
F); so are answers to the far end's offers, until they are acknowledged (G and H).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol, cast

from evals.latency.sip_messages import SipMessage, read_message
from evals.latency.sip_state import DialogState
from evals.wire_call import CallError

T1_S, T2_S = 0.5, 4.0
GIVE_UP_S = 64 * T1_S
"""Timers B, F and H."""
LEAVE_S = 4.0
"""Patience with a far end that does not confirm the end."""
CANCEL_S = 1.5


class Party(Protocol):
    """What the dialog needs of the telephone."""

    def offered(self, description: bytes) -> bytes:
        """The answer to what the far end offers; the own offer when it offers nothing.

        Raises:
            CallError: it cannot be answered; ``status`` is what the far end is told.
        """

    def answered(self, description: bytes) -> None:
        """The far end's answer to an offer that the far end was left to make."""

    def left(self, reason: str) -> None:
        """The far end has ended the call."""


class SipDialog(asyncio.DatagramProtocol):
    """One dialog on a socket of its own (``local`` is the socket's address)."""

    def __init__(self, uri: str, far_end: tuple[str, int], party: Party) -> None:
        self._state = DialogState(uri, far_end)
        self.call_id = self._state.call_id
        self.unreadable = 0
        """Datagrams that were no SIP message."""
        self._party = party
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[tuple[str, str], asyncio.Queue[SipMessage]] = {}
        self._acks: dict[int, bytes] = {}
        self._answers: dict[tuple[int, str], bytes] = {}
        self._inviting = False
        self._repeating: asyncio.Task[None] | None = None
        self._established = False

    # --- the caller's side ---------------------------------------------------------------------

    async def invite(self, description: bytes, timeout_s: float) -> bytes:
        """Ring; the description in the answer.

        Raises:
            CallError: refused (``status``), not answered in time (408), or no dialog in it.
        """
        answer = await self._invite(description, timeout_s)
        self._established = True
        return answer.body

    async def offer(self, description: bytes) -> bytes:
        """Change the media of the call; the description in the answer.

        Raises:
            CallError: refused; 491 when the far end is about to do the same.
        """
        return (await self._invite(description, GIVE_UP_S)).body

    async def bye(self) -> None:
        """End the call; returns when that is confirmed, or after ``LEAVE_S``."""
        if self._established:
            self._established = False
            request = self._state.request("BYE")
            with contextlib.suppress(CallError):
                await self._answer_to(request, LEAVE_S)

    def close(self) -> None:
        if self._repeating is not None:
            self._repeating.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _invite(self, description: bytes, timeout_s: float) -> SipMessage:
        invite = self._state.request("INVITE", description)
        self._inviting = True
        try:
            answer = await self._answer_to(invite, timeout_s)
        except CallError:
            if not self._established:
                await self._cancel(invite)
            raise
        finally:
            self._inviting = False
        if answer.status >= 300:
            self._send(self._state.acknowledged_refusal(invite, answer))
            status = answer.status
            raise CallError(f"{status} {answer.reason}".strip(), status)
        self._acknowledge(answer)
        return answer

    def _acknowledge(self, answer: SipMessage) -> None:
        self._state.take_answer(answer)
        number, _ = answer.sequence
        self._acks[number] = self._state.request("ACK", number=number).encode()
        self._send(self._acks[number])

    async def _cancel(self, invite: SipMessage) -> None:
        """Take an unanswered INVITE back; whoever answers all the same is told goodbye."""
        with contextlib.suppress(CallError):
            await self._answer_to(self._state.cancellation(invite), CANCEL_S)

    async def _answer_to(self, request: SipMessage, timeout_s: float) -> SipMessage:
        """Send until there is a final answer.

        Raises:
            CallError: there is none in time.
        """
        key = (request.branch, request.method)
        answers = self._waiting[key] = asyncio.Queue()
        data = request.encode()
        loop = asyncio.get_running_loop()
        until_s, pause_s = loop.time() + timeout_s, T1_S
        again_s: float | None = loop.time() + pause_s
        self._send(data)
        try:
            while True:
                wake_s = until_s if again_s is None else min(until_s, again_s)
                try:
                    async with asyncio.timeout_at(wake_s):
                        answer = await answers.get()
                except TimeoutError:
                    if loop.time() >= until_s:
                        raise CallError(f"not answered within {timeout_s:g} s", 408) from None
                    self._send(data)
                    pause_s *= 2
                    if request.method != "INVITE":
                        pause_s = min(pause_s, T2_S)
                    again_s = loop.time() + pause_s
                    continue
                if answer.status >= 200:
                    return answer
                if request.method == "INVITE":
                    again_s = None  # it has arrived: wait, do not repeat (section 17.1.1.2)
        finally:
            del self._waiting[key]

    # --- the far end's side --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The selector's datagram transport is none by its class (CPython 3.11).
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self._state.sit_at(host, port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip(b"\r\n\0"):
            return  # somebody keeps a way open
        message = read_message(data)
        if message is None:
            self.unreadable += 1
        elif message.status:
            self._take_response(message)
        elif message.method != "ACK":
            self._take_request(message, addr)
        elif self._repeating is not None and message.get("Call-ID") == self.call_id:
            self._repeating.cancel()
            if message.body:
                with contextlib.suppress(CallError):
                    self._party.answered(message.body)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, for now: the timers decide."""

    def _take_response(self, message: SipMessage) -> None:
        number, method = message.sequence
        waiting = self._waiting.get((message.branch, method))
        if waiting is not None:
            waiting.put_nowait(message)
        elif method == "INVITE" and 200 <= message.status < 300:
            if (ack := self._acks.get(number)) is not None:
                self._send(ack)
            else:  # to an INVITE that was taken back: acknowledge and leave
                self._acknowledge(message)
                self._send(self._state.request("BYE"))

    def _take_request(self, message: SipMessage, addr: tuple[str, int]) -> None:
        known = self._answers.get(message.sequence)
        if message.get("Call-ID") != self.call_id:
            self._respond(message, addr, 481, "Call/Transaction Does Not Exist")
        elif known is not None:
            self._send(known, addr)
        elif message.method == "BYE":
            self._respond(message, addr, 200, "OK")
            self._established = False
            self._party.left("the far end hung up")
        elif message.method == "INVITE":
            self._take_offer(message, addr)
        elif message.method in ("OPTIONS", "INFO", "UPDATE", "CANCEL"):
            self._respond(message, addr, 200, "OK")
        else:
            self._respond(message, addr, 405, "Method Not Allowed")

    def _take_offer(self, message: SipMessage, addr: tuple[str, int]) -> None:
        if self._inviting:
            self._respond(message, addr, 491, "Request Pending")
            return
        try:
            body = self._party.offered(message.body)
        except CallError as error:
            self._respond(message, addr, error.status or 488, "Not Acceptable Here")
            return
        self._state.take_contact(message)
        response = self._respond(message, addr, 200, "OK", body)
        if self._repeating is not None:
            self._repeating.cancel()
        self._repeating = asyncio.create_task(self._repeat(response, addr))

    async def _repeat(self, response: bytes, addr: tuple[str, int]) -> None:
        """Send a 200 until it is acknowledged (section 13.3.1.4)."""
        pause_s, waited_s = T1_S, 0.0
        while waited_s < GIVE_UP_S:
            await asyncio.sleep(pause_s)
            self._send(response, addr)
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, T2_S)

    # --- the wire ------------------------------------------------------------------------------

    def _respond(
        self,
        request: SipMessage,
        addr: tuple[str, int],
        status: int,
        reason: str,
        body: bytes = b"",
    ) -> bytes:
        data = self._state.response(request, status, reason, body).encode()
        if request.get("Call-ID") == self.call_id:
            self._answers[request.sequence] = data
        self._send(data, addr)
        return data

    def _send(self, data: bytes | SipMessage, addr: tuple[str, int] | None = None) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(
                data if isinstance(data, bytes) else data.encode(), addr or self._state.next_hop()
            )
