"""Phrases kept as sound on disk, so that a start does not make them again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class KeptSounds:
    """A folder of sounds by voice, rate and text. Blocking; several processes may share it."""

    def __init__(self, folder: Path, voice: str) -> None:
        """``voice``: what identifies the voice's sound; another voice finds nothing of this one."""
        self._folder = folder
        self._voice = voice

    def get(self, text: str, rate: float) -> bytes | None:
        """The sound, 16 kHz PCM16 mono; ``None`` when it is not kept, or half of a sample is."""
        try:
            sound = self._path(text, rate).read_bytes()
        except OSError:
            return None
        return sound if sound and len(sound) % 2 == 0 else None

    def put(self, text: str, rate: float, sound: bytes) -> None:
        """Keep a sound; a reader never sees half of it.

        Raises:
            OSError: the folder cannot be written.
        """
        path = self._path(text, rate)
        path.parent.mkdir(parents=True, exist_ok=True)
        number, unfinished = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(sound)
            os.replace(unfinished, path)
        except OSError:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def _path(self, text: str, rate: float) -> Path:
        name = hashlib.sha256(f"{self._voice}\n{rate}\n{text}".encode()).hexdigest()
        return self._folder / f"{name}.pcm"
