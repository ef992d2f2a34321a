"""Who answers a call, where a transfer may go, and what to do when an agent is gone. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from telephony.errors import TargetRefused
from telephony.settings import (
    CallBackSettings,
    HumanLineSettings,
    QueueSettings,
    TransferMeans,
)


class Answering(StrEnum):
    """The switch an operator holds: who answers new calls."""

    AGENT = "agent"
    HUMAN = "human"
    CLOSED = "closed"


class Destination(StrEnum):
    """Where an incoming call goes."""

    AGENT = "agent"
    HUMAN = "human"
    CLOSED = "closed"
    BUSY = "busy"


def route(
    *,
    answering: Answering,
    live_calls: int,
    max_calls: int,
    draining: bool,
    switched_off: bool = False,
) -> Destination:
    """Where one more incoming call goes, given the calls there are (without this one).

    ``switched_off``: the kill switch keeps agents from this call.
    """
    if draining or live_calls >= max_calls:
        return Destination.BUSY
    if switched_off and answering is Answering.AGENT:
        return Destination.HUMAN
    return Destination(answering.value)


def dialled_route(dialled: str) -> str:
    """The name a caller dialled, e.g. ``agent`` for ``sip:agent@example.org:5060``."""
    bare = re.sub(r"^sips?:", "", dialled.strip(), flags=re.IGNORECASE)
    return bare.partition("@")[0].partition(";")[0].lower()


_URI = re.compile(
    r"sips?:(?P<user>[A-Za-z0-9+._~!*'()&=$,-]{1,64})@(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


def transfer_target(requested: str, line: HumanLineSettings) -> str:
    """The SIP address to ring for a transfer.

    Only what the configuration names can be rung, because an agent that can be talked into dialling
    a premium number will be: the default line (empty, or its address), a named line, a named line's
    address, or any user at a host listed in ``allowed_hosts`` (with the port, if it has one).

    Raises:
        TargetRefused: anything else; the message does not repeat the target.
    """
    if requested in ("", line.uri):
        return line.uri
    if requested in line.lines:
        return line.lines[requested]
    if requested in line.lines.values():
        return requested
    match = _URI.fullmatch(requested)
    if match is None:
        raise TargetRefused("the target is neither a configured line nor a plain SIP address")
    host, port = match["host"].lower(), match["port"]
    if (f"{host}:{port}" if port else host) in line.allowed_hosts:
        return requested
    raise TargetRefused("the target's host is not on the list of allowed hosts")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a transfer leads: a queue by its ``name`` (empty: no queue of its own), and the
    addresses of the people behind it."""

    name: str
    settings: QueueSettings
    targets: tuple[str, ...]


def transfer_routes(
    requested: str, line: HumanLineSettings, *, has_agent: bool = True
) -> tuple[Route, ...]:
    """The queue, or the single address, that a transfer asks for, and what it overflows into.

    Without ``has_agent`` there is nobody to go back to, so callers of the human line wait for
    ``wait_without_agent_s``.

    Raises:
        TargetRefused: see :func:`transfer_target`.
    """
    name = requested or line.queue
    routes: dict[str, Route] = {}
    while name not in routes and (queue := line.queues.get(name)) is not None:
        named = queue.targets or (line.uri,)
        routes[name] = Route(name, queue, tuple(line.lines.get(each, each) for each in named))
        name = queue.overflow
    if routes:
        return tuple(routes.values())
    wait_s = 0.0 if has_agent else line.wait_without_agent_s
    single = QueueSettings(calls_each=0, wait_s=wait_s, hours=line.hours, transfer=line.transfer)
    return (Route("", single, (transfer_target(requested, line),)),)


_TRANSFER_RANK: dict[TransferMeans, int] = {"bridge": 0, "refer": 1, "replaces": 2}


def transfer_means(
    wished: TransferMeans, able: TransferMeans, *, supervised: bool
) -> TransferMeans:
    """How to transfer: as wished where the line is able to, else by our own bridge.

    A caller whom a supervisor is with stays. What needs the person to be told the story first is
    never replaced by a transfer that does not tell it.
    """
    return "bridge" if supervised or _TRANSFER_RANK[wished] > _TRANSFER_RANK[able] else wished


_HEADER_TEXT = re.compile(r"[\x21-\x7e]{1,400}")
_CAUSE = re.compile(r"[a-z_]{1,40}")


