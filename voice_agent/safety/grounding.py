"""May this sentence be spoken? Held against the evidence of its turn, before synthesis. Pure.

First what can be decided for certain, and is dangerous when wrong: numbers, amounts, durations,
dates, times, codes and names that no source has, a value that a source gives for something else,
a denial turned round, a limit or condition changed or left out. What is left must follow from one
statement of a source: enough of its words, and, where embeddings are at hand, its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice_agent.knowledge.terms import terms_of
from voice_agent.safety.claims import GENERAL, Claim, claim_of, own_stems
from voice_agent.safety.evidence import Evidence, Statement, as_compared

LEAST_COVERED = 0.5
"""Share of a claim's words that its statement must have; with less it says something else."""
LEAST_SUPPORT = 0.62
"""Mean of that share and of the likeness in meaning; fitted on answers to the sample questions."""
ABOUT_CALLER = frozenset({"code", "date", "weekday", "ordinal", ""})
"""Values a caller may vouch for: their own order, their own day; not the company's prices."""
_POLAR = re.compile(r"^\W*(yes|no|yeah|nope|correct|absolutely|of course)\b", re.IGNORECASE)
_COURTESY = re.compile(
    r"^\W*(?:(?:i'm|i am|we're|we are) (?:very |so )?sorry\b|sorry\b|thank(?:s| you)\b|"
    r"please (?:let me know|hold|wait|tell me)\b|let me (?:check|look|see)\b|"
    r"i(?:'d| would) be happy to\b|i(?:'ll| will) (?:put|connect|transfer) you\b|"
    r"(?:is there anything|how can i|can i help|would you like|do you (?:want|need))\b|"
    r"you're welcome\b|hello\b|hi\b|good(?:bye| morning| afternoon| evening)\b)",
    re.IGNORECASE,
)
_AFTER_COURTESY = re.compile(
    r"\b(?:but|however|although|because)\b,?(?!\s*i\b)\s*"
    r"|[,;:–—]\s*(?:and\s+)?(?=(?:we|our|it|you|the|they|there|this|that)\b)",
    re.IGNORECASE,
)
"""Where a courtesy turns into a claim about the company; what the agent says of itself is none."""
_ASKS_CALLER = re.compile(
    r"^\W*(?:would|could|can|may|shall|do|are|have|which|what|when|where|who|how|is there)\b",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(r"^\W*(?:based on|according to)\b[^,]*,\s*", re.IGNORECASE)
_NAMED_SUBJECT = re.compile(r"^\W*(?:the|our|your|an?)\s+(.+)", re.IGNORECASE)
_SHARED = frozenset({"money", "percent", "duration"})
_SPECIFIC = frozenset({"at least", "at most", "after", "before"})
_OPPOSITES = (("at least", "at most"), ("after", "before"))


class Verdict(StrEnum):
    """What to do with a sentence."""

    SPEAK = "speak"
    REPAIR = "repair"
    """Say what the passage says instead; where it says nothing, offer a person."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, the statement that stands behind the sentence, and how well it does."""

    verdict: Verdict
    reason: str = ""
    statement: Statement | None = None
    support: float = 0.0

    @property
    def supported(self) -> bool:
        """Whether it may be spoken."""
        return self.verdict is Verdict.SPEAK

    @property
    def source_id(self) -> str:
        """The passage or result behind it; empty for what claims nothing."""
        return self.statement.source_id if self.statement else ""


def judge(
    sentence: str,
    evidence: Evidence,
    question: str = "",
    *,
    first: bool = False,
    whole: bool = True,
    nearness: Sequence[float] | None = None,
) -> Judgement:
    """Whether a sentence of an answer may be spoken.

    Args:
        sentence: the sentence, or its beginning when ``whole`` is false.
        evidence: what it must follow from.
        question: what it answers; it says what "it" is.
        first: nothing of the answer has been spoken: only then can a bare "yes" or "no" be
            replaced by the rule it was made from.
        nearness: cosine similarity to each of ``evidence.statements``; absent: words alone decide.
    """
    claim = claim_of(sentence)
    if first and (_POLAR.match(sentence) or not terms_of(sentence)):
        return _repair("bare_answer")
    if (quoted := _verbatim(sentence, evidence, whole)) is not None:
        return Judgement(Verdict.SPEAK, "verbatim", quoted, 1.0)
    if _COURTESY.match(sentence):
        rest = _AFTER_COURTESY.split(sentence, maxsplit=1)[1:]
        if rest and terms_of(rest[0]):
            return judge(rest[0], evidence, question, whole=whole)
    courteous = _COURTESY.match(sentence) or _is_question_to_caller(sentence)
    if not claim.quantities and courteous:
        return Judgement(Verdict.SPEAK, "courtesy")
    reason = (
        _unknown_value(claim, evidence)
        or _unknown_name(claim, evidence)
        or _unknown_topic(claim, evidence, question)
    )
    if reason:
        return _repair(reason)
    if not claim.words and not claim.quantities:
        return Judgement(Verdict.SPEAK, "claims_nothing")
    statement, covered, near = _best(claim, evidence, question, nearness)
    if statement is None:
        return _repair("no_statement")
    support = covered if near is None else (covered + near) / 2
    reason = (
        _misplaced_value(claim, evidence, question)
        or _turned_round(claim, statement)
        or _changed_bound(claim, statement)
        or (_left_out(claim, statement) if whole else "")
        or _other_subject(claim, statement, question)
    )
    if reason:
        return Judgement(Verdict.REPAIR, reason, statement, support)
    if covered < LEAST_COVERED or support < LEAST_SUPPORT:
        return Judgement(Verdict.REPAIR, "does_not_follow", statement, support)
    return Judgement(Verdict.SPEAK, "follows", statement, support)


def _is_question_to_caller(sentence: str) -> bool:
    """Whether it asks; "did you know returns are free?" tells."""
    return sentence.rstrip().endswith("?") and _ASKS_CALLER.match(sentence) is not None


def _repair(reason: str) -> Judgement:
    return Judgement(Verdict.REPAIR, reason)


def _verbatim(sentence: str, evidence: Evidence, whole: bool) -> Statement | None:
    """The statement that a sentence repeats; a beginning of one repeats it while it goes on."""
    said = as_compared(sentence)
    if not said:
        return None
    for statement in evidence.statements:
        written = as_compared(statement.claim.text)
        if said == written or (not whole and written.startswith(said)):
            return statement
    return None


def _unknown_value(claim: Claim, evidence: Evidence) -> str:
    for value in claim.quantities:
        if any(value.same_as(known) for known in evidence.quantities):
            continue
        if value.kind in ABOUT_CALLER and any(
            value.same_as(known) for known in evidence.caller.quantities
        ):
            continue
        return f"unknown_{value.kind or 'number'}"
    return ""


def _unknown_name(claim: Claim, evidence: Evidence) -> str:
    known = evidence.words | evidence.caller.words
    for name in claim.names:
        if name not in known and name not in evidence.text and not _named_in(name, evidence):
            return "unknown_name"
    return ""


def _unknown_topic(claim: Claim, evidence: Evidence, question: str) -> str:
    """A word of the question that no source has: what is said of it was said of something else."""
    asked = claim_of(question).words
    return "unknown_topic" if (claim.words & asked) - evidence.words else ""


def _named_in(name: str, evidence: Evidence) -> bool:
    return (
        any(quantity.value.startswith(name) for quantity in evidence.quantities)
        or name in evidence.caller.text.lower()
    )


def _best(
    claim: Claim, evidence: Evidence, question: str, nearness: Sequence[float] | None
) -> tuple[Statement | None, float, float | None]:
    """The statement that stands behind a claim best, the share of its words it has (with the
    statement beside it), and how near its meaning is."""
    asked = claim_of(question).words
    best: tuple[float, Statement, float, float | None] | None = None
    statements = evidence.statements
    for at, statement in enumerate(statements):
        beside = [
            other.claim
            for other in statements[max(0, at - 1) : at + 2]
            if other.source_id == statement.source_id and other is not statement
        ]
        around = statement.words.union(*(other.words for other in beside))
        covered = _share(claim.words, statement.words, around)
        near = max(0.0, float(nearness[at])) if nearness is not None else None
        values = sum(
            any(value.same_as(known) for known in statement.claim.quantities)
            for value in claim.quantities
        )
        score = (
            covered
            + (near or 0.0)
            + values / max(1, len(claim.quantities))
            + 0.1 * _share(asked, statement.words, statement.words)
        )
        if best is None or score > best[0]:
            best = (score, statement, covered, near)
    return best[1:] if best else (None, 0.0, None)


def _share(words: frozenset[str], of: frozenset[str], around: frozenset[str]) -> float:
    """How much of ``words`` a statement has; what only its neighbours have counts half."""
    if not words:
        return 1.0
    return (len(words & of) + 0.5 * len((words & around) - of)) / len(words)


def _misplaced_value(claim: Claim, evidence: Evidence, question: str) -> str:
    """A value that the sources give, but for another thing than the claim (or the question) is
    about: another statement about it, with another value of that kind, has more of its words."""
    about = claim.words | claim_of(question).words
    weights = evidence.rarity(about)
    for value in claim.quantities:
        if value.kind not in _SHARED:
            continue
        own = rival = 0.0
        for statement in evidence.statements:
            for part in statement.parts or (statement.claim,):
                same = any(value.same_as(known) for known in part.quantities)
                other = any(known.kind == value.kind for known in part.quantities)
                if not same and not other:
                    continue
                shared = _named_share(weights, part, statement)
                own, rival = (max(own, shared), rival) if same else (own, max(rival, shared))
        if rival > own:
            return "misplaced_value"
    return ""


def _named_share(weights: Mapping[str, float], part: Claim, statement: Statement) -> float:
    """How much of the weighted words a piece has; what only stands around it counts less."""
    total = 0.0
    for word, weight in weights.items():
        if word in part.words:
            total += weight
        elif word in statement.claim.words:
            total += 0.4 * weight
        elif word in statement.about:
            total += 0.3 * weight
    return total


def _turned_round(claim: Claim, statement: Statement) -> str:
    """Whether one denies what the other says."""
    if claim.denies == statement.claim.denies:
        return ""
    if statement.claim.denies and _share(claim.words, statement.claim.words, frozenset()) < 0.6:
        return ""
    return "denial"


def _other_subject(claim: Claim, statement: Statement, question: str) -> str:
    """What a statement says of one thing, said of another: the word that it begins with is gone, or
    the claim names somebody or something else that does it."""
    if _names_another(claim, statement, question):
        return "subject"
    if not statement.claim.head:
        return ""
    names_nothing = own_stems(claim.text) <= GENERAL
    known = claim_of(question).words if names_nothing else claim.words
    return "" if statement.claim.head in known else "subject"


def _names_another(claim: Claim, statement: Statement, question: str) -> bool:
    """Whether a claim begins with a thing of which neither the statement nor the question speaks:
    "the warranty guarantees repairs" of "repairs are guaranteed"."""
    found = _NAMED_SUBJECT.match(_ATTRIBUTION.sub("", claim.text))
    head = claim_of(found.group(1)).head if found else ""
    return bool(head) and head not in statement.words | claim_of(question).words


def _changed_bound(claim: Claim, statement: Statement) -> str:
    """ "At least" where the source says "up to"."""
    if not claim.quantities:
        return ""
    mine, theirs = claim.bounds & _SPECIFIC, statement.claim.bounds & _SPECIFIC
    for low, high in _OPPOSITES:
        if (low in mine and high in theirs and high not in mine and low not in theirs) or (
            high in mine and low in theirs and low not in mine and high not in theirs
        ):
            return "bound"
    return ""


def _left_out(claim: Claim, statement: Statement) -> str:
    """A permission without the condition it is given under, or a condition of the claim's own."""
    source = statement.claim
    if claim.conditional and not source.conditional and not source.bounds:
        return "condition"
    if not source.condition or not _PERMITS.search(claim.text):
        return ""
    condition = claim_of(source.condition)
    values = [
        any(value.same_as(said) for said in claim.quantities) for value in condition.quantities
    ]
    kept = all(values) if values else _share(condition.words, claim.words, frozenset()) >= 0.5
    return "" if kept else "condition"


_PERMITS = re.compile(
    r"\b(?:can|may|free|refund\w*|covered|included|allowed|able|entitled|eligible|possible)\b",
    re.IGNORECASE,
)
