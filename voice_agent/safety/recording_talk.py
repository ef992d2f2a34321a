"""Words about being recorded: the wish not to be, and the question. Rules alone. Pure."""

from __future__ import annotations

import re

_RECORD = r"(?:record(?:ing)?|recorded|tape|taping|taped)"
_THIS = r"(?:me|us|this|it|that|the call|this call|my call|the conversation|this conversation)"

_NOT_WANTED = tuple(
    re.compile(sign, re.IGNORECASE)
    for sign in (
        rf"\b(?:don't|do not|please not|never|quit|stop) (?:you )?(?:dare )?(?:to )?{_RECORD}"
        rf"(?:\W*$| (?:{_THIS}|please|now|anything)\b)",
        r"\b(?:stop|end|cancel|turn off|switch off|pause) (?:the|this|your|that) recording\b",
        r"\bturn (?:the|this|that|your) recording off\b",
        rf"\b(?:don't|do not|didn't|wouldn't|never) (?:want|like|wish|agree|consent|allow|permit)"
        rf"(?:\w* |ed )?.{{0,24}}\b(?:be(?:ing)? )?{_RECORD}\b"
        r"(?!\s*(?:player|store|label|shelf|cabinet))",
        r"\b(?:object|opposed) to (?:the|this|being) record(?:ing|ed)\b",
        r"\bno recording,? please\b",
    )
)
_ASKED = tuple(
    re.compile(sign, re.IGNORECASE)
    for sign in (
        rf"\b(?:is|are|am|was|were) (?:{_THIS}|i|we|you|they|these calls?|calls?|my words|"
        rf"my voice|anybody|anyone|"
        rf"somebody|someone) (?:being |currently |all |still |now |even )*{_RECORD}\b"
        r"(?!\s*(?:player|studio|label|store))",
        rf"\b(?:do|does|did) (?:you|they|anybody|anyone|somebody|this) (?:guys |all |always )?"
        rf"{_RECORD} (?:{_THIS}|calls?|these|my|your)\b",
    )
)


def wants_no_recording(words: str) -> bool:
    """Whether the caller does not want to be recorded, or no longer."""
    said = " ".join(words.replace("’", "'").split())
    return any(sign.search(said) for sign in _NOT_WANTED)


def asks_if_recorded(words: str) -> bool:
    """Whether the caller wants to know if the call is recorded."""
    said = " ".join(words.replace("’", "'").split())
    return any(sign.search(said) for sign in _ASKED)
