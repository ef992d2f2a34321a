"""How money, measures, codes and other numbers are said. Pure; American English."""

from __future__ import annotations

import re
from re import Match

from voice_agent.speech.spoken_numbers import (
    cardinal,
    money,
    ordinal,
    spell_code,
    spell_digits,
    spell_groups,
    year,
)
from voice_agent.speech.spoken_rules import AFTER, BEFORE, DASH, NUMBER, Rule, rule

_UNITS = {
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "ft": "foot",
    "in": "inch", "mi": "mile", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter",
    "kW": "kilowatt", "kWh": "kilowatt hour", "W": "watt", "V": "volt", "A": "amp", "Hz": "hertz",
    "GB": "gigabyte", "MB": "megabyte", "KB": "kilobyte", "TB": "terabyte", "GHz": "gigahertz",
    "Mbps": "megabit per second", "Gbps": "gigabit per second", "mph": "mile per hour",
    "hr": "hour", "hrs": "hour", "h": "hour", "min": "minute", "mins": "minute", "sec": "second",
    "secs": "second", "s": "second", "ms": "millisecond", "sq ft": "square foot",
    "m²": "square meter", "m2": "square meter", "yr": "year", "yrs": "year", "wk": "week",
    "wks": "week", "pcs": "piece", "°C": "degree Celsius", "°F": "degree Fahrenheit",
    "°": "degree", "K": "thousand", "k": "thousand", "pt": "point", "pts": "point",
}  # fmt: skip
_PLURALS = {"foot": "feet", "inch": "inches", "hertz": "hertz", "gigahertz": "gigahertz",
            "thousand": "thousand"}  # fmt: skip
_SPELLED_OUT = {"inches": "in"}
_UNIT = "|".join(sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True))
_ATTACHED_ONLY = frozenset({"in", "A", "K", "k", "s", "h", "V", "W", "m2", "pt"})
"""Words or letters that mean something else after a space ("five in stock")."""


def unit_name(unit: str, amount: str) -> str:
    """ "kg", "10" as "kilograms"."""
    name = _UNITS[unit]
    if amount.replace(",", "") == "1":
        return name
    head, *rest = name.split(" ", 1)
    if head == "square":
        return f"square {_PLURALS.get(rest[0], rest[0] + 's')}"
    if rest and head == "kilowatt":
        return "kilowatt hours"
    plural = _PLURALS.get(head, head + "s")
    return " ".join([plural, *rest])


def _measure(match: Match[str]) -> str:
    amount, gap, unit = match["amount"], match["gap"], match["unit"]
    if unit in _ATTACHED_ONLY and gap:
        return match.group()
    until = f" to {cardinal(match['until'])}" if match["until"] else ""
    return f"{cardinal(amount)}{until} {unit_name(unit, match['until'] or amount)}"


def _dimensions(match: Match[str]) -> str:
    sizes = [cardinal(size) for size in re.findall(NUMBER, match["sizes"])]
    unit = match["unit"]
    return " by ".join(sizes) + (f" {unit_name(_SPELLED_OUT.get(unit, unit), '2')}" if unit else "")


def _money(match: Match[str]) -> str:
    scale = {"k": "thousand", "m": "million", "bn": "billion"}.get(
        (match["scale"] or "").lower(), (match["scale"] or "").lower()
    )
    said = money(match["symbol"], match["amount"], scale)
    return f"minus {said}" if match["minus"] else said


def _money_range(match: Match[str]) -> str:
    first, second = match["first"], match["second"]
    symbol = match["symbol"]
    if "." in first or "." in second:
        return f"{money(symbol, first)} to {money(symbol, second)}"
    return f"{cardinal(first)} to {money(symbol, second)}"


def _percent(match: Match[str]) -> str:
    until = f" to {cardinal(match['until'])}" if match["until"] else ""
    return f"{'minus ' if match['minus'] else ''}{cardinal(match['amount'])}{until} percent"


def _phone(match: Match[str]) -> str:
    groups = re.findall(r"\d+", match.group())
    plus = "plus " if match.group().startswith("+") else ""
    if len(groups) == 1:
        return plus + spell_groups(groups[0])
    return plus + ", ".join(spell_digits(group) for group in groups)


def _code(match: Match[str]) -> str:
    return spell_code(match.group())


def _named_number(match: Match[str]) -> str:
    return f"{match['name']}{spell_groups(match['digits'])}"


_FRACTIONS = {
    "1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
    "3/4": "three quarters", "½": "one half", "¼": "one quarter", "¾": "three quarters",
    "⅓": "one third", "⅔": "two thirds",
}  # fmt: skip


def _fraction(match: Match[str]) -> str:
    words = _FRACTIONS[match["part"]]
    if not match["whole"]:
        return words
    part = words.replace("one half", "a half").replace("one quarter", "a quarter")
    return f"{cardinal(match['whole'])} and {part.replace('one third', 'a third')}"


def _number_range(match: Match[str]) -> str:
    return f"{cardinal(match[1])} to {cardinal(match[2])}"


def _version(match: Match[str]) -> str:
    return " point ".join(cardinal(part) for part in match.group().split("."))


