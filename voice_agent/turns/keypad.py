"""Keys a caller presses, until they are a whole number. Pure, in audio time."""

from __future__ import annotations

KEYS_END_MS = 2500
"""So long after the last key, or with ``#``, the number is whole."""


class Keypad:
    """The keys pressed so far."""

    def __init__(self) -> None:
        self._keys = ""
        self._last_ms = 0

    @property
    def waiting(self) -> bool:
        """Whether a number has been begun."""
        return bool(self._keys)

    def press(self, at_ms: int, digit: str) -> str:
        """Take a key; the number when this key ends it, else nothing."""
        if digit == "#":
            return self._take()
        self._keys += digit
        self._last_ms = at_ms
        return ""

    def due(self, now_ms: int) -> str:
        """The number when enough time has passed since its last key, else nothing."""
        return self._take() if now_ms - self._last_ms >= KEYS_END_MS else ""

    def _take(self) -> str:
        keys, self._keys = self._keys, ""
        return keys
