"""What happens in each call of the handoff drill: who does not take it, and what the caller wants
then. Pure, and the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Person: TypeAlias = Literal[
    "answers",
    "busy",
    "declines",
    "declines_by_key",
    "no_answer",
    "hangs_up_ringing",
    "hangs_up_in_announcement",
    "hangs_up_at_once",
    "breaks_off",
    "trunk_error",
    "cannot_dial",
]
Wish: TypeAlias = Literal["call_back", "other_number", "message", "question"]
Queue: TypeAlias = Literal[
    "help", "all", "round", "idle", "keyed", "closed", "full", "patient", "sent", "taken_over"
]
Agent: TypeAlias = Literal["stays", "dies_while_it_rings", "never_there"]

PEOPLE: tuple[Person, ...] = get_args(Person)
WISHES: tuple[Wish, ...] = get_args(Wish)
QUEUES: tuple[Queue, ...] = get_args(Queue)
TARGETS = 3
REFUSALS: dict[Person, int] = {
    "busy": 486,
    "declines": 603,
    "hangs_up_ringing": 480,
    "trunk_error": 503,
    "cannot_dial": 405,
}
"""What the caller's line answers when it is asked to ring them itself; the others answer it, but
for those who never do."""
LINES: tuple[int | None, ...] = (200, 403, 500, None)
"""What it answers, by the call's number, when it is asked to take over our call with a person;
``None``: nothing at all."""


@dataclass(frozen=True, slots=True)
class Script:
    """One call. ``people`` are what the targets do when they are rung, by their number."""

    number: int
    queue: Queue
    people: tuple[Person, ...]
    wish: Wish
    agent: Agent


def scripts(count: int, seed: int = 7) -> list[Script]:
    """So many calls: each thing a person can do comes first once alone, then all mixed."""
    chance = random.Random(seed)  # noqa: S311 - a script, not a secret
    made = []
    for number in range(count):
        if number < len(PEOPLE) * len(WISHES):
            alone = PEOPLE[number % len(PEOPLE)]
            people: Sequence[Person] = (alone,) * TARGETS
            wish, queue = WISHES[number // len(PEOPLE)], QUEUES[0]
        else:
            people = chance.choices(PEOPLE, weights=[2, *[1] * (len(PEOPLE) - 1)], k=TARGETS)
            wish, queue = chance.choice(WISHES), chance.choice(QUEUES)
        agent: Agent = "stays"
        if number >= len(PEOPLE) * len(WISHES) and chance.random() < 0.1:
            agent = chance.choice(("dies_while_it_rings", "never_there"))
        made.append(Script(number, queue, tuple(people), wish, agent))
    return made


def kinds(all_scripts: Sequence[Script]) -> dict[str, int]:
    """How often each thing a person can do is in the scripts."""
    return dict(Counter(person for script in all_scripts for person in script.people))
