"""Stereo recordings: the caller left, everything the caller hears right.

Writing happens on a thread behind a bounded queue; when the disk is too slow for it, the newest
frames are dropped and counted. Whatever a crash leaves is a valid WAV file, because the header is
brought up to date with every block written.
"""

from __future__ import annotations

import os
import queue
import threading
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import structlog

from telephony import metrics
from telephony.audio import SILENCE
from telephony.media_stream import FRAME_MS, SAMPLE_RATE_HZ

log = structlog.get_logger(__name__)

BLOCK_FRAMES = 1_000 // FRAME_MS
MAX_QUEUED_BLOCKS = 30


def interleaved(left: bytes, right: bytes) -> bytes:
    """Two mono streams of equal length as one stereo stream."""
    return (
        np.column_stack((np.frombuffer(left, dtype="<i2"), np.frombuffer(right, dtype="<i2")))
        .astype("<i2")
        .tobytes()
    )


class Recording:
    """One call's file. ``add`` never blocks; a file that cannot be written never ends a call.

    While paused both sides are silence, so that times in the file stay times of the call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paused = False
        self.failed = False
        """The file could not be opened or written; what follows is lost."""
        self._left = bytearray()
        self._right = bytearray()
        self._frames = 0
        self._blocks: queue.Queue[bytes | None] = queue.Queue(MAX_QUEUED_BLOCKS)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def add(self, caller: bytes, heard: bytes) -> None:
        """20 ms of both sides."""
        self._left += SILENCE if self.paused else caller
        self._right += SILENCE if self.paused else heard
        self._frames += 1
        if self._frames >= BLOCK_FRAMES:
            self._hand_over()

    def forget_latest(self) -> None:
        """Silence instead of what is not handed over yet: up to a second of both sides."""
        self._left[:] = bytes(len(self._left))
        self._right[:] = bytes(len(self._right))

    def flush(self) -> None:
        """Wait until every whole second so far is in the file. Blocks."""
        self._blocks.join()

    def close(self) -> None:
        """Write what is left and close the file. Blocks until the disk is done."""
        self._hand_over()
        while self._thread.is_alive():
            try:
                self._blocks.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()

    def _hand_over(self) -> None:
        if not self._frames:
            return
        block = interleaved(bytes(self._left), bytes(self._right))
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            metrics.RECORDING_DROPPED.inc(self._frames)
            log.warning("recording_frames_dropped", frames=self._frames)
        self._left.clear()
        self._right.clear()
        self._frames = 0

    def _write(self) -> None:
        """The thread: write blocks until told to end; after a failure, take and forget them."""
        with self._failing(), ExitStack() as files:
            with self._failing():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                opened = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                file = files.enter_context(os.fdopen(opened, "wb"))
                out = wave.open(file, "wb")  # noqa: SIM115 - closed below, where failing is expected
                out.setnchannels(2)
                out.setsampwidth(2)
                out.setframerate(SAMPLE_RATE_HZ)
            while (block := self._blocks.get()) is not None:
                if not self.failed:
                    with self._failing():
                        out.writeframes(block)  # brings the header up to date
                        file.flush()
                self._blocks.task_done()
            if not self.failed:
                with self._failing():
                    out.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong with the disk ends the recording, never the call."""
        try:
            yield
        except (OSError, wave.Error) as error:
            self.failed = True
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.error("recording_failed", reason=reason)
