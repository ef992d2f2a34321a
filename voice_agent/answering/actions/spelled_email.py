"""An e-mail address as it is said or spelled: "jay oh at example dot com". Pure.

Letters are taken by their names, as recognisers write those down ("see" is C, "why" is Y), and by
example ("s for sugar"). What cannot be told apart by ear is why an address is always spelled back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LETTERS = {
    "ay": "a", "bee": "b", "be": "b", "see": "c", "sea": "c", "cee": "c", "dee": "d", "ee": "e",
    "ef": "f", "eff": "f", "gee": "g", "jee": "g", "aitch": "h", "eye": "i", "aye": "i", "jay": "j",
    "kay": "k", "el": "l", "ell": "l", "em": "m", "en": "n", "oh": "o", "owe": "o", "pea": "p",
    "pee": "p", "cue": "q", "queue": "q", "are": "r", "ar": "r", "ess": "s", "tea": "t", "tee": "t",
    "you": "u", "vee": "v", "ex": "x", "why": "y", "wye": "y", "zee": "z", "zed": "z",
}  # fmt: skip
_SIGNS = {
    "at": "@", "dot": ".", "point": ".", "period": ".", "underscore": "_", "dash": "-",
    "hyphen": "-", "minus": "-", "plus": "+",
}  # fmt: skip
_DIGITS = {
    word: str(value)
    for value, word in enumerate("zero one two three four five six seven eight nine".split())
}
_SOUNDS_LIKE_DIGITS = {"to": "2", "too": "2", "for": "4"}
_LEADING = re.compile(
    r"^.*?\b(?:(?:e-?mail|mail)(?: address)?(?: is|'s)|it's|it is|address is|that's|that is)\b"
    r"[,: ]*",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(r"\b([a-z]),? (?:for|as in|like in|like) [a-z]+", re.IGNORECASE)
_ADDRESS = re.compile(r"^[a-z0-9][a-z0-9._+-]*@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$")
_TOKEN = re.compile(r"[a-z0-9]+|[@._+-]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Email:
    """An address, and how it is spelled back."""

    text: str
    spelled: str


def read_email(words: str) -> Email | None:
    """The one address in a caller's words; ``None`` when they hold none that is whole."""
    lower = words.lower().replace("’", "'")
    if written := re.findall(r"[a-z0-9][\w.+-]*@[\w-]+(?:\.[\w-]+)+", lower):
        return _email(written[0]) if len(written) == 1 else None
    lower = re.sub(r"\bdouble ([a-z])\b", r"\1 \1", lower)
    lower = re.sub(r"\bdouble (?:you|u)\b", "w", lower)
    spelled = _EXAMPLE.sub(r"\1", _LEADING.sub("", lower, count=1))
    tokens = [token for token in _TOKEN.findall(spelled) if token not in {".", "-"}]
    return _email("".join(_written(tokens)))


def _written(tokens: list[str]) -> list[str]:
    """Each token as it stands in an address.

    A letter's name counts as the letter only beside other spelled letters: "you" in "y o u" but
    not in "youngs".
    """
    written = []
    for at, token in enumerate(tokens):
        if token in _SIGNS:
            written.append(_SIGNS[token])
            continue
        beside = [*tokens[max(0, at - 1) : at], *tokens[at + 1 : at + 2]]
        letters = any(len(each) == 1 or each in _LETTERS or each in _DIGITS for each in beside)
        if token in _DIGITS:
            written.append(_DIGITS[token])
        elif token in _LETTERS and letters:
            written.append(_LETTERS[token])
        elif token in _SOUNDS_LIKE_DIGITS and letters:
            written.append(_SOUNDS_LIKE_DIGITS[token])
        else:
            written.append(token)
    return written


def _email(text: str) -> Email | None:
    address = text.strip(".")
    if not _ADDRESS.match(address) or ".." in address:
        return None
    local, domain = address.split("@")
    names = {".": "dot", "_": "underscore", "-": "dash", "+": "plus"}
    spelled = ", ".join(names.get(sign, sign.upper()) for sign in local)
    return Email(address, f"{spelled}, at {domain.replace('.', ' dot ')}")
