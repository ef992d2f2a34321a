"""Words about being recorded: the wish not to be, and the question. Rules alone. Pure."""

from __future__ import annotations

import re

_RECORD = r"(?:record(?:ing)?|recorded|tape|taping|taped)"
_THIS = (
    r"(?:me|us|this|it|that|the call|this call|my calls?|my voice|my words|the conversation|"
    r"this conversation)"
)
_NO_MORE = rf"(?:\W*$| (?:{_THIS}|please|now|anything)\b)"
"""After a verb: it is the call that is not to be recorded, and not a meter or a song."""
_NOT = r"(?:don't|do not|didn't|did not|wouldn't|would not|never)"
_NOT_WISHED = rf"\b{_NOT} (?:want|like|wish|agree|consent|allow|permit)(?:ed|d)?\b"
_ENDS = (
    r"(?:(?:stop|end|cancel|turn off|switch off|pause) (?:the|this|your|that) recording"
    r"|turn (?:the|this|that|your) recording off)\b"
)

_GOES_ON = re.compile(
    rf"\b(?<!why ){_NOT} (?:(?:want|need|ask|tell|told|have)(?:ed)?(?: you)? to )?{_ENDS}",
    re.IGNORECASE,
)
"""The wish that the recording be not ended."""
_NOT_WANTED = tuple(
    re.compile(sign, re.IGNORECASE)
    for sign in (
        rf"\b(?:don't|do not|please not|never|quit|stop) (?:you )?(?:dare )?(?:to )?{_RECORD}"
        rf"{_NO_MORE}",
        rf"\b{_ENDS}",
        rf"{_NOT_WISHED}.{{0,40}}\b(?:recorded|taped|on tape)\b",
        rf"{_NOT_WISHED}.{{0,24}}\b(?:you|they|them|anybody|anyone|somebody|someone|to) (?:to )?"
        rf"{_RECORD}{_NO_MORE}",
        rf"{_NOT_WISHED}(?: to| with| of)?(?: a| any| the| this| that| your| being)? recording\b"
        r"(?! (?:to|be|being|is|was)? ?(?:stop|end|paus|cancel|delet|eras|turn|lost))",
        rf"\b{_NOT} (?:have|get|give you|gave you) (?:my |any |the )?(?:permission|consent) to "
        rf"{_RECORD}\b",
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
    said = _GOES_ON.sub("", " ".join(words.replace("’", "'").split()))
    return any(sign.search(said) for sign in _NOT_WANTED)


def asks_if_recorded(words: str) -> bool:
    """Whether the caller wants to know if the call is recorded."""
    said = " ".join(words.replace("’", "'").split())
    return any(sign.search(said) for sign in _ASKED)
