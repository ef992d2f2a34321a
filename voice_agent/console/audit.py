"""The audit log: one line for every act, only ever added to, each holding the hash of the one
before (``audit_chain``), so that nothing can be changed or left out unseen.

A line is JSON with ``seq`` (from 1), ``at`` (seconds since 1970), ``user``, ``role``, ``action``,
``target``, ``detail``, ``before`` (the hash of the line before) and ``hash``. Without a key
whoever may write the file could write all of it anew; with one only who knows the key. The count
and last hash are kept in a second file as well, sealed with the key, so that lines cut off at the
end are noticed. Both files as they were some time ago are a whole log too: only the numbers and
hashes that the console writes into its own log, which belongs on another machine, tell that.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from voice_agent.console.audit_chain import FIRST, End, Entry, Seal, Verdict, entry_of, followed
from voice_agent.console.errors import Unavailable

__all__ = ["AuditLog", "AuditUnwritable", "Entry", "Verdict"]

LOCK_PATIENCE_S = 5.0
DISK_PATIENCE_S = 10.0
_BLOCK_BYTES = 65_536
_CLOCKS_DIFFER_S = 86_400.0
MAX_DETAIL_CHARS = 2_000


class AuditUnwritable(Unavailable):
    """The log cannot be written; what must be in it is not done."""

    code = "audit_unwritable"


class AuditLog:
    """The file. Any number of processes may add to it; its calls block for a disk's flush.

    ``witness`` is told every entry that was added, to keep its number and hash elsewhere.
    """

    def __init__(
        self, path: Path, key: str = "", witness: Callable[[Entry], None] | None = None
    ) -> None:
        self._path = path
        self._head = path.with_suffix(".head")
        self._seal = Seal(key)
        self._witness = witness
        self._verified: tuple[tuple[object, object], Verdict] | None = None
        self._writer = ThreadPoolExecutor(1, "audit")

    def add(
        self, user: str, role: str, action: str, target: str = "", /, **detail: object
    ) -> Entry:
        """Note an act before it is done.

        Raises:
            AuditUnwritable: the disk is full, the file is not ours to write or held by another
                process, the log was signed with another key, or the act cannot be written as text.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(opened, "r+b") as file, _alone(file.fileno()):
                (seq, before), first = self._end(file.fileno())
                for own in first:
                    noted = self._append(file.fileno(), seq, before, "console", "", own, "", {})
                    seq, before = noted.seq, noted.hash
                entry = self._append(
                    file.fileno(), seq, before, user, role, action, target, _bounded(detail)
                )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise AuditUnwritable(f"The audit log cannot be written: {reason}") from error
        return entry

    async def note(
        self, user: str, role: str, action: str, target: str = "", /, **detail: object
    ) -> Entry:
        """``add`` in a thread of the log's own, so that a disk that hangs holds nothing else up.

        Raises:
            AuditUnwritable: see ``add``, or the disk took too long; the act may be noted yet.
        """
        adding = partial(self.add, user, role, action, target, **detail)
        try:
            async with asyncio.timeout(DISK_PATIENCE_S):
                return await asyncio.get_running_loop().run_in_executor(self._writer, adding)
        except TimeoutError as error:
            raise AuditUnwritable("The audit log's disk does not answer.") from error

    def entries(self) -> Iterator[Entry]:
        """Every line that can be read, oldest first."""
        return _read(self._lines())

    def newest(self) -> Iterator[Entry]:
        """Every line that can be read, newest first; the file is read from its end."""
        return _read(self._lines_from_the_end())

    def since(self, at: float) -> list[Entry]:
        """What was done since then, oldest first, without reading all that was done before."""
        found = []
        for entry in self.newest():
            if entry.at >= at:
                found.append(entry)
            elif entry.at < at - _CLOCKS_DIFFER_S:  # a clock that was set shuffles a few
                break
        return found[::-1]

    def page(self, page: int, size: int) -> tuple[list[Entry], int]:
        """One page, newest first, counted from 1; and how many lines there are."""
        last = next(self.newest(), None)
        begin = (page - 1) * size
        return list(islice(self.newest(), begin, begin + size)), last.seq if last else 0

    def verify(self) -> Verdict:
        """Follow the chain from the first line to the last, and hold the end against its note.

        A file that has not changed since is not read again.
        """
        stamp = (_stamp(self._path), _stamp(self._head))
        if self._verified is None or self._verified[0] != stamp:
            verdict = followed(self._lines(), self._end_noted(), self._seal)
            self._verified = stamp, verdict
        return self._verified[1]

    # --- the file ------------------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        try:
            with self._path.open(encoding="utf-8", errors="replace", newline="\n") as file:
                for line in file:
                    if line.strip():
                        yield line
        except FileNotFoundError:
            return

    def _lines_from_the_end(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                at, rest = file.seek(0, os.SEEK_END), b""
                while at:
                    size = min(_BLOCK_BYTES, at)
                    at -= size
                    file.seek(at)
                    rest, *lines = (file.read(size) + rest).split(b"\n")
                    yield from (line for line in reversed(lines) if line.strip())
                if rest.strip():
                    yield rest
        except FileNotFoundError:
            return

    def _end(self, descriptor: int) -> tuple[tuple[int, str], list[str]]:
        """Number and hash that the next line follows, and what has to be noted before it.

        Raises:
            OSError: the log was signed with a key that is not ours.
        """
        _mend_last_line(descriptor)
        last, noted = next(self.newest(), None), self._end_noted()
        if last is None:
            return (noted.seq, noted.hash) if noted else (0, FIRST), []
        made = self._seal.of(last)
        if not made:
            raise PermissionError(errno.EPERM, self._foreign())
        first = []
        if self._seal and made == "plain":
            first.append("signing_began")
        elif noted is not None and not self._seal.fits(noted):
            noted = None
        if noted is None:  # from now on nobody can tell whether lines were cut off
            first.append("end_note_missing")
        elif noted.seq > last.seq:  # lines were cut off: the gap is kept, for `verify` to find
            return (noted.seq, noted.hash), first
        return (last.seq, last.hash), first

    def _foreign(self) -> str:
        if self._seal:
            return (
                f"the last line of {self._path} was changed, or signed with another key than"
                " VOICE_AGENT_AUDIT_KEY holds now: see `voice-agent audit verify`; moved aside"
                " together with its .head it stays evidence, and a new one begins"
            )
        return (
            f"the last line of {self._path} is signed, or was changed: set VOICE_AGENT_AUDIT_KEY"
            " to the key it was signed with"
        )

    def _append(
        self,
        descriptor: int,
        seq: int,
        before: str,
        user: str,
        role: str,
        action: str,
        target: str,
        detail: dict[str, Any],
    ) -> Entry:
        """One line and the note of the end; neither, where one of them cannot be written."""
        at = round(time.time(), 3)
        entry = self._seal.sealed(Entry(seq + 1, at, user, role, action, target, detail, before))
        line = (json.dumps(asdict(entry), ensure_ascii=False) + "\n").encode()
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
            self._note_end(entry)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
        if self._witness is not None:
            self._witness(entry)
        return entry

    def _end_noted(self) -> End | None:
        try:
            noted = json.loads(self._head.read_text(encoding="utf-8"))
            return End(int(noted["seq"]), str(noted["hash"]), str(noted.get("seal", "")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _note_end(self, entry: Entry) -> None:
        part = self._head.with_suffix(".head.part")
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            json.dump(asdict(self._seal.end(entry)), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._head)


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """One writer at a time.

    Raises:
        OSError: another one has held the file for too long.
    """
    give_up_s = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= give_up_s:
                raise OSError(errno.EBUSY, "another process holds it") from None
            time.sleep(0.01)
    yield


def _mend_last_line(descriptor: int) -> None:
    """Take away a line that a crash cut short: its act was not done. A whole one gets its end."""
    size = os.fstat(descriptor).st_size
    at, tail = size, b""
    while at and b"\n" not in tail:
        begin = max(0, at - _BLOCK_BYTES)
        tail = os.pread(descriptor, at - begin, begin) + tail
        at = begin
    last = tail.rpartition(b"\n")[2]
    if not last:
        return
    try:
        entry_of(last)
    except ValueError:
        os.ftruncate(descriptor, size - len(last))
    else:
        os.write(descriptor, b"\n")


def _read(lines: Iterator[str] | Iterator[bytes]) -> Iterator[Entry]:
    for line in lines:
        with suppress(ValueError):
            yield entry_of(line)


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    # the time of a change to the file itself cannot be set back as that of its content can
    return seen.st_ino, seen.st_ctime_ns, seen.st_mtime_ns, seen.st_size


def _bounded(detail: dict[str, object]) -> dict[str, Any]:
    return {
        name: value[:MAX_DETAIL_CHARS] if isinstance(value, str) else value
        for name, value in detail.items()
        if value is not None
    }
