"""Stereo recordings: the caller left, everything the caller hears right.

What is recorded can be held back for some seconds before it goes to the disk, so that what turns
out to be a card number can still be silenced. Beside the file a second one, in JSON, says by which
permission it was made and when it was paused. Writing happens on a thread behind a bounded queue;
when the disk is too slow for it, the newest frames are dropped and counted. Whatever a crash leaves
is a valid WAV file, because the header is brought up to date with every block written.
"""

from __future__ import annotations

import os
import queue
import threading
import wave
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    """One call's file. ``add`` never blocks; a file that cannot be written never ends a call."""

    def __init__(self, path: Path, *, held_back_ms: int = 0, began_ms: int = 0) -> None:
        """
        Args:
            path: the WAV file; its description is beside it, as ``.json``.
            held_back_ms: sound stays in memory for so long, and can be silenced till then.
            began_ms: so much silence stands for what came before.
        """
        self.path = path
        self.failed = False
        """The file could not be opened or written; what follows is lost."""
        self._held_back = held_back_ms // FRAME_MS
        self._held: deque[tuple[bytes, bytes]] = deque()
        self._left = bytearray()
        self._right = bytearray()
        self._frames = 0
        self._description = ""
        self._began_ms = began_ms
        self._blocks: queue.Queue[bytes | None] = queue.Queue(MAX_QUEUED_BLOCKS)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def add(self, caller: bytes, heard: bytes) -> None:
        """20 ms of both sides."""
        self._held.append((caller, heard))
        while len(self._held) > self._held_back:
            self._gather(*self._held.popleft())

    def forget_latest(self, ms: int) -> int:
        """Silence instead of the latest ``ms`` of both sides, as far as they are not on their way
        to the disk; how many ms that was."""
        held = min(len(self._held), -(-ms // FRAME_MS))
        for place in range(len(self._held) - held, len(self._held)):
            self._held[place] = (SILENCE, SILENCE)
        gathered = min(self._frames, -(-ms // FRAME_MS) - held)
        if gathered > 0:
            size = gathered * len(SILENCE)
            self._left[-size:] = bytes(size)
            self._right[-size:] = bytes(size)
        return (held + max(0, gathered)) * FRAME_MS

    def describe(self, text: str) -> None:
        """Write this beside the file, in place of what is there; soon, and at the end for sure."""
        self._description = text
        with suppress(queue.Full):
            self._blocks.put_nowait(b"")

    def flush(self) -> None:
        """Wait until every whole second so far is in the file. Blocks."""
        self._blocks.join()

    def close(self) -> None:
        """Write what is left and close the file. Blocks until the disk is done."""
        while self._held:
            self._gather(*self._held.popleft())
        self._hand_over()
        while self._thread.is_alive():
            try:
                self._blocks.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()

    def _gather(self, caller: bytes, heard: bytes) -> None:
        self._left += caller
        self._right += heard
        self._frames += 1
        if self._frames >= BLOCK_FRAMES:
            self._hand_over()

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
                out.writeframes(bytes(2 * self._began_ms // FRAME_MS * len(SILENCE)))
            while (block := self._blocks.get()) is not None:
                if not block:
                    self._write_description()
                elif not self.failed:
                    with self._failing():
                        out.writeframes(block)  # brings the header up to date
                        file.flush()
                self._blocks.task_done()
            if not self.failed:
                with self._failing():
                    out.close()
            self._write_description()

    def _write_description(self) -> None:
        if not self._description or self.failed:
            return
        unfinished = self.path.with_name(f".{self.path.stem}.json")
        with self._failing():
            opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(opened, "w", encoding="utf-8") as file:
                file.write(self._description)
            os.replace(unfinished, self.path.with_suffix(".json"))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong with the disk ends the recording, never the call."""
        try:
            yield
        except (OSError, wave.Error) as error:
            self.failed = True
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.error("recording_failed", reason=reason)
