"""What a caller said, as a value of the kind that was asked for. Pure.

A value that does not fit its kind exactly (a digit too few, the 31st of June) is not understood:
it is asked for again rather than repaired.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from voice_agent.answering.actions.declaration import Parameter
from voice_agent.answering.actions.spelled_email import read_email
from voice_agent.answering.actions.spoken_money import read_money
from voice_agent.knowledge.spoken_numbers import read_numbers
from voice_agent.safety.masking import mask_identifiers
from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.safety.quantities import ORDINALS

MAX_TEXT_CHARS = 300
_TOKEN = re.compile(r"[a-z]+|\d+", re.IGNORECASE)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"),
            ("february", "feb"),
            ("march", "mar"),
            ("april", "apr"),
            ("may",),
            ("june", "jun"),
            ("july", "jul"),
            ("august", "aug"),
            ("september", "sept", "sep"),
            ("october", "oct"),
            ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}
_WEEKDAYS = {
    name: number
    for number, name in enumerate(
        "monday tuesday wednesday thursday friday saturday sunday".split()
    )
}
_HEARD_AS_DIGITS = {"to": "two", "too": "two", "for": "four", "ate": "eight", "won": "one"}
_LETTER_NAMES = {"ef": "f", "eff": "f", "aitch": "h", "age": "h", "each": "h", "ar": "r"}
OLDEST_YEARS = 120
_without_secrets = mask_identifiers(
    frozenset({Kind.CARD, Kind.NATIONAL_ID, Kind.ACCOUNT, Kind.SECRET})
)
"""Nobody needs these in free text that is read back and stored with a company's system."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value as tools take it, and as the caller is told it."""

    data: str
    told: str


def read_value(
    parameter: Parameter, words: str, today: datetime.date, *, asked: bool = True
) -> Value | None:
    """The value in a caller's words; ``None`` when there is none, or it does not fit.

    ``asked``: it was asked for, so a bare number is meant for it; otherwise the words must say
    what it is.
    """
    match parameter.kind:
        case "code":
            return _read_code(parameter, words, asked=asked)
        case "digits":
            return _read_digits(parameter, words) if asked else None
        case "money":
            amount = read_money(words, currency_needed=not asked)
            return Value(amount, f"${amount}") if amount else None
        case "date":
            day = _read_date(words, today, future=parameter.future)
            return Value(day.isoformat(), f"{day:%B} {day.day}, {day.year}") if day else None
        case "choice":
            return _read_choice(parameter, words)
        case "email":
            address = read_email(words)
            return Value(address.text, address.spelled) if address else None
        case "text":
            text = _without_secrets(" ".join(words.split())[:MAX_TEXT_CHARS])
            return Value(text, text.rstrip(".?!")) if asked and len(text.split()) >= 2 else None
        case "identity":
            return None


def _read_code(parameter: Parameter, words: str, *, asked: bool) -> Value | None:
    tokens = _tokens(words)
    read = read_numbers([_HEARD_AS_DIGITS.get(word, word) for word in tokens] if asked else tokens)
    joined = _runs_of_digits(read)
    fitting = [run for run in joined if len(run) == parameter.digits]
    if len(fitting) != 1 or (asked and sum(map(len, joined)) != parameter.digits):
        return None  # two numbers, or one with a digit too many: which one was meant?
    code = f"{parameter.prefix}{fitting[0]}"
    return Value(code, code)


def digits_in(words: str) -> str:
    """The digits of a number that was begun, when the words hold one stretch of them."""
    read = read_numbers([_HEARD_AS_DIGITS.get(word, word) for word in _tokens(words)])
    runs = _runs_of_digits(read)
    return runs[0] if len(runs) == 1 else ""


def _read_digits(parameter: Parameter, words: str) -> Value | None:
    if any(word in _MONTHS for word in _tokens(words)):
        return None  # a date has digits, too
    read = read_numbers([_HEARD_AS_DIGITS.get(word, word) for word in _tokens(words)])
    digits = "".join(word for word in read if word.isdigit())
    if not digits or (parameter.digits and len(digits) != parameter.digits):
        return None
    return Value(digits, " ".join(digits))