def _year(match: Match[str]) -> str:
    return f"{match['before']}{year(int(match['year']))}"


_NAMES = (
    r"order|ticket|case|reference|ref|invoice|account|tracking|extension|ext|code|pin|serial|model"
    r"|customer|confirmation|booking|item|policy|claim|room|flight"
)
AMOUNTS: tuple[Rule, ...] = (
    rule(
        rf"(?P<symbol>[$£€¥])(?P<first>{NUMBER})(?:{DASH})[$£€¥]?(?P<second>{NUMBER}){AFTER}",
        _money_range,
    ),
    rule(
        rf"(?P<minus>[-−](?=[$£€¥]))?(?P<symbol>[$£€¥])\s?(?P<amount>{NUMBER})"
        r"(?:\s?(?P<scale>million|billion|thousand|bn|k|K|m|M)\b)?",
        _money,
    ),
    rule(
        rf"{BEFORE}(?P<amount>{NUMBER})\s?(?:USD|dollars?)\b", lambda m: money("$", m["amount"])
    ),
    rule(rf"{BEFORE}(?P<amount>\d+)\s?¢", lambda m: money("$", f"0.{int(m['amount']):02d}")),
    rule(
        rf"(?<![\w.])(?P<minus>[-−])?(?P<amount>{NUMBER})(?:(?:{DASH})(?P<until>{NUMBER}))?\s?%",
        _percent,
    ),
    rule(
        r"(?<![\w.,-])(?:\+\d[\d\s().-]{6,18}\d|\(\d{3}\)\s?\d{3}[-.\s]\d{4}"
        r"|(?:1[-.\s])?\d{3}[-.\s]\d{3}[-.\s]\d{4}|555[-.]\d{4}|\d{3}-0\d{3}"
        r"|(?:(?<=call )|(?<=ring )|(?<=dial )|(?<=phone ))\d{3}[-.]\d{4}"
        r"|0\d{2,4}[-.\s]\d{3,4}(?:[-.\s]\d{2,4}){0,2}|\d{4}\s\d{4}\s\d{4}(?:\s\d{4})?"
        r"|0\d{6,13})(?![\w-])",
        _phone,
    ),
    rule(
        rf"(?P<name>\b(?:{_NAMES})s?\s(?:(?:number|code|no\.?|id)\s)?(?:is\s)?(?:#\s?)?)"
        r"(?P<digits>\d{3,})(?![\w,.-]*\d|\s?%)",
        _named_number,
        re.IGNORECASE,
    ),
    rule(r"\b(\d)'\s?(\d{1,2})\"", lambda m: f"{cardinal(m[1])} foot {cardinal(m[2])}"),
    rule(r"(?<!\w)#\s?(\d+)\b", lambda m: f"number {spell_groups(m[1])}"),
    rule(r"(?<!\w)#(?=[A-Za-z]+-?\d)", ""),
    rule(
        rf"{BEFORE}(?P<sizes>(?:{NUMBER})(?:\s?(?:cm|mm|m|in|ft)?\s?[x×]\s?(?:{NUMBER}))+)"
        rf"\s?(?P<unit>cm|mm|m|in|ft|inches)?(?!\w)",
        _dimensions,
    ),
    rule(r"\b(\d{1,15})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1]))),
    rule(
        rf"{BEFORE}(?P<amount>{NUMBER})(?:(?:{DASH})(?P<until>{NUMBER}))?(?P<gap>\s?)"
        rf"(?P<unit>{_UNIT})(?![\w/²])",
        _measure,
    ),
    rule(rf"{BEFORE}({NUMBER})-(?=[a-z]{{2,}}\b)", lambda m: f"{cardinal(m[1])} "),
    rule(
        r"\b([A-Za-z]*[a-z]{2}[A-Za-z]*)-?(\d{1,4})\b(?!-)", lambda m: f"{m[1]} {cardinal(m[2])}"
    ),
    rule(
        r"\b(?=[A-Za-z\d-]*\d)(?=[A-Za-z\d-]*[A-Za-z])[A-Za-z\d]+(?:-[A-Za-z\d]+)*\b", _code
    ),
    rule(r"(?:(?P<whole>\d+)\s?)?(?P<part>[½¼¾⅓⅔])", _fraction),
    rule(r"(?<![\d/])(?:(?P<whole>\d+)\s)?(?P<part>1/2|1/3|2/3|1/4|3/4)(?![\d/])", _fraction),
    rule(r"\b\d+(?:\.\d+){2,}\b", _version),
    rule(rf"{BEFORE}({NUMBER})(?:{DASH})({NUMBER}){AFTER}", _number_range),
    rule(r"\b\d+(?:-\d+)+\b", _code),
    rule(
        r"(?P<before>\b(?:[Ii]n|[Ss]ince|[Bb]y|[Uu]ntil|[Dd]uring|[Ff]rom|[Yy]ear)\s)"
        r"(?P<year>(?:19|20)\d{2})(?!\w|[.,]\d)(?!\s(?:to|dollars|people|items|orders|points))",
        _year,
    ),
)  # fmt: skip
