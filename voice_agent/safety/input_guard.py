"""Is this an attempt to turn the agent, to pry, or abuse? Decided from the words. Pure.

A caller's request, a document and a tool's result are data: what a turn may do is decided outside
the language model, so an attack that is missed here still meets the router, the passages it would
have to be supported by, and the output guard. This guard spares the model the attempt and gives
the caller an honest answer at once. Harmless talk with the same words ("ignore the scratches",
"forgot my password") must pass: see `attack_signs`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from voice_agent.safety.attack_signs import ATTACKS, PRYING
from voice_agent.safety.policy import Policy

MAX_SPOKEN_CHARS = 1_200
"""More than a minute of speech in one breath is no caller's question."""


class Threat(StrEnum):
    """What the words try."""

    NONE = "none"
    ATTACK = "attack"
    """To change what the agent is, says or may do."""
    PRIVATE = "private"
    """To learn someone else's data, a secret, or the instructions."""
    ABUSE = "abuse"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was seen, and the name of the sign that showed it."""

    threat: Threat = Threat.NONE
    sign: str = ""


_SIGNS = tuple(
    (threat, name, re.compile("|".join(f"(?:{form})" for form in forms), re.IGNORECASE))
    for threat, signs in ((Threat.ATTACK, ATTACKS), (Threat.PRIVATE, PRYING))
    for name, forms in signs
)
_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z\d+/]{24,}={0,2}")


def judge_input(text: str, policy: Policy) -> Judgement:
    """What a caller's words try. Never raises; takes well under a millisecond for an utterance."""
    words = " ".join(text.replace("’", "'").split())
    if len(words) > MAX_SPOKEN_CHARS:
        return Judgement(Threat.ATTACK, "too long to be speech")
    if policy.abusive.search(words):
        return Judgement(Threat.ABUSE, "abuse")
    for threat, name, pattern in _SIGNS:
        if pattern.search(words):
            return Judgement(threat, name)
    if _hides_words(words):
        return Judgement(Threat.ATTACK, "hidden writing")
    return Judgement()


def _hides_words(text: str) -> bool:
    """Whether a stretch is readable text in base64."""
    for match in _BASE64.finditer(text):
        coded = match.group()
        try:
            decoded = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if decoded.isascii() and decoded.decode("ascii").isprintable():
            return True
    return False
