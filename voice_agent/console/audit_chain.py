"""The chain of the audit log: what a line is, how it is sealed, and whether all of them hold.

A line's ``hash`` is SHA-256 of everything else in it, the hash of the line before included, or
HMAC-SHA-256 where a key is set. Lines from before the key was set stay as they are: the first that
is signed holds them fast, and they are counted apart.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FIRST = "0" * 64
MAX_FAULTS = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One act."""

    seq: int
    at: float
    user: str
    role: str
    action: str
    target: str
    detail: dict[str, Any] = field(default_factory=dict)
    before: str = FIRST
    hash: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The number and hash of the last line, as noted in a file of its own; ``seal`` with a key."""

    seq: int
    hash: str
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the log is whole.

    ``fault`` sums up in one line what is wrong (empty: nothing); ``faults`` holds every place, up
    to ``MAX_FAULTS``. ``signed``: with a key, but for the first ``unsigned``, from before
    it was set.
    """

    entries: int
    fault: str = ""
    signed: bool = False
    unsigned: int = 0
    faults: tuple[str, ...] = ()


def entry_of(line: str | bytes) -> Entry:
    """
    Raises:
        ValueError: the line is no entry.
    """
    try:
        entry = Entry(**json.loads(line))
    except (TypeError, RecursionError) as error:
        raise ValueError("not an entry") from error
    words = (entry.user, entry.role, entry.action, entry.target, entry.before, entry.hash)
    if not all(isinstance(word, str) for word in words) or not isinstance(entry.detail, dict):
        raise ValueError("not an entry")
    if type(entry.seq) is not int or type(entry.at) not in (int, float):
        raise ValueError("not an entry")
    return entry


class Seal:
    """Hashes lines, with the key where there is one."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def __bool__(self) -> bool:
        return bool(self._key)

    def sealed(self, entry: Entry) -> Entry:
        """The entry with its hash."""
        text = _text(entry)
        made = self._signed(text) if self._key else hashlib.sha256(text).hexdigest()
        return Entry(**{**asdict(entry), "hash": made})

    def of(self, entry: Entry) -> Literal["signed", "plain", ""]:
        """How its hash was made; empty: it does not fit, or was made with another key."""
        text = _text(entry)
        given = entry.hash.encode(errors="replace")
        if self._key and hmac.compare_digest(given, self._signed(text).encode()):
            return "signed"
        plain = hashlib.sha256(text).hexdigest()
        return "plain" if hmac.compare_digest(given, plain.encode()) else ""

    def end(self, entry: Entry) -> End:
        """The note of a log that ends with the entry."""
        return End(entry.seq, entry.hash, self._end_seal(entry.seq, entry.hash))

    def fits(self, end: End) -> bool:
        """Whether the note was made with this key; without a key there is nothing to hold it to."""
        expected = self._end_seal(end.seq, end.hash)
        return not self._key or hmac.compare_digest(
            end.seal.encode(errors="replace"), expected.encode()
        )

    def _end_seal(self, seq: int, last: str) -> str:
        return self._signed(f"end {seq} {last}".encode()) if self._key else ""

    def _signed(self, text: bytes) -> str:
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def followed(lines: Iterable[str], end: End | None, seal: Seal) -> Verdict:
    """Follow the chain from the first line to the last, and hold its end against the note.

    A last line cut short by a crash, without its line end, stands for an act that was not done.
    """
    faults: list[str] = []
    before, seq, unsigned, signed = FIRST, 0, 0, 0
    ends = {(0, FIRST)}
    for number, line in enumerate(lines, 1):
        try:
            entry = entry_of(line)
        except ValueError:
            if line.endswith("\n"):
                faults.append(f"line {number} is not an entry")
            continue
        if entry.seq > seq + 1:
            faults.append(f"line {number}: entry {seq + 1} is missing")
        elif entry.seq <= seq:
            faults.append(f"line {number}: entry {entry.seq} is out of its place")
        elif entry.before != before:
            faults.append(f"line {number} does not follow the one before it")
        made = seal.of(entry)
        if made == "signed":
            signed += 1
        elif made == "plain" and not signed:
            unsigned += 1
        elif made == "plain":
            faults.append(f"line {number} is not signed, though lines before it are")
        else:
            faults.append(f"line {number} was changed, or signed with another key")
        # the note of the end is written after the line: a crash between leaves it one behind
        ends = {(seq, before), (entry.seq, entry.hash)}
        before, seq = entry.hash, entry.seq
    if seal and unsigned and not signed:
        faults.append("nothing is signed with the key: it was just set, or all of it written anew")
    if end is None:
        if seq:
            faults.append("the file that notes the end is gone")
    elif signed and not seal.fits(end):
        faults.append("the note of the end was not made with the key")
    elif (end.seq, end.hash) not in ends:
        faults.append(f"it ends at entry {seq}, but {end.seq} were written")
    with_key = bool(seal) and (signed > 0 or not seq)
    before_key = unsigned if seal else 0
    return Verdict(seq, _summed(faults), with_key, before_key, tuple(faults[:MAX_FAULTS]))


def _summed(faults: list[str]) -> str:
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{faults[0]}{more}" if faults else ""


def _text(entry: Entry) -> bytes:
    fields = {name: value for name, value in asdict(entry).items() if name != "hash"}
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
