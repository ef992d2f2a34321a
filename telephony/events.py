"""What happens in the gateway, told to whoever listens (the console). Memory only, bounded.

Every listener has a queue of ``MAX_WAITING`` events. Overflow rule: a listener that lets it fill is
dropped and told to connect again, since a view that misses events is worse than a fresh one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from telephony.media_stream import Note

EventName: TypeAlias = Literal[
    "snapshot", "call_began", "call_changed", "call_ended", "answering_changed", "turn", "alarm"
]

MAX_WAITING = 1_000
MAX_LISTENERS = 50

_WORDLESS_KEYS = frozenset(
    {
        "turn_id",
        "index",
        "state",
        "road",
        "confidence",
        "mood",
        "grounding",
        "voice_to_voice_ms",
        "stages_ms",
    }
)
"""What of a note is told to listeners who may not read callers' words: deny by default."""


class TooManyListeners(Exception):
    """No further listener is taken."""


class Listener:
    """One stream of encoded events."""

    def __init__(self, *, words: bool) -> None:
        self.words = words
        self.dropped = False
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING + 1)

    async def next_event(self) -> str | None:
        """The next event as JSON; ``None`` once this listener is dropped."""
        return await self._queue.get()

    def put(self, encoded: str) -> None:
        """Queue an event; the one too many ends the stream."""
        if self.dropped:
            return
        if self._queue.qsize() >= MAX_WAITING:
            self.drop()
            return
        self._queue.put_nowait(encoded)

    def drop(self) -> None:
        """Nothing that waits is of use any more."""
        self.dropped = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


class EventFeed:
    """Tells every listener."""

    def __init__(self, now_unix_s: Callable[[], float] = time.time) -> None:
        self._now_unix_s = now_unix_s
        self._listeners: set[Listener] = set()
        self._sequence = 0

    def listen(self, *, words: bool, snapshot: dict[str, Any]) -> Listener:
        """A new listener, whose first event is the snapshot.

        Raises:
            TooManyListeners: there are ``MAX_LISTENERS``.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListeners
        listener = Listener(words=words)
        listener.put(self._encoded("snapshot", snapshot))
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """The listener is gone."""
        self._listeners.discard(listener)

    def publish(self, event: EventName, **fields: Any) -> None:
        """Tell everybody; ``fields`` hold no words of callers."""
        self._sequence += 1
        if self._listeners:
            self._tell(self._encoded(event, fields), self._listeners)

    def publish_note(self, call: dict[str, Any], note: Note) -> None:
        """Tell of a turn; its words only to those who may read them."""
        self._sequence += 1
        for words in (True, False):
            listeners = {each for each in self._listeners if each.words is words}
            if listeners:
                data = note.data if words else without_words(note.data)
                fields = {"call_id": call["call_id"], "kind": note.kind, "data": data, "call": call}
                self._tell(self._encoded("turn", fields), listeners)

    def _encoded(self, event: EventName, fields: dict[str, Any]) -> str:
        told = {"event": event, "at": self._now_unix_s(), "seq": self._sequence, **fields}
        return json.dumps(told, separators=(",", ":"))

    def _tell(self, encoded: str, listeners: set[Listener]) -> None:
        for listener in tuple(listeners):
            listener.put(encoded)
            if listener.dropped:
                self._listeners.discard(listener)


def without_words(data: dict[str, Any]) -> dict[str, Any]:
    """The part of a note's data that holds none of the caller's words."""
    return {
        key: value
        for key, value in data.items()
        if key in _WORDLESS_KEYS and not (isinstance(value, str) and len(value) > 64)
    }
