"""May this sentence be said, whoever wrote it? The last look before it becomes sound. Pure.

Apart from whether it is true (that is the grounding gate's question), a sentence must not carry
personal data that this turn's sources do not have, a secret, the agent's own instructions, or
anything the policy excludes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.safety.personal_data_rules import find_identifiers
from voice_agent.safety.policy import Policy
from voice_agent.safety.spoken_forms import written

NOT_SAID = "I can't share that. Is there anything else I can help with?"
SHINGLE_WORDS = 7
"""So many words in a row of the instructions are no coincidence."""
_GUARDED = frozenset(
    {
        Kind.CARD,
        Kind.NATIONAL_ID,
        Kind.LICENCE,
        Kind.ACCOUNT,
        Kind.EMAIL,
        Kind.PHONE,
        Kind.SECRET,
        Kind.NETWORK,
    }
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_KEY = re.compile(
    r"\b(?:sk|pk|rk|api|key|tok|ghp|gho|xox[abp])[-_][A-Za-z\d_-]{12,}\b|\bBearer [\w.-]{12,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}|\b(?=[a-f]*\d)(?=\d*[a-f])[a-f\d]{32,}\b|-----BEGIN [A-Z ]+-----"
)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a sentence may not be said, and what is said instead of it and of all that follows."""

    reason: str
    instead: str


class OutputGuard:
    """Knows the policy, the instructions and the secrets of this process."""

    def __init__(self, policy: Policy, instructions: str, secrets: Iterable[str] = ()) -> None:
        self._policy = policy
        self._instructions = _shingles(instructions)
        self._secrets = tuple(
            plain for secret in secrets if len(plain := _plain(secret)) >= MIN_SECRET_CHARS
        )

    def judge(self, text: str, sources: Sequence[str]) -> Blocked | None:
        """Why ``text`` may not be said; ``None`` when it may.

        ``sources`` is what it may repeat personal data from: the passages and action results of
        this turn, and the caller's own words.
        """
        if rule := self._policy.broken_rule(text.replace("’", "'")):
            return Blocked(rule.name, rule.instead)
        plain = _plain(text)
        if _KEY.search(text) or any(secret in plain for secret in self._secrets):
            return Blocked("secret", NOT_SAID)
        if _shingles(text) & self._instructions:
            return Blocked("instructions", NOT_SAID)
        if _unknown_data(text, sources):
            return Blocked("personal data", NOT_SAID)
        return None


MIN_SECRET_CHARS = 6


def _unknown_data(text: str, sources: Sequence[str]) -> bool:
    """Whether there is personal data in the text that no source has."""
    found = [one for one in find_identifiers(text) if one.kind in _GUARDED]
    if not found:
        return False
    known = "\n".join(_plain(source) for source in sources)
    return any(_plain(text[one.start : one.end]) not in known for one in found)


def _plain(text: str) -> str:
    """Letters and digits alone, spoken forms written: how the same datum is found again."""
    form = written(text)
    return re.sub(r"[\W_]+", "", form.text if form else text).lower()


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text.replace("’", "'"))]
    last = len(words) - SHINGLE_WORDS + 1
    return frozenset(tuple(words[at : at + SHINGLE_WORDS]) for at in range(max(0, last)))
