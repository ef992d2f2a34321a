"""What was deleted, when, and under which policy: read from the audit log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

COUNTED = ("calls", "turns", "handoffs", "recordings", "recording_bytes")
FINISHED = ("pruned", "erasure_done")
"""Acts that say what was deleted; ``erased`` only says that it was asked for."""


class Act(Protocol):
    """What of an entry of the audit log is needed."""

    @property
    def at(self) -> float:
        """Seconds since 1970."""

    @property
    def user(self) -> str:
        """Who did it."""

    @property
    def action(self) -> str:
        """What was done."""

    @property
    def target(self) -> str:
        """To what."""

    @property
    def detail(self) -> Mapping[str, Any]:
        """What else is known."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One deletion; ``at`` in seconds since 1970, ``policy`` in words."""

    at: float
    by: str
    policy: str
    calls: int
    turns: int
    handoffs: int
    recordings: int
    recording_bytes: int
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def policy_of(keep_days: float | None, keep_recordings_days: float | None) -> str:
    """The policy for old records, in words."""
    kept = []
    if keep_days is not None:
        kept.append(f"calls {keep_days:g} days")
    if keep_recordings_days is not None:
        kept.append(f"recordings {keep_recordings_days:g} days")
    return ", ".join(kept) or "kept for ever"


def deletions(acts: Iterable[Act], since: float) -> list[Deletion]:
    """Every deletion from then on, oldest first."""
    return [
        Deletion(
            at=act.at,
            by=act.user,
            policy=str(act.detail.get("policy") or _policy_without_words(act)),
            failed=len(act.detail.get("failed") or ()),
            **{name: int(act.detail.get(name) or 0) for name in COUNTED},
        )
        for act in acts
        if act.at >= since and act.action in FINISHED
    ]


def _policy_without_words(act: Act) -> str:
    return (
        f"a caller's wish ({act.target})" if act.action == "erasure_done" else "records.keep_days"
    )
