"""What a dialog is made of, and the messages that follow from it (RFC 3261, section 12). Pure but
for the random names that dialogs and transactions have."""

from __future__ import annotations

import contextlib
import secrets

from evals.latency.sip_messages import (
    SipMessage,
    address,
    host_and_port,
    parameter,
    split_routes,
)
from evals.wire_call import CallError

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
_SDP = "application/sdp"


class DialogState:
    """The caller's view of a dialog with ``uri``, whose host is at ``far_end``."""

    def __init__(self, uri: str, far_end: tuple[str, int]) -> None:
        self.call_id = secrets.token_hex(12)
        self._uri = uri
        self._far_end = far_end
        self._to = f"<{uri}>"
        self._tag = secrets.token_hex(6)
        self._place = ""
        self._routes: list[str] = []
        self._sequence = 0

    def sit_at(self, host: str, port: int) -> None:
        """Our own address."""
        self._place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def request(self, method: str, body: bytes = b"", number: int | None = None) -> SipMessage:
        """The next request; an ACK has the ``number`` of what it acknowledges."""
        if number is None:
            self._sequence += 1
            number = self._sequence
        headers = [
            ("Via", f"SIP/2.0/UDP {self._place};rport;branch=z9hG4bK{secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:caller@{self._place}>;tag={self._tag}"),
            ("To", self._to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:caller@{self._place}>"),
            *(("Route", route) for route in self._routes),
        ]
        if body:
            headers += [("Content-Type", _SDP), ("Allow", ALLOW)]
        return SipMessage(f"{method} {self._uri} SIP/2.0", headers, body)

    def acknowledged_refusal(self, invite: SipMessage, answer: SipMessage) -> SipMessage:
        """The ACK of a refusal is part of the INVITE's own transaction (17.1.1.3)."""
        number, _ = invite.sequence
        kept = {"Via": invite.get("Via"), "To": answer.get("To")}
        ack = self.request("ACK", number=number)
        headers = [(name, kept.get(name, value)) for name, value in ack.headers]
        return SipMessage(invite.start.replace("INVITE", "ACK", 1), headers)

    @staticmethod
    def cancellation(invite: SipMessage) -> SipMessage:
        """What takes an INVITE back (9.1)."""
        kept = [(k, v) for k, v in invite.headers if k in ("Via", "From", "To", "Call-ID", "Route")]
        number, _ = invite.sequence
        return SipMessage(
            invite.start.replace("INVITE", "CANCEL", 1),
            [*kept, ("CSeq", f"{number} CANCEL"), ("Max-Forwards", "70")],
        )

    def response(self, request: SipMessage, status: int, reason: str, body: bytes) -> SipMessage:
        """The answer to a request of the far end."""
        headers = [(name, value) for name in ("Via", "Record-Route") for value in request.all(name)]
        headers += [(name, request.get(name)) for name in ("From", "To", "Call-ID", "CSeq")]
        if not parameter(request.get("To"), "tag"):
            headers = [(k, f"{v};tag={self._tag}" if k == "To" else v) for k, v in headers]
        headers += [("Contact", f"<sip:caller@{self._place}>"), ("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", _SDP))
        return SipMessage(f"SIP/2.0 {status} {reason}", headers, body)

    def take_answer(self, answer: SipMessage) -> None:
        """The far end has accepted an INVITE: the first one sets the route, each the target."""
        if not parameter(self._to, "tag"):
            self._routes = split_routes(answer.all("Record-Route"))[::-1]
        self._to = answer.get("To")
        self.take_contact(answer)

    def take_contact(self, message: SipMessage) -> None:
        """Where requests are addressed to from now on."""
        if contact := address(message.get("Contact")):
            self._uri = contact

    def next_hop(self) -> tuple[str, int]:
        """Where requests go: the first proxy that wants to be asked, or where it began. A contact
        behind another address is not followed: on a LAN the far end is where it answered from."""
        if self._routes:
            with contextlib.suppress(CallError):
                return host_and_port(address(self._routes[0]))
        return self._far_end