def story_headers(call_id: str, cause: str, link: str) -> dict[str, str]:
    """What a person's telephone is told beside the call; what could break a header is left out."""
    headers = {"X-Call-ID": call_id}
    if _CAUSE.fullmatch(cause):
        headers["X-Handoff-Reason"] = cause
    web = link.startswith(("http://", "https://"))
    if web and _HEADER_TEXT.fullmatch(link) and not set(link) & set('<>"'):
        headers["X-Handoff-Link"] = link
        headers["Call-Info"] = f"<{link}>;purpose=info"
    return headers


def call_back_address(number: str, settings: CallBackSettings, trunk_domain: str) -> str:
    """The SIP address to ring a caller at later.

    Raises:
        TargetRefused: no number that may be rung, or no way to ring any.
    """
    template = settings.address or (f"sip:{{number}}@{trunk_domain}" if trunk_domain else "")
    if not template:
        raise TargetRefused("call-backs are not configured")
    plain = re.sub(r"[\s().-]", "", number)
    if not re.fullmatch(settings.numbers, plain) or re.fullmatch(settings.never, plain):
        raise TargetRefused("the number is not one that may be rung")
    return template.replace("{number}", plain)


_CALLER = re.compile(
    r"(?:sips?:|tel:)?(?P<user>[^@;:<>?]+)(?:[;:][^@<>?]*)?"
    r"(?:@(?P<host>\[[^\]]*\]|[^@:;<>?\s]+)(?::[0-9]*)?(?:[;?][^<>]*)?)?",
    re.IGNORECASE,
)


def number_of(address: str) -> str:
    """The number in a caller's SIP address; empty when it has none, such as a web caller's."""
    user = re.match(r"(?:sips?:|tel:)?\+?([0-9]{3,15})(?=[@;>]|$)", address)
    return user[0].removeprefix("sips:").removeprefix("sip:").removeprefix("tel:") if user else ""


def identity_of(address: str) -> str:
    """Who a caller is, by their SIP address: their number, else ``user@host``.

    A port and parameters are of one call only. What is no SIP address, such as a web caller's,
    stays as it is.
    """
    found = _CALLER.fullmatch(address.strip())
    if found is None:
        return address
    user = re.sub(r"[\s().-]", "", found["user"])
    if re.fullmatch(r"\+?[0-9]{3,15}", user):
        return user
    return f"{found['user']}@{found['host'].lower()}" if found["host"] else address


def failure_reason(sip_code: int) -> str:
    """Why a person was not reached, in the words the agent gets, from the SIP status."""
    match sip_code:
        case 486 | 600:
            return "busy"
        case 603 | 403 | 606:
            return "declined"
        case 408 | 480 | 487:
            return "no_answer"
        case 404 | 410 | 484 | 604:
            return "unknown_target"
        case _:
            return "unreachable"


_BROKEN_OFF = frozenset({"media_lost", "line_failed", "replaced"})


def broke_off(sip_code: int, reason: str) -> bool:
    """Did an answered leg break off, rather than being hung up by whoever was there?"""
    return sip_code >= 300 or reason in _BROKEN_OFF


class AfterLoss(StrEnum):
    """What follows when there is no agent for a caller."""

    RETRY = "retry"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Patience:
    """Failed attempts to have an agent for one caller, and what they mean.

    An agent that opens a stream and dies at once counts as a failed attempt, so that a crash loop
    reaches a person; one that served for ``HEALTHY_MS`` wipes the slate.
    """

    HEALTHY_MS = 10_000

    attempts: int
    failures: int = 0

    def failed(self, served_ms: int = 0) -> Patience:
        """The agent failed after serving the caller for so long (0: it was never there)."""
        failures = 0 if served_ms >= self.HEALTHY_MS else self.failures + 1
        return Patience(self.attempts, failures)

    def next_step(self, *, retryable: bool) -> AfterLoss:
        """Try again, or let a person have the caller."""
        if retryable and self.failures < self.attempts:
            return AfterLoss.RETRY
        return AfterLoss.PERSON

    @property
    def wait_s(self) -> float:
        """How long to wait before the next attempt: 0.2 s, doubling, 2 s at most."""
        return float(min(2.0, 0.1 * 2**self.failures))
