"""A bad network, made on purpose and the same each time: loss, reordering, jitter, duplicates."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

REORDER_S = 0.03
"""Held back so long, a packet comes after its successor, sent 20 ms later."""


@dataclass(frozen=True, slots=True)
class Impairments:
    """What happens to packets, each way. Shares in percent; ``jitter_ms`` is the longest delay of
    a packet, each packet's being drawn evenly from 0 to it."""

    loss_percent: float = 0.0
    reorder_percent: float = 0.0
    duplicate_percent: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: a share outside 0 to 100, or a negative delay.
        """
        for name in ("loss_percent", "reorder_percent", "duplicate_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name.replace('_', ' ')} lies between 0 and 100")
        if not 0 <= self.jitter_ms < math.inf:
            raise ValueError("jitter is a number of milliseconds, and not negative")

    @property
    def harmless(self) -> bool:
        return not (
            self.loss_percent or self.reorder_percent or self.duplicate_percent or self.jitter_ms
        )

    def seeded(self, *more: int) -> Impairments:
        """The same network with another seed, made from this one and these numbers."""
        return replace(self, seed=random.Random(repr((self.seed, *more))).getrandbits(32))  # noqa: S311


class Network:
    """Decides the fate of packets, one after the other."""

    def __init__(self, impairments: Impairments) -> None:
        self._impairments = impairments
        self._random = random.Random(impairments.seed)  # noqa: S311 - wants to be repeatable

    def fates(self) -> tuple[float, ...]:
        """When each copy of the next packet arrives, seconds after it was sent; none: lost."""
        made = self._impairments
        if made.harmless:
            return (0.0,)
        # All are drawn each time, so that one share does not shift the others' choices.
        lost, moved, twice, part = (self._random.random() for _ in range(4))
        if lost * 100 < made.loss_percent:
            return ()
        delay_s = part * made.jitter_ms / 1000
        if moved * 100 < made.reorder_percent:
            delay_s += REORDER_S
        return (delay_s, delay_s) if twice * 100 < made.duplicate_percent else (delay_s,)
