"""What the agent itself recorded of a call, fetched and laid beside what the caller said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

ATTEMPTS = 6
PAUSE_S = 0.5
TIMEOUT_S = 3.0
EARLY_S = 0.3
"""Two machines' clocks may differ by so much."""


@dataclass(frozen=True, slots=True)
class KnownTurn:
    """The agent's side of one turn. ``stages_ms`` as the agent names them."""

    heard: str
    answer: str
    sources: list[str]
    stages_ms: dict[str, float]
    turns: int = 1
    """Into how many turns the agent took it apart."""
    answered: dict[str, Any] = field(default_factory=dict)
    """The agent's whole record of the turn that was answered first."""
    said_all: bool = False
    """Whether its last reply was said to its end."""


@dataclass(frozen=True, slots=True)
class KnownSound:
    """The agent's side of a sound: what it ``heard`` in it, if it made a turn of it, and whether it
    said all of the reply that the sound was made over."""

    heard: str | None = None
    said_all: bool = False


async def ask_record(url: str, token: str, turns: int) -> tuple[dict[str, Any] | None, str]:
    """The record at ``url``, or why there is none. Asks again for a while when it has not ended or
    has fewer turns than expected: the agent writes it after the call."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    record: dict[str, Any] | None = None
    why = ""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_S)
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        found = await answer.json()
                        if not isinstance(found, dict):
                            return None, "the agent answered no record"
                        record = found
                    elif answer.status in (401, 403):
                        return None, "the agent wants another token"
                    why = f"the agent answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                return record, f"the agent cannot be asked ({type(error).__name__})"
            if record and record.get("ended_at") and len(spoken_turns(record)) >= turns:
                break
    return record, why


def spoken_turns(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns in which the agent heard the caller: neither the greeting nor a reminder."""
    turns = record.get("turns")
    if not isinstance(turns, list):
        return []
    return [turn for turn in turns if isinstance(turn, dict) and turn.get("heard")]


def laid_beside(
    record: dict[str, Any], turns: Sequence[float], sounds: Sequence[float]
) -> tuple[list[KnownTurn | None], list[KnownSound]]:
    """What the agent has of each thing said and of each sound made, which began at these wall-clock
    times (seconds since 1970). What it made of a sound is not part of what was said before it."""
    made = sorted([*enumerate(turns), *enumerate(sounds, len(turns))], key=lambda one: one[1])
    of_turns: list[KnownTurn | None] = [None] * len(turns)
    of_sounds = [KnownSound()] * len(sounds)
    before: KnownTurn | None = None
    for (number, _), known in zip(made, matched(record, [at for _, at in made]), strict=True):
        if number < len(turns):
            of_turns[number] = known
        else:
            heard = None if known is None else known.heard
            of_sounds[number - len(turns)] = KnownSound(
                heard, before is not None and before.said_all
            )
        before = known or before
    return of_turns, of_sounds


def matched(record: dict[str, Any], began: Sequence[float]) -> list[KnownTurn | None]:
    """For each thing said, beginning at these wall-clock times (seconds since 1970), what the agent
    has of it. A recording that the agent took for two turns has both. Turns without a usable time
    are matched by their order."""
    turns = spoken_turns(record)
    groups: list[list[dict[str, Any]]] = [[] for _ in began]
    for turn in turns:
        at = turn.get("began_at")
        if not isinstance(at, int | float):
            groups = [[turn] for turn in turns[: len(began)]]
            groups += [[] for _ in range(len(began) - len(groups))]
            break
        before = [number for number, start in enumerate(began) if start <= at + EARLY_S]
        if before:
            groups[before[-1]].append(turn)
    return [_joined(group) for group in groups]


def _joined(turns: Sequence[dict[str, Any]]) -> KnownTurn | None:
    if not turns:
        return None
    sources: list[str] = []
    for turn in turns:
        given = turn.get("sources") or [
            passage.get("source", "") for passage in turn.get("passages") or []
        ]
        sources += [source for source in given if source]
    return KnownTurn(
        heard=" ".join(str(turn["heard"]) for turn in turns),
        answer=" ".join(str(turn["answer"]) for turn in turns if turn.get("answer")),
        sources=list(dict.fromkeys(sources)),
        stages_ms=dict(turns[-1].get("stages_ms") or {}),
        turns=len(turns),
        answered=next((turn for turn in turns if turn.get("voice_to_voice_ms")), turns[-1]),
        said_all=turns[-1].get("end_reason") == "completed",
    )
