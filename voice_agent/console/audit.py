"""The audit log: one line for every act, only ever added to, each holding the hash of the one
before, so that nothing can be changed or left out unseen.

A line is JSON with ``seq`` (from 1), ``at`` (seconds since 1970), ``user``, ``role``, ``action``,
``target``, ``detail``, ``before`` (the hash of the line before) and ``hash``: SHA-256 of all the
others, or HMAC-SHA-256 where a key is set. Without a key a person who may write the file could
write all of it anew; with one only who knows the key. The count and last hash are kept in a second
file as well, so that lines cut off at the end are noticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from voice_agent.console.errors import Unavailable

FIRST = "0" * 64
_TAIL_BYTES = 65_536
MAX_DETAIL_CHARS = 2_000


class AuditUnwritable(Unavailable):
    """The log cannot be written; what must be in it is not done."""

    code = "audit_unwritable"


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
class Verdict:
    """Whether the log is whole; ``fault`` says where it is not, in one line."""

    entries: int
    fault: str = ""
    signed: bool = False
    kind: Literal["whole", "broken"] = "whole"


class AuditLog:
    """The file. Any number of processes may add to it; its calls block for a disk's flush."""

    def __init__(self, path: Path, key: str = "") -> None:
        self._path = path
        self._head = path.with_suffix(".head")
        self._key = key.encode()
        self._verified: tuple[tuple[object, object], Verdict] | None = None

    def add(
        self, user: str, role: str, action: str, target: str = "", /, **detail: object
    ) -> Entry:
        """Note an act before it is done.

        Raises:
            AuditUnwritable: the disk is full, or the file is not ours to write.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(opened, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                seq, before = self._last(file.fileno())
                entry = self._sealed(
                    Entry(
                        seq + 1, round(time.time(), 3), user, role, action, target,
                        _bounded(detail), before,
                    )
                )  # fmt: skip
                os.write(file.fileno(), (_line(entry) + "\n").encode())
                os.fsync(file.fileno())
                self._keep_head(entry)
        except OSError as error:
            raise AuditUnwritable(
                f"The audit log cannot be written: {error.strerror or error}"
            ) from error
        return entry

    def entries(self) -> Iterator[Entry]:
        """Every line that can be read, oldest first."""
        for line in self._lines():
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def page(self, page: int, size: int) -> tuple[list[Entry], int]:
        """One page, newest first, counted from 1; and how many lines there are."""
        found = list(self.entries())
        found.reverse()
        begin = (page - 1) * size
        return found[begin : begin + size], len(found)

    def verify(self) -> Verdict:
        """Follow the chain from the first line to the last, and hold the end against its note.

        A file that has not changed since is not read again.
        """
        stamp = (_stamp(self._path), _stamp(self._head))
        if self._verified is None or self._verified[0] != stamp:
            self._verified = stamp, self._follow()
        return self._verified[1]

    def _follow(self) -> Verdict:
        before, seq = FIRST, 0
        ends = {(0, FIRST)}
        for number, line in enumerate(self._lines(), 1):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                return self._broken(seq, f"line {number} is not an entry")
            if entry.seq != seq + 1:
                return self._broken(seq, f"line {number}: entry {seq + 1} is missing")
            if entry.before != before:
                return self._broken(seq, f"line {number} does not follow the one before it")
            if not hmac.compare_digest(entry.hash, self._hash(entry)):
                return self._broken(seq, f"line {number} was changed, or signed with another key")
            # the note of the end is written after the line: a crash between leaves it one behind
            ends = {(seq, before), (entry.seq, entry.hash)}
            before, seq = entry.hash, entry.seq
        head = self._head_noted()
        if head is None and seq:
            return self._broken(seq, f"{self._head.name}, which notes the end, is gone")
        if head is not None and head not in ends:
            return self._broken(seq, f"it ends at entry {seq}, but {head[0]} were written")
        return Verdict(seq, signed=bool(self._key))

    # --- the file ------------------------------------------------------------------------------

    def _broken(self, entries: int, fault: str) -> Verdict:
        return Verdict(entries, f"{self._path}: {fault}", bool(self._key), "broken")

    def _lines(self) -> Iterator[str]:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.strip():
                        yield line
        except FileNotFoundError:
            return

    def _last(self, descriptor: int) -> tuple[int, str]:
        """Number and hash of the last line; a line cut short by a crash gets its line end."""
        size = os.fstat(descriptor).st_size
        if not size:
            return self._head_noted() or (0, FIRST)
        tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if not tail.endswith(b"\n"):
            os.write(descriptor, b"\n")
        for line in reversed(tail.splitlines()):
            try:
                last = json.loads(line)
                return int(last["seq"]), str(last["hash"])
            except (ValueError, TypeError, KeyError):
                continue
        return self._head_noted() or (0, FIRST)

    def _head_noted(self) -> tuple[int, str] | None:
        try:
            noted = json.loads(self._head.read_text(encoding="utf-8"))
            return int(noted["seq"]), str(noted["hash"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _keep_head(self, entry: Entry) -> None:
        part = self._head.with_suffix(".head.part")
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            json.dump({"seq": entry.seq, "hash": entry.hash}, file)
        part.replace(self._head)

    def _sealed(self, entry: Entry) -> Entry:
        return Entry(**{**asdict(entry), "hash": self._hash(entry)})

    def _hash(self, entry: Entry) -> str:
        fields = {name: value for name, value in asdict(entry).items() if name != "hash"}
        text = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
        if self._key:
            return hmac.new(self._key, text, hashlib.sha256).hexdigest()
        return hashlib.sha256(text).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False)


def _bounded(detail: dict[str, object]) -> dict[str, Any]:
    return {
        name: value[:MAX_DETAIL_CHARS] if isinstance(value, str) else value
        for name, value in detail.items()
        if value is not None
    }
