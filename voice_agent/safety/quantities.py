"""Amounts, durations, dates, times and codes of a text, whichever way they are written. Pure.

"$4.95", "four dollars and ninety-five cents" and "4.95 USD" are one amount; "14:45" and "two
forty-five PM" one time; "2026-06-10" and "June tenth" one day; "B five O D Z X" and "B5ODZX" one
code. So what is written in a document or a tool's result can be compared with what is spoken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_ONES = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
        "twentieth".split(),
        start=1,
    )
} | {"thirtieth": 30}
MONTHS = {
    name: number
    for number, name in enumerate(
        "january february march april may june july august september october november "
        "december".split(),
        start=1,
    )
}
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_UNITS = {
    "dollar": "money", "buck": "money", "usd": "money", "eur": "money", "euro": "money",
    "gbp": "money", "cent": "cents", "percent": "percent", "%": "percent",
    "second": "second", "minute": "minute", "min": "minute", "hour": "hour", "day": "day",
    "night": "night", "week": "week", "month": "month", "year": "year", "pound": "pound",
    "inch": "inch", "inche": "inch", "foot": "foot", "feet": "foot", "mile": "mile",
    "degree": "degree", "am": "am", "pm": "pm",
}  # fmt: skip
_DURATIONS = frozenset({"second", "minute", "hour", "day", "night", "week", "month", "year"})
_MINUTES = {"minute": 1, "hour": 60}
_TOKEN = re.compile(
    r"\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}|[$€£]|\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)\b"
    r"|\d[\d,]*(?:\.\d+)?|%|[a-z]+(?:'[a-z]+)?|[-–]"
)
_CODE = re.compile(
    r"(?<![$\w])(?!\d{4}-\d\d-\d\d\b)"
    r"(?:(?=[a-z\d_]*\d)(?=[a-z\d_]*[a-z])(?!\d+(?:am|pm|st|nd|rd|th)\b)[a-z\d_]{2,}"
    r"|\+?\d(?:-?\d){6,})(?![\w])"
)
_SAID = "[a-z]|\\d|zero|oh|one|two|three|four|five|six|seven|eight|nine"
_SPELLED = re.compile(
    rf"(?<!')\b(?=(?:\w+[ ,-]+)*?[b-hj-z]\b)(?:(?:{_SAID})[ ,-]+){{2,}}(?:{_SAID})\b"
)
_MERIDIEM = re.compile(r"(?<![a-z])([ap])\s?\.?\s?m\b\.?(?=\W|$)")
_PART_OF_DAY = re.compile(r"\bin the (morning|afternoon|evening)\b")


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A value as digits (a time as minutes of the day, a day as month-day) and what it counts."""

    value: str
    unit: str = ""

    @property
    def kind(self) -> str:
        """What it may be mistaken for: all durations are of one kind."""
        return "duration" if self.unit.removeprefix("business ") in _DURATIONS else self.unit

    def same_as(self, other: Quantity) -> bool:
        """Whether the other says it: a bare number says a number of anything."""
        if self.unit != other.unit and self.unit in _MINUTES and other.unit in _MINUTES:
            mine, theirs = _MINUTES[self.unit], _MINUTES[other.unit]
            return float(self.value) * mine == float(other.value) * theirs
        return self.value == other.value and (
            self.unit == other.unit or not other.unit or not self.unit
        )


def plain(text: str) -> str:
    """Lower case, straight apostrophes, "a.m." as "am"."""
    text = text.lower().replace("’", "'")
    text = _MERIDIEM.sub(r"\1m", text.replace(" o'clock", ""))
    return _PART_OF_DAY.sub(lambda part: "am" if part.group(1) == "morning" else "pm", text)


def quantities(text: str, *, implied: bool = False) -> list[Quantity]:
    """The quantities of a text in order.

    Args:
        text: a sentence, a passage, or a tool's result as JSON.
        implied: also what is only meant: "an hour" is one hour, a date has a day of the week.
            For evidence; a claim is held to what it says.
    """
    lowered = plain(text)
    found = []
    for pattern, read in ((_SPELLED, _spelled_code), (_CODE, lambda m: m.group().replace("-", ""))):
        found += [Quantity(read(match), "code") for match in pattern.finditer(lowered)]
        lowered = pattern.sub(" ", lowered)
    tokens = _TOKEN.findall(lowered)
    at = 0
    while at < len(tokens):
        taken, quantity = _quantity_at(tokens, at, implied)
        found += quantity
        at += taken
    return list(dict.fromkeys(found))


