"""How dates, days and times are said. Pure; American English."""

from __future__ import annotations

import re
from re import Match

from voice_agent.speech.spoken_numbers import (
    MONTHS,
    clock_time,
    date,
    ordinal,
    year,
)
from voice_agent.speech.spoken_rules import AFTER, BEFORE, DASH, Rule, rule

_HALF = r"(?:[ap]\.?\s?m\b\.?(?!\w))"
_MONTH = "|".join(f"{name}|{name[:3]}" for name in MONTHS) + "|Sept"
_CLOCK = rf"\d{{1,2}}(?::\d{{2}})?\s?{_HALF}?"
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_DAY = "|".join(sorted([*_DAYS, *set(_DAYS.values())], key=len, reverse=True))


def _day(name: str) -> str:
    return _DAYS.get(name, name)


def _month_number(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, 1) if month.startswith(name[:3].capitalize()))


def _iso_date(match: Match[str]) -> str:
    year_number, month, day = (int(part) for part in match.groups())
    return date(day, month, year_number) if _is_date(day, month) else match.group()


def _slash_date(match: Match[str]) -> str:
    first, second, last = (int(part) for part in match.groups())
    month, day = (first, second) if first <= 12 else (second, first)
    if not _is_date(day, month):
        return match.group()
    return date(day, month, last + 2000 if last < 100 else last)


def _is_date(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _month_day(match: Match[str]) -> str:
    day, until = int(match["day"]), match["until"]
    if not 1 <= day <= 31:
        return match.group()
    words = date(day, _month_number(match["month"]))
    if until:
        words += f" to {ordinal(int(until))}"
    return f"{words}, {year(int(match['year']))}" if match["year"] else words


def _day_month(match: Match[str]) -> str:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return match.group()
    month = MONTHS[_month_number(match["month"]) - 1]
    since = f"{ordinal(int(match['since']))} to the " if match["since"] else ""
    words = f"the {since}{ordinal(day)} of {month}"
    return f"{words} {year(int(match['year']))}" if match["year"] else words


def _month_year(match: Match[str]) -> str:
    return f"{MONTHS[_month_number(match[1]) - 1]} {year(int(match[2]))}"


def _time(match: Match[str]) -> str:
    return _clock(match) + _full_stop(match["half"] or "", match.string[match.end() :])


def _clock(match: Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if hour > 24 or minute > 59:
        return match.group().removesuffix(".")
    return clock_time(hour % 24, minute, re.sub(r"[^apmAPM]", "", match["half"] or ""))


def _full_stop(half: str, rest: str) -> str:
    """The one that ends the sentence as well as the half of the day, if it does."""
    rest = rest.lstrip()
    ends = half.endswith(".") and (half.count(".") == 1 or not rest or rest[0].isupper())
    return "." if ends else ""


def _time_range(match: Match[str]) -> str:
    first, second = match["first"], match["second"]
    both = re.search(_HALF, second, re.IGNORECASE)
    if both and not re.search(_HALF, first, re.IGNORECASE):
        said = _TIME.sub(_clock, first + "am").removesuffix(" AM")
    else:
        afternoon = re.match(r"(?:1[3-9]|2\d):", second)
        morning = afternoon and re.fullmatch(r"(?:0?\d|1[01]):\d\d", first.strip())
        said = _TIME.sub(_clock, f"{first.strip()}am" if morning else first)
    ending = _full_stop(both.group() if both else "", match.string[match.end() :])
    return f"{said} to {_TIME.sub(_clock, second)}{ending}"


_TIME = re.compile(
    rf"{BEFORE}(?=\d{{1,2}}(?::\d{{2}}|\s?{_HALF}))"
    rf"(?P<hour>\d{{1,2}})(?::(?P<minute>\d{{2}})(?::\d{{2}})?)?(?:\s?(?P<half>{_HALF}))?"
    r"(?![\w:]|\.\d)",
    re.IGNORECASE,
)


DATES_AND_TIMES: tuple[Rule, ...] = (
    rule(rf"{BEFORE}(\d{{4}})-(\d{{2}})-(\d{{2}})(?:T[\d:.]+Z?)?{AFTER}", _iso_date),
    rule(rf"{BEFORE}(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}|\d{{2}}){AFTER}", _slash_date),
    rule(
        rf"\b(?P<month>{_MONTH})\b\.?\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
        rf"(?:\s?[-–]\s?(?P<until>\d{{1,2}})(?:st|nd|rd|th)?)?(?:,?\s(?P<year>(?:19|20)\d{{2}}))?"
        r"(?![\w:%]|[.,]\d)",
        _month_day,
    ),
    rule(
        rf"(?:\b[Tt]he\s)?{BEFORE}(?:(?P<since>\d{{1,2}})(?:st|nd|rd|th)?\s?[-–]\s?)?(?P<day>\d{{1,2}})"
        rf"(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{_MONTH})\b\.?(?:,?\s(?P<year>(?:19|20)\d{{2}}))?",
        _day_month,
    ),
    rule(rf"\b({_MONTH})\b\.?,?\s((?:19|20)\d{{2}}){AFTER}", _month_year),
    rule(rf"\b({_DAY})\b\.?\s?[-–—]\s?({_DAY})\b", lambda m: f"{_day(m[1])} to {_day(m[2])}"),
    rule(r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri)\b\.?(?!\w)", lambda m: _day(m[1])),
    rule(r"\b(Sat|Sun)\b(?:\.|(?=,|\s\d))", lambda m: _day(m[1])),
    rule(r"\b24\s?/\s?7\b", "twenty-four seven"),
    rule(
        rf"{BEFORE}(?P<first>{_CLOCK})(?:{DASH})(?P<second>\d{{1,2}}(?::\d{{2}})?\s?{_HALF}"
        r"|\d{1,2}:\d{2})(?![\w:])",
        _time_range,
        re.IGNORECASE,
    ),
    (_TIME, _time),
)  # fmt: skip