def _read_choice(parameter: Parameter, words: str) -> Value | None:
    text = f" {' '.join(_tokens(words))} "
    meant = {
        value
        for value, said in parameter.choices.items()
        if any(f" {' '.join(_tokens(each))} " in text for each in (*said, value))
    }
    if len(meant) != 1:
        return None
    value = meant.pop()
    return Value(value, value.replace("_", " "))


def _read_date(words: str, today: datetime.date, *, future: bool) -> datetime.date | None:
    lower = words.lower()
    if numbers := re.search(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", lower):
        return _date(int(numbers[1]), int(numbers[2]), int(numbers[3]))
    if numbers := re.search(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{4})\b", lower):
        first, second, year = (int(each) for each in numbers.groups())
        return _date(year, second, first) if first > 12 else _date(year, first, second)
    tokens = _tokens(re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", lower))
    if future and (near := _near_day(tokens, today)):
        return near
    months = [at for at, token in enumerate(tokens) if token in _MONTHS]
    if len({tokens[at] for at in months}) != 1:
        return None
    month = _MONTHS[tokens[months[0]]]
    rest_ends = months[1] if len(months) > 1 else len(tokens)  # a recogniser repeats itself
    before = _numbers(tokens[: months[0]])
    after = _numbers(tokens[months[0] + 1 : rest_ends])
    day, rest = (before[-1], after) if before else (after[0] if after else 0, after[1:])
    if rest:
        year = rest[0] if len(rest) == 1 else rest[0] * 100 + rest[1]
        if len(rest) == 1 and year < 100 and not future:
            year += 1900 if year > today.year % 100 else 2000
        found = _date(year, month, day)
    elif future:
        found = _date(today.year, month, day)
        if found and found < today:
            found = _date(today.year + 1, month, day)
    else:
        return None
    if found is None or (found < today) == future:
        return None
    return found if future or found.year > today.year - OLDEST_YEARS else None


def _near_day(tokens: list[str], today: datetime.date) -> datetime.date | None:
    if "tomorrow" in tokens:
        return today + datetime.timedelta(days=1)
    named = [_WEEKDAYS[token] for token in tokens if token in _WEEKDAYS]
    if len(named) != 1 or any(token in _MONTHS for token in tokens):
        return None
    ahead = (named[0] - today.weekday()) % 7 or 7
    return today + datetime.timedelta(days=ahead)


def _numbers(tokens: list[str]) -> list[int]:
    """Numbers in order: "nineteen eighty" gives 19 and 80, "twenty first" 21, "1980" 1980."""
    words = [
        (_HEARD_AS_DIGITS.get(token, token) if at else token) for at, token in enumerate(tokens)
    ]
    if "thousand" in words:
        at = words.index("thousand")
        rest = [word for word in words[at + 1 :] if word != "and"]
        two = read_numbers(rest[:2])
        low = int(two[0]) if two and two[0].isdigit() else 0
        return [*_numbers(words[: max(0, at - 1)]), 2000 + low]
    numbers: list[int] = []
    tens = 0
    for word in words:
        if word in ORDINALS:
            numbers.append(tens + ORDINALS[word])
            tens = 0
            continue
        if tens:
            read = read_numbers([word])[0]
            if read.isdigit() and int(read) < 10 and read != word:
                numbers.append(tens + int(read))
                tens = 0
                continue
            numbers.append(tens)
            tens = 0
        read = read_numbers([word])[0]
        if word in ("oh", "o"):
            numbers.append(0)
        elif read.isdigit():
            value = int(read)
            if read != word and value >= 20 and value % 10 == 0:
                tens = value
            elif read != word and value < 10 and numbers and numbers[-1] == 0:
                numbers[-1] = value
            else:
                numbers.append(value)
    return [*numbers, tens] if tens else numbers


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _tokens(words: str) -> list[str]:
    return [_LETTER_NAMES.get(token, token) for token in _TOKEN.findall(words.lower())]


def _runs_of_digits(words: list[str]) -> list[str]:
    """Digits said one after the other, each run as one."""
    runs: list[str] = []
    open_run = False
    for word in words:
        if word.isdigit():
            runs = [*runs[:-1], runs[-1] + word] if open_run else [*runs, word]
            open_run = True
        else:
            open_run = False
    return runs
