"""Keeps the guarded process: one for many files, ended and begun anew when a file breaks it."""

from __future__ import annotations

import json
import os
import selectors
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from threading import Lock
from typing import IO

from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.parsed import Limits

_FILES_EACH = 500  # what libraries leak in a process goes with it
_MOST_ANSWER_BYTES = 256_000_000
_CHUNK_BYTES = 1 << 20
_START_S = 30.0  # a new process imports its libraries first


class Guard:
    """Reads files in a process whose memory and time are limited. Threads take turns."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._lock = Lock()

    def read(self, kind: str, content: bytes, **told: str | bool) -> Extracted:
        """Read one file.

        Args:
            kind: `pdf`, `docx`, `html` or `markup`.
            content: its bytes.
            told: what else the reader is told: `charset` for HTML, `markdown` for markup.

        Raises:
            Unreadable: it cannot be read, or not within the limits.
        """
        with self._lock:
            if self._process is None or self._files >= _FILES_EACH:
                self._end()
                self._process = self._begin()
            self._files += 1
            header = json.dumps({"kind": kind, "bytes": len(content), **told}).encode()
            deadline = time.monotonic() + self._limits.max_seconds
            deadline += _START_S if self._files == 1 else 0.0
            try:
                answer = _exchange(
                    self._process, struct.pack(">I", len(header)) + header + content, deadline
                )
            except TimeoutError as error:
                self._end()
                raise Unreadable(
                    f"takes longer than {self._limits.max_seconds:.0f} s to read"
                ) from error
            except (OSError, EOFError, ValueError) as error:
                self._end()
                raise Unreadable("its reader broke: out of memory, or a file made to") from error
            if "spent" in answer:
                self._end()
        if "refused" in answer:
            raise Unreadable(str(answer["refused"]))
        return Extracted(**answer["extracted"])

    def close(self) -> None:
        """End the process, if one runs."""
        with self._lock:
            self._end()

    def _begin(self) -> subprocess.Popen[bytes]:
        self._files = 0
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                "-m",
                "voice_agent.knowledge.parsing.worker",
                json.dumps(asdict(self._limits)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, deadline: float
) -> dict[str, dict[str, str]]:
    """Send a request and read its answer, at the same time, so that neither side can block.

    Raises:
        TimeoutError: no answer in time.
        EOFError, OSError, ValueError: the process ended or answers nonsense.
    """
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        raise EOFError
    left = memoryview(request)
    received = bytearray()
    os.set_blocking(requests.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(requests, selectors.EVENT_WRITE)
        ready.register(answers, selectors.EVENT_READ)
        while True:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise TimeoutError
            for key, _ in ready.select(patience):
                if key.fileobj is requests:
                    left = left[os.write(requests.fileno(), left[:_CHUNK_BYTES]) :]
                    if not left:
                        ready.unregister(requests)
                else:
                    _receive(answers, received)
            if len(received) >= 4:
                (length,) = struct.unpack(">I", received[:4])
                if length > _MOST_ANSWER_BYTES:
                    raise ValueError
                if len(received) == 4 + length:
                    answer: dict[str, dict[str, str]] = json.loads(received[4:])
                    return answer


def _receive(answers: IO[bytes], received: bytearray) -> None:
    chunk = os.read(answers.fileno(), _CHUNK_BYTES)
    if not chunk:
        raise EOFError
    received += chunk