def _spelled_code(match: re.Match[str]) -> str:
    parts = re.findall(r"[a-z]+|\d", match.group())
    return "".join(part if len(part) == 1 else str(_ONES.get(part, 0)) for part in parts)


def _quantity_at(tokens: list[str], at: int, implied: bool) -> tuple[int, list[Quantity]]:
    """How many tokens are read from here on, and the quantities they say."""
    said = tokens[at]
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said):
        return 1, _of_date(said, implied)
    if ":" in said:
        return _time(tokens, at)
    if said in MONTHS:
        return _day_of_month(tokens, at)
    if _singular(said) in WEEKDAYS:
        return 1, [Quantity(_singular(said), "weekday")]
    if said in ("noon", "midday"):
        return 1, [Quantity("720", "time")]
    if said == "midnight":
        return 1, [Quantity("0", "time")]
    if said in ("a", "an", "per", "each", "every") and implied:
        unit = _UNITS.get(_singular(tokens[at + 1]), "") if at + 1 < len(tokens) else ""
        return 1, [Quantity("1", unit)] if unit in _DURATIONS else []
    if said == "half" and tokens[at + 1 : at + 3] == ["an", "hour"]:
        return 3, [Quantity("30", "minute")]
    money = said in ("$", "€", "£")
    start = at + money
    length, value = _number(tokens, start)
    if not length:
        if said in ORDINALS and ORDINALS[said] > 2 and said != "second":
            return 1, [Quantity(str(ORDINALS[said]), "ordinal")]
        return 1, []
    after = start + length
    unit = "money" if money else _unit(tokens, after) or _unit_of_range(tokens, after)
    if unit in ("am", "pm"):
        return after - at + (tokens[after : after + 1] == [unit]), [_clock(value, unit)]
    if unit == "money" and not money and _unit(tokens, after):
        cents_length, cents = _cents(tokens, after + 1)
        if cents_length:
            return after - at + 1 + cents_length, [Quantity(_text(value + cents / 100), "money")]
    if unit == "hour" and tokens[after + 1 : after + 2] == ["and"]:
        more, minutes = _number(tokens, after + 2)
        if more and _unit(tokens, after + 2 + more) == "minute":
            total = value * 60 + minutes
            return after + 2 + more - at, [Quantity(_text(total), "minute")]
    if unit == "cents":
        return after - at + 1, [Quantity(_text(value / 100), "money")]
    if tokens[start:after] == ["one"] and not unit:
        return after - at, []  # a pronoun more often than a number
    return max(1, after - at), [Quantity(_text(value), unit)]


def _of_date(token: str, implied: bool) -> list[Quantity]:
    try:
        day = date.fromisoformat(token)
    except ValueError:
        return []
    found = [Quantity(f"{day.month}-{day.day}", "date")]
    if implied:
        found += [Quantity(WEEKDAYS[day.weekday()], "weekday"), Quantity(str(day.year))]
    return found


def _time(tokens: list[str], at: int) -> tuple[int, list[Quantity]]:
    hour, minute = (int(part) for part in tokens[at].split(":"))
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    if after in ("am", "pm"):
        return 2, [Quantity(str(_minutes(hour, minute, after)), "time")]
    return 1, [Quantity(str(hour * 60 + minute), "time")]


def _clock(value: float, unit: str) -> Quantity:
    """ "two forty-five pm" has been read as 245."""
    hour, minute = divmod(int(value), 100) if value > 24 else (int(value), 0)
    return Quantity(str(_minutes(hour, minute, unit)), "time")


def _minutes(hour: int, minute: int, half: str) -> int:
    return (hour % 12 + (12 if half == "pm" else 0)) * 60 + minute


def _day_of_month(tokens: list[str], at: int) -> tuple[int, list[Quantity]]:
    month = MONTHS[tokens[at]]
    length, value = _ordinal(tokens, at + 1)
    if not length:
        length, value = _number(tokens, at + 1)
    if length and 1 <= value <= 31:
        return 1 + length, [Quantity(f"{month}-{int(value)}", "date")]
    return 1, [] if tokens[at] in ("may", "march") else [Quantity(tokens[at], "month name")]


