"""What personal data is told apart, and a place where some was found. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One kind of personal data; the value stands in place of it in masked text."""

    CARD = "card"
    NATIONAL_ID = "national id"
    LICENCE = "licence"
    ACCOUNT = "account"
    SECRET = "secret"  # noqa: S105 - what stands in its place
    EMAIL = "e-mail"
    PHONE = "phone"
    WEB = "web address"
    NETWORK = "network address"
    ADDRESS = "address"
    PERSON = "person"
    PLACE = "place"
    ORGANISATION = "organisation"
    GROUP = "group"
    NAME = "name"
    """A name by its looks: of a person, a place or a company."""
    TITLE = "title"
    AGE = "age"
    BIRTH = "date of birth"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data at ``text[start:end]``; ``score`` from 0 to 1 is how sure that is."""

    kind: Kind
    start: int
    end: int
    score: float = 1.0


def without_overlaps(findings: Iterable[Finding]) -> list[Finding]:
    """In order of place, each character in one finding at most; the surer, then longer, one wins.

    What of the loser sticks out is kept as a finding of its own kind.
    """
    ranked = sorted(findings, key=lambda found: (-found.score, found.start - found.end))
    kept: list[Finding] = []
    for found in ranked:
        pieces = [(found.start, found.end)]
        for other in kept:
            pieces = [
                piece
                for start, end in pieces
                for piece in ((start, min(end, other.start)), (max(start, other.end), end))
                if piece[0] < piece[1]
            ]
        kept += [Finding(found.kind, start, end, found.score) for start, end in pieces]
    return sorted(kept, key=lambda found: found.start)
