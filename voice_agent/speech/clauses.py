"""Cut an answer into pieces to speak while it is still being written. Pure.

The first piece is short, because the caller waits for it; later ones are whole sentences, because
they sound better and there is time. A sentence is released with its full stop, not when the next
one begins.
"""

from __future__ import annotations

import re

FIRST_AT_COMMA = 20
"""The first clause may end at a comma once it has so many characters."""
FIRST_AT_CONJUNCTION = 28
FIRST_AT_PREPOSITION = 48
LONGEST = 240
"""No piece is longer, whatever the punctuation: the synthesiser makes a piece at a time."""

_NEVER_ENDS = frozenset(
    {"dr", "mr", "mrs", "ms", "mx", "prof", "st", "rev", "sgt", "capt", "e.g", "i.e", "eg", "ie",
     "vs", "cf", "dept", "www"}
)  # fmt: skip
_BEFORE_NUMBERS = frozenset({"no", "nos", "approx", "tel", "ext", "fig", "vol", "pp", "p", "est"})
"""Abbreviations before a number, words or ends of sentences otherwise ("No. We do not.")."""
_SELDOM_ENDS = frozenset(
    {"a.m", "p.m", "am", "pm", "etc", "inc", "ltd", "co", "corp", "jr", "sr", "u.s", "u.k"}
)
"""Abbreviations that end a sentence only if the next word begins with a capital."""

_CONJUNCTIONS = "and|but|because|so|which|while|although|unless|or|then|where"
_PREPOSITIONS = "to|for|with|at|in|on|from|by|within|after|before|until|if|when|that"
_STOP = re.compile(r"[.!?…]+")
_CLOSERS = "\"')]}”’»*_`"
_PAUSE = re.compile(r"[,;:](?=\s)|\s[–—-](?=\s)|—")
_BEFORE_CONJUNCTION = re.compile(rf"\s(?=(?:{_CONJUNCTIONS})\s)", re.IGNORECASE)
_BEFORE_PREPOSITION = re.compile(rf"\s(?=(?:{_PREPOSITIONS})\s)", re.IGNORECASE)


class ClauseSplitter:
    """Feed text as it comes; get back pieces to speak. One splitter an answer.

    The pieces in order are the text, whitespace at their edges aside.
    """

    def __init__(self) -> None:
        self._waiting = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Take more text (any length, cut anywhere) and release what can be spoken now."""
        self._waiting += text
        released: list[str] = []
        while (end := _next_end(self._waiting, self._first)) is not None:
            piece, self._waiting = self._waiting[:end].strip(), self._waiting[end:]
            if piece:
                released.append(piece)
                self._first = False
        return released

    def finish(self) -> list[str]:
        """Release the rest; the splitter may then be used for another answer."""
        released = self.feed("\n")
        rest = self._waiting.strip()
        self._waiting, self._first = "", True
        return [*released, rest] if rest else released


def _next_end(text: str, first: bool) -> int | None:
    """Where the first piece of ``text`` ends, or ``None`` while that is not known."""
    start = len(text) - len(text.lstrip())
    ends = [end for end in (_sentence_end(text, start), _line_end(text, start)) if end is not None]
    if first:
        pause = _pause_end(text, start)
        if pause is not None:
            ends.append(pause)
    end = min(ends, default=None)
    if end is not None and end - start <= LONGEST:
        return end
    if len(text) - start > LONGEST:
        return _forced_end(text, start)
    return end


def _line_end(text: str, start: int) -> int | None:
    at = text.find("\n", start)
    return at + 1 if at >= 0 else None


def _sentence_end(text: str, start: int) -> int | None:
    for stop in _STOP.finditer(text, start):
        end = stop.end()
        while end < len(text) and text[end] in _CLOSERS:
            end += 1
        if end < len(text):
            if text[end].isspace() and _ends_sentence(text, stop.start(), stop.group(), end):
                return end
        elif stop.group() != "." or _is_plain_word(text, start, stop.start()):
            return end
    return None


def _word_before(text: str, at: int) -> str:
    begin = at
    while begin > 0 and not text[begin - 1].isspace():
        begin -= 1
    return text[begin:at].lstrip(_CLOSERS + "([{“‘«").lower()


def _ends_sentence(text: str, at: int, stop: str, end: int) -> bool:
    """Whether the full stop at ``at``, with white space at ``end``, ends a sentence."""
    if stop != ".":
        return True
    word = _word_before(text, at)
    if word in _NEVER_ENDS or (len(word) == 1 and word.isalpha() and word != "i"):
        return False
    if word.isdigit() and len(word) <= 2:
        line = text.rfind("\n", 0, at) + 1
        if text[line:at].strip().lower() == word:
            return False  # the number of a list item
    following = text[end:].lstrip()
    if word in _BEFORE_NUMBERS:
        return bool(following) and not following[0].isdigit()
    if word in _SELDOM_ENDS:
        return bool(following) and not (following[0].islower() or following[0].isdigit())
    return True


def _is_plain_word(text: str, start: int, at: int) -> bool:
    """Whether a full stop that is the last we have seen can only be the end of a sentence.

    "4." may become "4.95" and "www." an address; "ships." is over. A stop that a writer would put
    inside a name ("fernhill.com") comes together with its letters from every tokeniser we know.
    """
    word = _word_before(text[start:], at - start)
    if len(word) < 2 or word in _NEVER_ENDS | _SELDOM_ENDS | _BEFORE_NUMBERS:
        return False
    return all(letter.isalpha() or letter in "'’-" for letter in word)


def _pause_end(text: str, start: int) -> int | None:
    """Where a first clause may end before its sentence does."""
    candidates: list[int] = []
    for pause in _PAUSE.finditer(text, start + FIRST_AT_COMMA):
        following = text[pause.end() :].lstrip()
        if not following and text[pause.start() - 1].isdigit():
            continue
        if not (text[pause.start() - 1].isdigit() and following[:1].isdigit()):
            candidates.append(pause.end())
            break
    for pattern, least in (
        (_BEFORE_CONJUNCTION, FIRST_AT_CONJUNCTION),
        (_BEFORE_PREPOSITION, FIRST_AT_PREPOSITION),
    ):
        for gap in pattern.finditer(text, start + least):
            before = _word_before(text, gap.start())
            if not any(character.isdigit() for character in before) and "between" not in text:
                candidates.append(gap.start())
                break
    return min(candidates, default=None)


def _forced_end(text: str, start: int) -> int:
    """The best place to cut text that runs on: after a pause, else between words, else anywhere."""
    limit = start + LONGEST
    pauses = [pause.end() for pause in _PAUSE.finditer(text, start + LONGEST // 4, limit)]
    if pauses:
        return pauses[-1]
    space = text.rfind(" ", start + 1, limit)
    return space if space > start else limit
