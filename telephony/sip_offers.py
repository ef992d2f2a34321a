"""Where each call's sound was agreed to come from, read from the SIP messages themselves (pure).

The stack tells nobody what was negotiated, but shows its messages. Those that came in are as they
were on the wire: anybody's, before the stack has judged them. So nothing counts before the stack's
own word on it: a far end's offer when we have answered it with ours, in the same transaction; its
answer when it belongs to an offer of ours, whose branch nobody else knows.

What nobody has answered is bounded, and whoever sends most of it loses theirs first. Where we
answer an offer that is lost so, or was none, sound may come from where our answer goes.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias, TypeVar

Address: TypeAlias = IPv4Address | IPv6Address
Key = TypeVar("Key")
Value = TypeVar("Value")

_MAX_OPEN = 512
_HEAD = re.compile(r"(RX|TX) (\w+) (\S+) -> (\S+)\n")
_BRANCH = re.compile(r"^(?:Via|v)\s*:[^\r\n]*?;\s*branch=([^;,\s]+)", re.MULTILINE | re.IGNORECASE)
_RECEIVED = re.compile(r";\s*received=([^;,\s]+)", re.IGNORECASE)
_CSEQ = re.compile(r"^CSeq\s*:\s*(\d+)\s+(\w+)", re.MULTILINE | re.IGNORECASE)
_TO_TAG = re.compile(r"^(?:To|t)\s*:[^\r\n]*;\s*tag=([^;\s]+)", re.MULTILINE | re.IGNORECASE)
_CONNECTION = re.compile(r"^c=IN IP[46] ([^\s/]+)", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio (\d{1,5})\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sound:
    """One end of a call's sound, as its session description names it."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both ends said of one stream of sound."""

    ours: Sound
    theirs: Sound
    """Port 0: it is not known what they said."""
    signalled_from: frozenset[Address]
    """Where the far end's messages came from: itself, or the address it is behind."""

    @property
    def hosts(self) -> frozenset[Address]:
        """Every address that the sound may come from."""
        return self.signalled_from | {self.theirs.address}

    @property
    def behind_nat(self) -> bool:
        """The far end names an address that its messages do not come from, or none that we know."""
        return not self.theirs.port or self.theirs.address not in self.signalled_from


@dataclass(frozen=True, slots=True)
class _Offer:
    sound: Sound
    signalled_from: frozenset[Address]
    source: Address


class Offers:
    """Puts offers and answers together. Keeps at most ``_MAX_OPEN`` that nobody has answered."""

    def __init__(self) -> None:
        self.lost = 0
        """Offers forgotten before they were answered: somebody floods us with them."""
        self._theirs: OrderedDict[tuple[str, str], _Offer] = OrderedDict()
        self._open_by: Counter[Address] = Counter()
        self._answered: OrderedDict[tuple[str, str], _Offer] = OrderedDict()
        """Found again when the stack sends its answer again."""
        self._ours: OrderedDict[str, Sound] = OrderedDict()

    def read(self, message: str) -> Agreed | None:
        """Take one message as the stack traces it (``RX UDP A:P -> A:P``, then the message).

        Returns what it settles; None for most. Never raises.
        """
        head = _HEAD.match(message)
        if head is None:
            return None
        sound = sound_in(message)
        branch, cseq = _BRANCH.search(message), _CSEQ.search(message)
        if sound is None or branch is None or cseq is None:
            return None
        response = message.startswith("SIP/2.0 ", head.end())
        if response and message[head.end() + 8 : head.end() + 9] not in ("1", "2"):
            return None
        transaction = (branch[1], cseq[1])
        tag = _TO_TAG.search(message)
        if head[1] == "RX":
            source = _host(head[3])
            if source is None:
                return None
            came = _Offer(sound, frozenset({source, *_received(message)}), source)
            if response:
                return _agreed(self._ours.get(_key(branch[1])), came)
            if cseq[2].upper() == "ACK":  # The answer to an offer that we made in a 200.
                return _agreed(self._ours.pop(f"tag:{tag[1]}", None) if tag else None, came)
            self._keep_theirs(transaction, came)
            return None
        if not response:
            _keep(self._ours, _key(branch[1]), sound)
            return None
        final = message[head.end() + 8 : head.end() + 9] == "2"
        offer = self._theirs.get(transaction) or self._answered.get(transaction)
        if offer is not None:
            if final and self._forget_theirs(transaction):
                _keep(self._answered, transaction, offer)
            return _agreed(sound, offer)
        if tag is not None:
            _keep(self._ours, f"tag:{tag[1]}", sound)
        to = _host(head[4])
        if not final or cseq[2].upper() != "INVITE" or to is None:
            return None
        return Agreed(sound, Sound(to, 0), frozenset({to}))

    def _keep_theirs(self, transaction: tuple[str, str], offer: _Offer) -> None:
        self._forget_theirs(transaction)
        self._theirs[transaction] = offer
        self._open_by[offer.source] += 1
        if len(self._theirs) > _MAX_OPEN:
            most = max(self._open_by, key=self._open_by.__getitem__)
            self._forget_theirs(next(key for key, o in self._theirs.items() if o.source == most))
            self.lost += 1

    def _forget_theirs(self, transaction: tuple[str, str]) -> bool:
        offer = self._theirs.pop(transaction, None)
        if offer is None:
            return False
        self._open_by[offer.source] -= 1
        if not self._open_by[offer.source]:
            del self._open_by[offer.source]
        return True


def sound_in(message: str) -> Sound | None:
    """The first stream of sound in a message's session description; None where there is none.

    One on hold in the old way (``0.0.0.0``) or switched off (port 0) is none.
    """
    _, _, body = message.partition("\r\n\r\n")
    audio = _AUDIO.search(body)
    if audio is None:
        return None
    before, _, after = body.partition(audio[0])
    own = _CONNECTION.search(after.partition("\nm=")[0]) or _CONNECTION.search(before)
    address = _host(own[1]) if own else None
    port = int(audio[1])
    if address is None or address.is_unspecified or not 0 < port < 65_536:
        return None
    return Sound(address, port)


def _agreed(ours: Sound | None, theirs: _Offer | None) -> Agreed | None:
    if ours is None or theirs is None:
        return None
    return Agreed(ours, theirs.sound, theirs.signalled_from)


def _keep(table: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > _MAX_OPEN:
        table.popitem(last=False)


def _key(branch: str) -> str:
    return f"branch:{branch}"


def _host(text: str) -> Address | None:
    """An address, with or without a port and brackets."""
    bare = re.sub(r"^\[([^\]]+)\](?::\d+)?$|^([^:\s]+):\d+$", r"\1\2", text)
    try:
        return ip_address(bare.strip("[]"))
    except ValueError:
        return None


def _received(message: str) -> set[Address]:
    """The addresses that proxies saw the message come from."""
    head = message.partition("\r\n\r\n")[0]
    return {host for text in _RECEIVED.findall(head) if (host := _host(text)) is not None}
