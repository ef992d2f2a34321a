"""Amounts of money as they are said. Pure."""

from __future__ import annotations

import re

_UNITS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
} | {"a": 1}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000, "grand": 1000}
_WRITTEN = re.compile(
    r"(\$)?\s?(\d[\d,]*)(?:\.(\d{1,2}))?(?!\d)\s*(dollars?|bucks)?", re.IGNORECASE
)
_CENTS = re.compile(r"^\W*(?:and\s+)?(\d{1,2}|[a-z]+(?:[ -][a-z]+)?)\s+cents?\b", re.IGNORECASE)
_TOKEN = re.compile(r"[a-z]+", re.IGNORECASE)


def read_money(words: str, *, currency_needed: bool) -> str | None:
    """The one amount in ``words`` as "12.50"; ``None`` when there is none, or more than one.

    ``currency_needed``: a bare number is no amount.
    """
    found = {*_written(words, currency_needed), *_said(words, currency_needed)}
    return found.pop() if len(found) == 1 else None


def _written(words: str, currency_needed: bool) -> list[str]:
    amounts = []
    for match in _WRITTEN.finditer(words):
        if currency_needed and not (match[1] or match[4]):
            continue
        rest = words[match.end() :]
        if not (match[1] or match[4]) and re.match(r"\s*cents?\b", rest):
            continue  # the cents of an amount that was read already
        cents = (match[3] or "").ljust(2, "0") if match[3] else _cents(rest)
        amounts.append(f"{int(match[2].replace(',', ''))}.{cents}")
    return amounts


def _said(words: str, currency_needed: bool) -> list[str]:
    if not currency_needed and re.search(r"\d", words):
        return []
    amounts: list[str] = []
    run: list[str] = []
    tokens = list(_TOKEN.finditer(words.lower()))
    for at, token in enumerate([*tokens, None]):
        word = token.group() if token else ""
        if word in _UNITS or word in _TENS or (word in _SCALES and run):
            run.append(word)
            continue
        following = tokens[at + 1].group() if token and at + 1 < len(tokens) else ""
        if word == "and" and run and (following in _UNITS or following in _TENS):
            run.append(word)
            continue
        value = _number(run)
        run = []
        currency = word in ("dollar", "dollars", "bucks")
        if value is None or word in ("cent", "cents") or (currency_needed and not currency):
            continue
        cents = _cents(words[token.end() :]) if token and currency else "00"
        amounts.append(f"{value}.{cents}")
    return amounts


def _cents(rest: str) -> str:
    """The cents that follow an amount, as two digits."""
    if not (match := _CENTS.match(rest)):
        return "00"
    said = match[1].lower()
    value = int(said) if said.isdigit() else _number(re.split(r"[ -]", said))
    return f"{value:02d}" if value is not None and value < 100 else "00"


def _number(run: list[str]) -> int | None:
    """ "two hundred and fifty" as 250; ``None`` for what is no number, such as a lone "a"."""
    words = [word for word in run if word != "and"]
    if not words or words == ["a"]:
        return None
    total = part = 0
    for word in words:
        if word in _SCALES:
            part = max(part, 1) * _SCALES[word]
            if word != "hundred":
                total, part = total + part, 0
        else:
            value = _UNITS.get(word, _TENS.get(word, 0))
            if part % 100 and not (part % 100 >= 20 and part % 10 == 0 and value < 10):
                return None  # "five six": digits, not an amount
            part += value
    return total + part
