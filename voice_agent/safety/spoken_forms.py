"""Digits, letters and e-mail addresses as callers say them, written as documents write them. Pure.

"four one one one" is 4111, "j o h n" and "J for Juliet, O, H, N" are john, "john dot smith at
example dot com" is john.smith@example.com. Every character of the written form knows which words it
was made of, so what is found in it can be masked where it was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_DIGITS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
} | {"oh": "0", "nought": "0", "niner": "9"}
_TENS = {
    word: value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_SYMBOLS = {
    "at": "@",
    "dot": ".",
    "point": ".",
    "period": ".",
    "dash": "-",
    "hyphen": "-",
    "minus": "-",
    "underscore": "_",
    "plus": "+",
}
_SOUNDS = {
    "ay": "a", "bee": "b", "be": "b", "see": "c", "sea": "c", "cee": "c", "dee": "d", "ee": "e",
    "ef": "f", "eff": "f", "gee": "g", "jee": "g", "aitch": "h", "haitch": "h", "eye": "i",
    "jay": "j", "kay": "k", "el": "l", "ell": "l", "em": "m", "en": "n", "pea": "p", "pee": "p",
    "cue": "q", "queue": "q", "are": "r", "ess": "s", "tea": "t", "tee": "t", "you": "u",
    "vee": "v", "ex": "x", "why": "y", "zee": "z", "zed": "z", "owe": "o",
}  # fmt: skip
"""Letters as a recogniser writes their sound; only believed between other letters."""
_ENDINGS = {"calm": "com", "come": "com", "con": "com", "comm": "com", "nett": "net"}
"""What a recogniser makes of the end of an address."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?|@", re.UNICODE)
MIN_LETTERS = 3
"""Fewer letters in a row are as likely an abbreviation."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text in its written form; ``origin[i]`` is where character ``i`` was said: (start, end)."""

    text: str
    origin: tuple[tuple[int, int], ...]

    def said(self, start: int, end: int) -> tuple[int, int]:
        """The place in the spoken text of ``self.text[start:end]``, which is not empty."""
        places = self.origin[start:end]
        return min(place[0] for place in places), max(place[1] for place in places)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def low(self) -> str:
        return self.text.lower()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Written characters, and whether they lean on what stands before and after them."""

    text: str
    start: int
    end: int
    kind: str
    """``digit`` (said in words), ``figure``, ``letter``, ``symbol``, ``host`` (a word of an
    address) or ``word``."""


def written(text: str) -> Written | None:
    """The written form; ``None`` when nothing in the text is said in a form of its own."""
    tokens = [_Token(m.group(), *m.span()) for m in _WORD.finditer(text)]
    pieces = _join_letters(text, _pieces(text, tokens))
    if all(piece.kind in ("word", "figure") for piece in pieces):
        return None
    characters: list[str] = []
    origin: list[tuple[int, int]] = []
    before: _Piece | None = None
    for piece in pieces:
        if before is not None and not _leans(before, piece):
            gap = text[before.end : piece.start] or " "
            characters.append(gap)
            origin += [(before.end, piece.start)] * len(gap)
        characters.append(piece.text)
        origin += [(piece.start, piece.end)] * len(piece.text)
        before = piece
    return Written("".join(characters), tuple(origin))


def _pieces(text: str, tokens: Sequence[_Token]) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        used = 1
        if token.low in _TIMES and after is not None and (said := _DIGITS.get(after.low)):
            pieces.append(_Piece(said * _TIMES[token.low], token.start, after.end, "digit"))
            used = 2
        elif token.low in _TENS:
            ones = _DIGITS.get(after.low, "") if after is not None else ""
            joined = len(ones) == 1 and ones != "0" and after is not None
            last = after if joined and after is not None else token
            digits = f"{_TENS[token.low]}{ones if joined else 0}"
            pieces.append(_Piece(digits, token.start, last.end, "digit"))
            used = 2 if joined else 1
        elif token.low == "hundred" and pieces and pieces[-1].kind == "digit":
            pieces.append(_Piece("00", token.start, token.end, "digit"))
        elif token.text.isdigit():
            pieces.append(_Piece(token.text, token.start, token.end, "figure"))
        elif (digits := _digits_of(token, after, pieces)) != "":
            pieces.append(_Piece(digits, token.start, token.end, "digit"))
        elif token.low in _SYMBOLS or token.text == "@":
            sign = _SYMBOLS.get(token.low, "@")
            pieces.append(_Piece(sign, token.start, token.end, "symbol"))
        elif len(token.text) == 1 and token.text.isalpha():
            used = _phonetic_words(tokens, at)
            last = tokens[at + used - 1]
            pieces.append(_Piece(token.low, token.start, last.end, "letter"))
        else:
            pieces.append(_Piece(token.text, token.start, token.end, "word"))
        at += used
    return _settle_symbols(text, pieces)


def _digits_of(token: _Token, after: _Token | None, before: Sequence[_Piece]) -> str:
    if token.low in ("o", "oh"):
        follows = after is not None and (
            after.low in _DIGITS or after.low in _TENS or after.text.isdigit()
        )
        within = bool(before) and before[-1].kind in ("digit", "figure")
        return "0" if within or (follows and token.low == "oh") else ""
    return _DIGITS.get(token.low, "")


def _phonetic_words(tokens: Sequence[_Token], at: int) -> int:
    """How many words a letter takes: 3 for "J for Juliet", 4 for "J as in Juliet", else 1."""
    letter = tokens[at].low
    for bridge in (("for",), ("as", "in"), ("like",), ("is", "for")):
        end = at + 1 + len(bridge)
        words = tuple(token.low for token in tokens[at + 1 : end])
        if words == bridge and end < len(tokens) and tokens[end].low.startswith(letter):
            return len(bridge) + 2
    return 1


def _settle_symbols(text: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    """Words that may be symbols are symbols only inside an address: with an "at" and a "dot"."""
    settled = list(pieces)
    signs = [number for number, piece in enumerate(settled) if piece.kind == "symbol"]
    believed: set[int] = set()
    for number in signs:
        if settled[number].text != "@":
            continue
        dots = [n for n in signs if settled[n].text == "." and 0 < n - number <= 12]
        if not dots:
            continue
        last = max(dots)
        believed.add(number)
        for inside in range(number + 1, last):
            old = settled[inside]
            if old.kind in ("word", "letter"):
                settled[inside] = _Piece(
                    text[old.start : old.end].lower(), old.start, old.end, "host"
                )
        believed.update(n for n in signs if number < n <= last)
        believed.update(n for n in signs if 0 < number - n <= 24)
        ending = last + 1
        if ending < len(settled) and settled[ending].text.lower() in _ENDINGS:
            old = settled[ending]
            settled[ending] = _Piece(_ENDINGS[old.text.lower()], old.start, old.end, "word")
    for number in signs:
        if number not in believed:
            old = settled[number]
            settled[number] = _Piece(text[old.start : old.end], old.start, old.end, "word")
    return settled


def _join_letters(text: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    """Runs of letters, with sounds of letters between them; short runs are words after all."""
    joined = list(pieces)
    at = 0
    while at < len(joined):
        if joined[at].kind != "letter" and not _sounds(joined, at):
            at += 1
            continue
        end = at
        while end < len(joined) and (joined[end].kind == "letter" or _sounds(joined, end)):
            end += 1
        letters = sum(piece.kind == "letter" for piece in joined[at:end])
        beside = any(
            0 <= number < len(joined) and joined[number].kind in ("symbol", "digit", "figure")
            for number in (at - 1, end)
        )
        enough = letters >= MIN_LETTERS or (beside and letters >= 1) or end - at >= 5
        for number in range(at, end):
            old = joined[number]
            if enough:
                letter = _SOUNDS.get(old.text.lower(), old.text)
                joined[number] = _Piece(letter, old.start, old.end, "letter")
            elif old.kind == "letter":
                joined[number] = _Piece(text[old.start : old.end], old.start, old.end, "word")
        at = end
    return joined


def _sounds(pieces: Sequence[_Piece], at: int) -> bool:
    """Whether the word here is the sound of a letter: it stands beside letters."""
    if pieces[at].kind != "word" or pieces[at].text.lower() not in _SOUNDS:
        return False
    around = [pieces[n] for n in (at - 1, at + 1) if 0 <= n < len(pieces)]
    return bool(around) and any(piece.kind == "letter" for piece in around)


def _leans(left: _Piece, right: _Piece) -> bool:
    """Whether two pieces are written without a space between them."""
    kinds = {left.kind, right.kind}
    if "symbol" in kinds:
        return True
    return kinds <= {"digit", "figure", "letter", "host"} and kinds != {"figure"}
