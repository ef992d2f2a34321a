"""Numbers as they are spoken, written the way documents write them. Pure.

"oh seven four two" is 0742, "nineteen oh six" is 1906 and "four one five" is 415: a run of number
words is read as one code, which is how callers say codes, years and telephone numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_DIGITS = {
    word: str(value)
    for value, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
}
_ZERO_ALONE_IS_A_WORD = frozenset({"oh", "o"})
_TEENS = {
    word: str(value)
    for value, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
        start=10,
    )
}
_TENS = {
    word: value
    for value, word in zip(
        range(20, 100, 10),
        "twenty thirty forty fifty sixty seventy eighty ninety".split(),
        strict=True,
    )
}
_REPEATS = {"double": 2, "triple": 3}
_NUMBER_WORDS = frozenset({*_DIGITS, *_TEENS, *_TENS})


def read_numbers(words: Sequence[str]) -> list[str]:
    """Replace every run of number words by the digits they say.

    Args:
        words: lower-case words in order, without punctuation.

    Returns:
        The words, with each run of number words as one word of digits; digits that stand in such
        a run join it. "oh" is a zero only between numbers or before one. Words that are digits
        already, in no such run, stay as they are.
    """
    if _NUMBER_WORDS.isdisjoint(words):
        return list(words)
    read: list[str] = []
    run: list[str] = []
    spoken = False

    def close() -> None:
        nonlocal spoken
        read.extend(["".join(run)] if spoken else run)
        run.clear()
        spoken = False

    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in _REPEATS and following in _DIGITS:
            run.append(_DIGITS[following] * _REPEATS[word])
            spoken, at = True, at + 2
            continue
        if word in _TENS and _DIGITS.get(following, "0") != "0":
            run.append(str(_TENS[word] + int(_DIGITS[following])))
            spoken, at = True, at + 2
            continue
        said = _said_digits(word, following, bool(run))
        if said:
            run.append(said)
            spoken = True
        elif word.isdigit():
            run.append(word)
        else:
            close()
            read.append(word)
        at += 1
    close()
    return read


def _said_digits(word: str, following: str, within_number: bool) -> str:
    if word in _ZERO_ALONE_IS_A_WORD:
        before_number = following in _DIGITS or following in _TENS or following in _TEENS
        return "0" if within_number or before_number else ""
    if word in _TENS:
        return str(_TENS[word])
    return _TEENS.get(word) or _DIGITS.get(word, "")


def number_terms(words: Iterable[str]) -> list[str]:
    """What the number words of a text say in digits, in order; nothing else of the text."""
    listed = list(words)
    if _NUMBER_WORDS.isdisjoint(listed):
        return []
    written = {word for word in listed if word.isdigit()}
    return [word for word in read_numbers(listed) if word.isdigit() and word not in written]