def _ordinal(tokens: list[str], at: int) -> tuple[int, float]:
    if at >= len(tokens):
        return 0, 0
    token = tokens[at]
    if match := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", token):
        return 1, float(match.group(1))
    if token in ORDINALS:
        return 1, ORDINALS[token]
    following = tokens[at + 1 : at + 3]
    if token in _TENS and following:
        skip = 1 if following[0] == "-" else 0
        ones = following[skip] if len(following) > skip else ""
        if ORDINALS.get(ones, 10) < 10:
            return 2 + skip, _TENS[token] + ORDINALS[ones]
    return 0, 0


def _number(tokens: list[str], at: int) -> tuple[int, float]:
    """A number in digits or words from here on: its length in tokens, 0 for none, and value."""
    if at >= len(tokens):
        return 0, 0
    first = tokens[at]
    if match := re.fullmatch(r"(\d[\d,]*(?:\.\d+)?)(?:st|nd|rd|th)?", first):
        value = float(match.group(1).replace(",", "") or 0)
        if at + 1 < len(tokens) and tokens[at + 1] in _SCALES:
            return 2, value * _SCALES[tokens[at + 1]]
        return 1, value
    total = current = 0.0
    length = 0
    last = ""
    while at + length < len(tokens):
        word = tokens[at + length]
        after_tens = last in _TENS and _ONES.get(word, 10) < 10
        if word in _ONES and (not last or after_tens or last in _SCALES):
            current += _ONES[word]
        elif word in _TENS and (not last or last in _SCALES):
            current += _TENS[word]
        elif _TENS.get(word, _ONES.get(word, 0)) >= 10 and 0 < _ONES.get(last, 0) < 20:
            current = current * 100 + _TENS.get(word, _ONES.get(word, 0))  # "two sixty", "nine ten"
        elif word == "oh" and 0 < _ONES.get(last, 0) < 13 and _digit(tokens, at + length + 1):
            current = current * 100 + _ONES[tokens[at + length + 1]]
            length += 1
        elif word in _SCALES and last and last not in _SCALES:
            current *= _SCALES[word]
            if _SCALES[word] >= 1000:
                total, current = total + current, 0
        elif word in ("-", "and") and last and _goes_on(tokens, at + length + 1, last, word):
            length += 1
            continue
        else:
            break
        last = word
        length += 1
    return length, total + current


def _digit(tokens: list[str], at: int) -> bool:
    return 0 < _ONES.get(tokens[at], 0) < 10 if at < len(tokens) else False


def _goes_on(tokens: list[str], at: int, last: str, joint: str) -> bool:
    if at >= len(tokens):
        return False
    word = tokens[at]
    if joint == "-":
        return last in _TENS and _ONES.get(word, 10) < 10
    return last in _SCALES and (word in _ONES or word in _TENS)


def _cents(tokens: list[str], at: int) -> tuple[int, float]:
    """ "and ninety-five cents" after dollars."""
    skip = 1 if tokens[at : at + 1] == ["and"] else 0
    length, value = _number(tokens, at + skip)
    named = tokens[at + skip + length : at + skip + length + 1]
    if length and value < 100 and named in (["cents"], ["cent"]):
        return skip + length + 1, value
    return 0, 0


def _unit(tokens: list[str], at: int) -> str:
    """The unit named at this place; "-year" and "business days" are units as well."""
    if tokens[at : at + 1] == ["-"]:
        at += 1
    if at >= len(tokens):
        return ""
    if tokens[at] in ("business", "working") and at + 1 < len(tokens):
        unit = _UNITS.get(_singular(tokens[at + 1]), "")
        return f"business {unit}" if unit in _DURATIONS else ""
    if tokens[at] in ("more", "further", "calendar", "full") and at + 1 < len(tokens):
        return _unit(tokens, at + 1)
    return _UNITS.get(_singular(tokens[at].replace("'", "")), "")


def _unit_of_range(tokens: list[str], at: int) -> str:
    """The unit of "three" in "three to five business days"."""
    if tokens[at : at + 1] not in (["to"], ["or"], ["-"], ["–"], ["and"]):
        return ""
    if tokens[at + 1 : at + 2] == ["$"]:
        return "money"
    length, _ = _number(tokens, at + 1)
    return _unit(tokens, at + 1 + length) if length else ""


def _singular(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("'")
    return word[:-1] if word.endswith("s") and len(word) > 3 and word != "us" else word


def _text(value: float) -> str:
    return f"{value:.10g}"
