"""Does the caller ask whether this is a machine? Decided from the words alone. Pure.

The answer is the law's in many places and an approved text everywhere, so neither a language model
nor a likeness to examples decides. Both ways of asking count ("are you a robot", "are you a real
person"), and so does doubt ("you don't sound human"). "Can I speak to a real person" is a request,
and "is this a machine wash" about a product: they are left alone.
"""

from __future__ import annotations

import re

_SOFTLY = (
    r"(?:(?:even|really|actually|just|like|maybe|perhaps|truly|in fact|honestly|currently|now|"
    r"possibly|simply|only|not|some (?:kind|sort) of|kind of|sort of)\s+)*"
)
_WHICH = (
    r"(?:(?:real|actual|live|living|human|genuine|automatic|automated|robotic|talking|computer|"
    r"recorded|virtual|digital|phone|telephone|ai|a\.i\.?|an|a|the|one of (?:those|these))\s+)*"
)
_WHAT = (
    r"(?:robots?|(?:chat|voice|ro)?[ -]?bots?|machines?|computers?|androids?|humans?|"
    r"human beings?|persons?|man|woman|guy|(?:live|human|real) agents?|ai|a\.i\.?|"
    r"artificial intelligence|"
    r"(?:language |ai )?models?|(?:computer )?programs?|software|algorithms?|recordings?|"
    r"answering machines?|automated|(?:automated|virtual|digital|ai|voice) (?:systems?|assistants?|"
    r"agents?|voices?)|real|alive|human|chat ?gpt|alexa|siri|automation|assistant)"
)
_ENDS = (
    r"(?=\W*$|\s*[,.?!;:]|\s+(?:or|and|that|who|i'?m|am i|speaking|talking|answering|then|here|"
    r"on|there|right|please|at all|you know|because|asking|, )\b)"
)
_THING = rf"{_SOFTLY}{_WHICH}{_WHAT}{_ENDS}"

_SIGNS = tuple(
    re.compile(sign, re.IGNORECASE)
    for sign in (
        rf"\b(?:are|r) (?:you|u|ya) {_THING}",
        rf"\b(?:aren't|ain't|are not) (?:you|u) {_THING}",
        rf"\b(?:am i|are we|i am|i'm) {_SOFTLY}(?:speaking|talking|chatting|dealing|"
        rf"connected|on the phone) {_SOFTLY}(?:to|with) {_THING}",
        rf"\bwho am i {_SOFTLY}(?:speaking|talking) (?:to|with)\b.*\b{_THING}",
        rf"\b(?:is this|is that|this is|is it|it's|isn't this|isn't it) {_SOFTLY}"
        r"(?:(?:real|actual|live|living|human|automatic|automated|talking|ai|an|a)\s+)*"
        r"(?:robots?|(?:chat|voice|ro)?[ -]?bots?|humans?|human beings?|person|ai|a\.i\.?|"
        r"artificial intelligence|recording|answering machine|automated|"
        rf"(?:automated|virtual|digital|ai) (?:system|assistant|agent|voice)){_ENDS}",
        rf"\b(?:is this|is that|is it|isn't this) {_SOFTLY}an? (?:machine|computer)"
        r"(?=\W*$|\s*[,.?!;:]|\s+(?:or|i'm|i am|am i|speaking|talking|answering)\b)",
        rf"\b(?:if|whether) (?:you|u)(?:'re| are) {_THING}",
        rf"\byou(?:'re| are|re)? {_SOFTLY}(?:an?|the) {_THING}\W*(?:right|correct|aren't you|"
        r"are you|yes|no|isn't it|huh)?\W*$",
        rf"\byou(?:'re| are) (?:not|n't) {_THING}",
        r"\byou (?:don't|do not|sure don't) (?:sound|seem) (?:like )?(?:an? )?(?:very |really )?"
        r"(?:real|human|person|actual person|real person|real human)\b",
        r"\byou (?:sound|seem|talk|speak) (?:just |a bit |a lot |very |so |kind of )?(?:like )?"
        r"(?:an? )?(?:robot(?:ic)?|machine|computer|bot|ai|recording|automated)\b",
        r"^\W*(?:so |wait |sorry |hold on |hey |hello |um |uh )*(?:an? )?(?:real |actual |live )?"
        r"(?:human|person|robot|bot|machine|computer|ai) or (?:a |an )?(?:real |actual |live )?"
        r"(?:human|person|robot|bot|machine|computer|ai)\W*$",
        r"\b(?:do|have) (?:i|we) (?:have|got|reached|get) (?:an? )?(?:real|actual|live|human)?\s*"
        r"(?:human|person|robot|machine|computer|bot) (?:on|at) (?:the|this|your)\b",
        r"\b(?:is|are) (?:there )?(?:an? |any )?(?:real |actual |live )?(?:person|human|people|"
        r"someone real|robot|machine|computer|bot) (?:speaking|talking|answering|on the "
        r"other|at the other|behind (?:this|that|it|the voice))",
        r"\b(?:have i|did i) (?:reach(?:ed)?|get|got) (?:an? )?(?:robot|machine|computer|bot|"
        r"recording|answering machine|real person|human)\b",
    )
)


def asks_what_it_is(words: str) -> bool:
    """Whether the caller wants to know if a person or a machine is speaking with them."""
    said = " ".join(words.replace("’", "'").split())
    return any(sign.search(said) for sign in _SIGNS)


def without_that_question(words: str) -> str:
    """What else the caller said, for a request made in the same breath; perhaps empty."""
    rest = " ".join(words.replace("’", "'").split())
    for sign in _SIGNS:
        rest = sign.sub(" ", rest)
    return " ".join(rest.split())
