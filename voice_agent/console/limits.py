"""How much one address may ask for, and how often a password may be wrong. Pure: the time is given.

Times are monotonic seconds: a clock that is set back neither frees nor locks anybody.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """A token bucket for each name. The least recently seen is forgotten when there are too many.

    Args:
        per_s: tokens that come back each second.
        burst: tokens there can be at most.
    """

    def __init__(self, per_s: float, burst: float, most: int = 10_000) -> None:
        self._per_s, self._burst, self._most = per_s, burst, most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, name: str, now: float) -> float:
        """Take a token: 0, or how long until there is one again (none is taken then)."""
        bucket = self._buckets.pop(name, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_s)
        bucket.at = now
        self._buckets[name] = bucket
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_s
        bucket.tokens -= 1
        return 0.0


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0
    turned_away: int = 0


class Lockout:
    """Locks a name after ``allowed`` failures: a minute, then twice as long each time, to an hour.

    Names nobody has are locked the same way, so that a lock tells nothing.
    """

    def __init__(self, allowed: int = 5, first_s: float = 60.0, longest_s: float = 3_600.0) -> None:
        self._allowed, self._first_s, self._longest_s = allowed, first_s, longest_s
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def locked_s(self, name: str, now: float) -> float:
        """For how long nobody of that name gets in; 0: they may try."""
        known = self._failures.get(name.lower())
        return max(0.0, known.until - now) if known else 0.0

    def failed(self, name: str, now: float) -> float:
        """Note a failure; gives how long the name is locked now."""
        known = self._failures.pop(name.lower(), None) or _Failures()
        known.count += 1
        if known.count >= self._allowed:
            times = min(known.count - self._allowed, 16)
            known.until = now + min(self._longest_s, self._first_s * 2**times)
        self._failures[name.lower()] = known
        while len(self._failures) > 10_000:
            self._failures.popitem(last=False)
        return self.locked_s(name, now)

    def turned_away(self, name: str) -> int:
        """Note an attempt while the name is locked; how many that makes."""
        known = self._failures.setdefault(name.lower(), _Failures())
        known.turned_away += 1
        return known.turned_away

    def forgive(self, name: str) -> None:
        """The latest attempt was no failure, though it lets nobody in yet."""
        if known := self._failures.get(name.lower()):
            known.count -= 1
            if known.count < self._allowed:
                known.until = 0.0

    def let_in(self, name: str) -> None:
        """The right password was given: start over."""
        self._failures.pop(name.lower(), None)
