"""Whether a new index version may answer calls instead of the one that does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.config import KnowledgeGateSettings

_NAMED = 5  # documents and questions named in a reason; all are in the verdict


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a version.

    `documents` are ids; `refused` counts what the sources offered and the version has not.
    `asked` are the stored questions that its documents answer, `found` those of them for which it
    finds the right one.
    """

    version: str
    documents: frozenset[str]
    refused: int = 0
    asked: frozenset[str] = frozenset()
    found: frozenset[str] = frozenset()

    @property
    def completeness(self) -> float:
        """The share of what the sources offered that can be found."""
        offered = len(self.documents) + self.refused
        return len(self.documents) / offered if offered else 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate decides, and why. Nothing is compared before the first promotion."""

    passed: bool
    reasons: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    """Questions that the version in place answers and the new one does not."""
    better: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    recall_before: float | None = None
    recall_after: float | None = None


def judge(
    before: Facts | None,
    after: Facts,
    rules: KnowledgeGateSettings,
    withdrawn: str = "",
) -> Verdict:
    """Compare a version with the one that answers.

    Args:
        before: the version that answers; None: there is none, and any version is better.
        after: the version that would.
        rules: what it may lose.
        withdrawn: why this very version was taken out of service; empty when it was not.
    """
    if before is None or before.version == after.version:
        return Verdict(True)
    reasons = [f"it was taken out of service: {withdrawn}"] if withdrawn else []
    asked = before.asked | after.asked
    worse, better = sorted(before.found - after.found), sorted(after.found - before.found)
    recall_before, recall_after = (
        len(facts.found) / len(asked) if asked else None for facts in (before, after)
    )
    if recall_before is not None and recall_after is not None:
        fall = recall_before - recall_after
        if fall > rules.recall_fall + 1e-9:
            reasons.append(
                f"recall falls from {recall_before:.3f} to {recall_after:.3f}; "
                f"no longer found: {_named([f'“{question}”' for question in worse])}"
            )
    vanished = sorted(before.documents - after.documents)
    if len(vanished) > rules.vanished_share * len(before.documents):
        reasons.append(
            f"{len(vanished)} of {len(before.documents)} documents vanish: {_named(vanished)}"
        )
    if before.completeness - after.completeness > rules.completeness_fall + 1e-9:
        reasons.append(
            f"completeness falls from {before.completeness:.1%} to {after.completeness:.1%}: "
            f"{after.refused} documents are refused, {before.refused} were"
        )
    return Verdict(
        passed=not reasons,
        reasons=tuple(reasons),
        worse=tuple(worse),
        better=tuple(better),
        vanished=tuple(vanished),
        recall_before=recall_before,
        recall_after=recall_after,
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
