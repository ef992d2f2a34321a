"""Who waits for a person, whose turn it is, who is free, and how long it takes. Shared by all calls
of a gateway; no I/O, and no waiting but for :meth:`Place.changed`.

Somebody is free while this gateway has not given them as many calls as they take at once. That a
telephone is busy otherwise is learnt by ringing it; the place that rang it leaves it alone for a
while then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean, median

from telephony import metrics
from telephony.errors import PersonNotReached
from telephony.settings import QueueSettings

MEASURED = 20
"""So many of the latest times make an estimate; fewer than ``ENOUGH`` make none."""
ENOUGH = 3


@dataclass(slots=True)
class _Desk:
    """What is known of one target."""

    calls: int = 0
    free_since_s: float = float("-inf")


@dataclass(slots=True)
class _Times:
    """What was measured in one queue, in seconds."""

    waits: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    talks: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))


class Place:
    """One caller's place in a queue. ``leave`` it in the end; once is enough."""

    def __init__(
        self, book: PeopleBook, name: str, settings: QueueSettings, targets: tuple[str, ...]
    ) -> None:
        self.name = name
        self.settings = settings
        self.joined_s = book.now_s()
        self.ringing = False
        self._book = book
        self.targets = targets
        self._rested: dict[str, float] = {}
        self._served: str | None = None
        self._served_s = 0.0
        self._moved = asyncio.Event()

    @property
    def position(self) -> int:
        """1: next."""
        return self._book.position(self)

    @property
    def wait_s(self) -> float | None:
        """How long it will probably take from now, from measured times; ``None``: too few."""
        return self._book.estimate_s(self.name, self.position, self.targets, self.settings)

    def to_ring(self) -> tuple[str, ...]:
        """Whom to ring now, in order: nobody unless it is this caller's turn."""
        if not self._book.is_next(self):
            return ()
        now_s = self._book.now_s()
        rested = [t for t in self.targets if self._rested.get(t, now_s) <= now_s]
        return self._book.free(self, rested)

    def rests(self, target: str) -> None:
        """It did not take the call: leave it alone for ``retry_s``."""
        self._rested[target] = self._book.now_s() + self.settings.retry_s

    def next_look_s(self) -> float | None:
        """When somebody has rested enough to be rung again."""
        now_s = self._book.now_s()
        return min((at_s for at_s in self._rested.values() if at_s > now_s), default=None)

    async def changed(self) -> None:
        """Return when places or people have changed since this was last asked."""
        await self._moved.wait()
        self._moved.clear()

    def claim(self, target: str) -> None:
        """It is being rung for this caller."""
        self._book.claim(target)

    def release(self, target: str) -> None:
        """It is not, any more."""
        self._book.release(target)

    def served(self, target: str) -> None:
        """A person has the caller: the place is free; ``target`` stays claimed until ``leave``."""
        self._served, self._served_s = target, self._book.now_s()
        self._book.note_wait(self.name, self._served_s - self.joined_s)
        self._book.remove(self)

    def unserved(self) -> None:
        """The person was gone at once: the caller is the next again."""
        if self._served is not None:
            self._book.release(self._served)
            self._served = None
            self._book.put_back(self)

    def leave(self) -> None:
        """The caller waits no more, or the talk is over."""
        if self._served is not None:
            self._book.note_talk(self.name, self._book.now_s() - self._served_s)
            self._book.release(self._served)
            self._served = None
        self._book.remove(self)

    def wake(self) -> None:
        self._moved.set()


class PeopleBook:
    """All queues of a gateway."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self._places: dict[str, list[Place]] = {}
        self._desks: dict[str, _Desk] = {}
        self._times: dict[str, _Times] = {}
        self._last_rung: dict[str, str] = {}

    def join(self, name: str, settings: QueueSettings, targets: tuple[str, ...]) -> Place:
        """A place at the end of a queue.

        Raises:
            PersonNotReached: ``queue_full``.
        """
        places = self._places.setdefault(name, [])
        if settings.wait_s and sum(not place.ringing for place in places) >= settings.max_waiting:
            raise PersonNotReached("queue_full")
        place = Place(self, name, settings, targets)
        places.append(place)
        self._tell(name)
        return place

    def remove(self, place: Place) -> None:
        """The place is gone; those behind move up."""
        places = self._places.get(place.name, [])
        if place in places:
            places.remove(place)
            self._tell(place.name)

    def put_back(self, place: Place) -> None:
        """Before all others: they have waited already."""
        self._places.setdefault(place.name, []).insert(0, place)
        self._tell(place.name)

    def position(self, place: Place) -> int:
        """1 for the first who is not being rung for already; 0: no place any more."""
        waiting = [each for each in self._places.get(place.name, []) if not each.ringing]
        return waiting.index(place) + 1 if place in waiting else 0

    def waiting(self, name: str) -> int:
        """Callers who wait in a queue and for whom nobody is being rung."""
        return sum(not place.ringing for place in self._places.get(name, []))

    def is_next(self, place: Place) -> bool:
        """Nobody waits before this one. Without waiting there is no order to keep."""
        if not place.settings.wait_s:
            return True
        for each in self._places.get(place.name, []):
            if each is place:
                return True
            if not each.ringing and each.settings.wait_s:
                return False
        return False

    def free(self, place: Place, targets: Iterable[str]) -> tuple[str, ...]:
        """Those of them who have room for one more call, in the order they are to be rung."""
        most = place.settings.calls_each
        free = [target for target in targets if not most or self._desk(target).calls < most]
        match place.settings.strategy:
            case "longest_idle":
                free.sort(key=lambda target: self._desk(target).free_since_s)
            case "round_robin" if (last := self._last_rung.get(place.name)) in place.targets:
                first = place.targets.index(last) + 1
                order = place.targets[first:] + place.targets[:first]
                free.sort(key=order.index)
        return tuple(free)

    def any_free(self, targets: Iterable[str], calls_each: int) -> bool:
        """Somebody has room for one more call."""
        return any(not calls_each or self._desk(each).calls < calls_each for each in targets)

    def note_rung(self, name: str, target: str) -> None:
        """For going round: this one was rung last in a queue."""
        self._last_rung[name] = target

    def claim(self, target: str) -> None:
        self._desk(target).calls += 1

    def release(self, target: str) -> None:
        desk = self._desk(target)
        desk.calls = max(0, desk.calls - 1)
        desk.free_since_s = self.now_s()
        for name in self._places:
            self._tell(name)

    def note_wait(self, name: str, wait_s: float) -> None:
        self._times.setdefault(name, _Times()).waits.append(wait_s)
        metrics.QUEUE_WAITS.labels(name).observe(wait_s)

    def note_talk(self, name: str, talk_s: float) -> None:
        self._times.setdefault(name, _Times()).talks.append(talk_s)

    def estimate_s(
        self, name: str, position: int, targets: tuple[str, ...], settings: QueueSettings
    ) -> float | None:
        """From now until the caller at ``position`` has a person: the mean talk, shared by those
        who talk, times the position. Where it is not known how many people there are, or no talks
        are over yet, the median of the latest waits."""
        times = self._times.get(name)
        if times is None or position < 1:
            return None
        if len(times.talks) >= ENOUGH and settings.calls_each:
            return position * fmean(times.talks) / (len(targets) * settings.calls_each)
        return median(times.waits) if len(times.waits) >= ENOUGH else None

    def _desk(self, target: str) -> _Desk:
        return self._desks.setdefault(target, _Desk())

    def _tell(self, name: str) -> None:
        metrics.QUEUE_WAITING.labels(name).set(self.waiting(name))
        for place in self._places.get(name, []):
            place.wake()
