"""Written text as a person would say it: no digits, no symbols, no markup. Pure; English.

Rules run from the most specific to the most general, and each leaves only words behind, so a later
rule cannot take an earlier one's result apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match
from typing import TypeAlias

from voice_agent.speech.spoken_numbers import (
    MONTHS,
    cardinal,
    clock_time,
    date,
    money,
    ordinal,
    spell_code,
    spell_digits,
    spell_groups,
    year,
)

Rule: TypeAlias = tuple[re.Pattern[str], Callable[[Match[str]], str]]

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_DASH = r"\s?[-–—]\s?|\s+to\s+"
_HALF = r"(?:[ap]\.?\s?m\b\.?(?!\w))"
_MONTH = "|".join(f"{name}|{name[:3]}" for name in MONTHS) + "|Sept"
_BEFORE = r"(?<![\w.,:/-])"
_AFTER = r"(?![\w/]|[.,:]\d)"
_MAX_CHARACTERS = 4_000


def as_spoken(text: str) -> str:
    """``text`` (plain or Markdown) as words for the synthesiser; empty when nothing is sayable."""
    text = _without_markup(text[:_MAX_CHARACTERS])
    for pattern, say in _RULES:
        text = pattern.sub(say, text)
    return _tidy(text)


# --- markup ----------------------------------------------------------------------------------

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " "})


def _without_markup(text: str) -> str:
    text = text.translate(_QUOTES).replace("…", "...")
    text = re.sub(r"!?\[([^\]\n]*)\]\(([^)\s]*)(?:\s[^)]*)?\)", r"\1", text)
    text = re.sub(r"<(https?://[^>\s]+|[^>\s@]+@[^>\s]+)>", r"\1", text)
    text = re.sub(r"</?[A-Za-z][^<>]{0,200}>", " ", text)
    text = re.sub(r"```\w*\n?|`", "", text)
    text = re.sub(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<![\w*])[*_](?=\S)([^*_\n]+?)(?<=\S)[*_](?![\w*])", r"\1", text)
    lines = [_line(line) for line in text.splitlines()]
    return " ".join(line for line in lines if line)


def _line(line: str) -> str:
    line = line.strip()
    if re.fullmatch(r"[-*_=|:\s]+", line):
        return ""
    bare = re.sub(r"^(?:#{1,6}\s+|>\s*|[-*•+]\s+|\[[ xX]\]\s*)+", "", line)
    numbered = re.match(r"(\d{1,2})[.)]\s+(?=\S)", bare)
    if numbered:
        bare = f"{ordinal(int(numbered.group(1)))}, {bare[numbered.end() :]}"
    if bare.startswith("|"):
        bare = ", ".join(cell.strip() for cell in bare.strip("|").split("|") if cell.strip())
    marked = bare != line or line.startswith("|")
    return f"{bare}." if marked and bare and bare[-1] not in ".!?,;:" else bare


# --- addresses -------------------------------------------------------------------------------

_SYMBOLS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "+": "plus",
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", ":": "colon", "~": "tilde",
    "%": "percent",
}  # fmt: skip


def _address(text: str) -> str:
    parts = re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]", text)
    said = [spell_groups(part) if part.isdigit() else _SYMBOLS.get(part, part) for part in parts]
    return " ".join(said)


def _url(match: Match[str]) -> str:
    address = re.sub(r"^https?://", "", match.group(), flags=re.IGNORECASE)
    address = re.sub(r"^www\.|[?#].*?(?=[.,;:!?)]*$)", "", address, flags=re.IGNORECASE)
    kept = address.rstrip(".,;:!?)'\"")
    tail = address[len(kept) :]
    return _address(kept.rstrip("/")) + tail


# --- dates and times -------------------------------------------------------------------------


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
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if hour > 24 or minute > 59:
        return match.group()
    half = match["half"] or ""
    rest = match.string[match.end() :].lstrip()
    ends = half.endswith(".") and (half.count(".") == 1 or not rest or rest[0].isupper())
    ending = "." if ends else ""
    return clock_time(hour % 24, minute, re.sub(r"[^apmAPM]", "", half)) + ending


def _time_range(match: Match[str]) -> str:
    first, second = match["first"], match["second"]
    both = re.search(_HALF, second, re.IGNORECASE)
    if both and not re.search(_HALF, first, re.IGNORECASE):
        said = _TIME.sub(_time, first + "am").removesuffix(" AM")
    else:
        afternoon = re.match(r"(?:1[3-9]|2\d):", second)
        morning = afternoon and re.fullmatch(r"(?:0?\d|1[01]):\d\d", first.strip())
        said = _TIME.sub(_time, f"{first.strip()}am" if morning else first)
    return f"{said} to {_TIME.sub(_time, second)}"


_TIME = re.compile(
    rf"{_BEFORE}(?=\d{{1,2}}(?::\d{{2}}|\s?{_HALF}))"
    rf"(?P<hour>\d{{1,2}})(?::(?P<minute>\d{{2}})(?::\d{{2}})?)?(?:\s?(?P<half>{_HALF}))?"
    r"(?![\w:]|\.\d)",
    re.IGNORECASE,
)


# --- numbers ---------------------------------------------------------------------------------

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
    sizes = [cardinal(size) for size in re.findall(_NUMBER, match["sizes"])]
    unit = match["unit"]
    return " by ".join(sizes) + (f" {unit_name(unit, '2')}" if unit else "")


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


def _cardinal(match: Match[str]) -> str:
    digits = match["digits"]
    long = digits.isdecimal() and len(digits) >= 7
    said = spell_groups(digits) if long else cardinal(digits)
    return f"minus {said}" if match["minus"] else said


def _year(match: Match[str]) -> str:
    return f"{match['before']}{year(int(match['year']))}"


# --- abbreviations ---------------------------------------------------------------------------

_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_DAY = "|".join(sorted([*_DAYS, *set(_DAYS.values())], key=len, reverse=True))


def _day(name: str) -> str:
    return _DAYS.get(name, name)


_ABBREVIATIONS = {
    "e.g.": "for example", "i.e.": "that is", "vs.": "versus", "vs": "versus", "approx.":
    "approximately", "Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Prof.":
    "Professor", "Ave.": "Avenue", "Rd.": "Road", "Blvd.": "Boulevard", "Ltd.": "Limited",
    "dept.": "department", "Dept.": "Department", "tel.": "telephone", "Tel.": "Telephone",
    "ext.": "extension", "Ext.": "Extension", "incl.": "including", "excl.": "excluding",
    "min.": "minimum", "max.": "maximum", "w/o": "without", "w/": "with ", "c/o": "care of",
    "a.k.a.": "also known as", "FAQs": "frequently asked questions", "ASAP": "as soon as possible",
    "ETA": "estimated arrival", "P.S.": "P S", "T&Cs": "terms and conditions", "etc.": "and so on",
    "Inc.": "Incorporated", "no.": "number", "No.": "Number", "nos.": "numbers",
}  # fmt: skip
_BEFORE_DIGITS = frozenset({"no.", "No.", "nos."})
_MAY_END_A_SENTENCE = frozenset({"etc.", "Inc.", "Ltd.", "Ave.", "Rd.", "Blvd."})


def _abbreviation(match: Match[str]) -> str:
    short = match.group()
    if short in _BEFORE_DIGITS and not re.match(r"\s*[\d#]", match.string[match.end() :]):
        return short
    words = _ABBREVIATIONS[short]
    rest = match.string[match.end() :].lstrip()
    ends = short in _MAY_END_A_SENTENCE and (not rest or rest[0].isupper())
    return f"{words}." if ends else words


def _street(match: Match[str]) -> str:
    return "Saint " if match["saint"] else f"{match['name']} Street"


# --- the rules, in order ---------------------------------------------------------------------


def _rule(pattern: str, say: Callable[[Match[str]], str] | str, flags: int = 0) -> Rule:
    if isinstance(say, str):
        words = say
        return re.compile(pattern, flags), lambda match: match.expand(words)
    return re.compile(pattern, flags), say


_CLOCK = rf"\d{{1,2}}(?::\d{{2}})?\s?{_HALF}?"
_NAMES = (
    r"order|ticket|case|reference|ref|invoice|account|tracking|extension|ext|code|pin|serial|model"
    r"|customer|confirmation|booking|item|policy|claim|room|flight"
)
_RULES: tuple[Rule, ...] = (
    _rule(r"[\w.+%-]+@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+", lambda m: _address(m.group())),
    _rule(
        r"\b(?:https?://|www\.)[^\s<>]+"
        r"|\b(?:[a-z\d-]+\.)+(?:com|org|net|io|co\.uk|uk|eu|de|example|shop|info|app)(?:/[^\s<>]*)?(?!\w)",
        _url,
        re.IGNORECASE,
    ),
    _rule(rf"{_BEFORE}(\d{{4}})-(\d{{2}})-(\d{{2}})(?:T[\d:.]+Z?)?{_AFTER}", _iso_date),
    _rule(rf"{_BEFORE}(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}|\d{{2}}){_AFTER}", _slash_date),
    _rule(
        rf"\b(?P<month>{_MONTH})\b\.?\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
        rf"(?:\s?[-–]\s?(?P<until>\d{{1,2}})(?:st|nd|rd|th)?)?(?:,?\s(?P<year>(?:19|20)\d{{2}}))?"
        r"(?![\w:%]|[.,]\d)",
        _month_day,
    ),
    _rule(
        rf"(?:\b[Tt]he\s)?{_BEFORE}(?:(?P<since>\d{{1,2}})(?:st|nd|rd|th)?\s?[-–]\s?)?(?P<day>\d{{1,2}})"
        rf"(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{_MONTH})\b\.?(?:,?\s(?P<year>(?:19|20)\d{{2}}))?",
        _day_month,
    ),
    _rule(rf"\b({_MONTH})\b\.?,?\s((?:19|20)\d{{2}}){_AFTER}", _month_year),
    _rule(rf"\b({_DAY})\b\.?\s?[-–—]\s?({_DAY})\b", lambda m: f"{_day(m[1])} to {_day(m[2])}"),
    _rule(r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri)\b\.?(?!\w)", lambda m: _day(m[1])),
    _rule(r"\b(Sat|Sun)\b(?:\.|(?=,|\s\d))", lambda m: _day(m[1])),
    _rule(r"\b24\s?/\s?7\b", "twenty-four seven"),
    _rule(
        rf"{_BEFORE}(?P<first>{_CLOCK})(?:{_DASH})(?P<second>\d{{1,2}}(?::\d{{2}})?\s?{_HALF}"
        r"|\d{1,2}:\d{2})(?![\w:])",
        _time_range,
        re.IGNORECASE,
    ),
    (_TIME, _time),
    _rule(
        rf"(?P<symbol>[$£€¥])(?P<first>{_NUMBER})(?:{_DASH})[$£€¥]?(?P<second>{_NUMBER}){_AFTER}",
        _money_range,
    ),
    _rule(
        rf"(?P<minus>[-−](?=[$£€¥]))?(?P<symbol>[$£€¥])\s?(?P<amount>{_NUMBER})"
        r"(?:\s?(?P<scale>million|billion|thousand|bn|k|K|m|M)\b)?",
        _money,
    ),
    _rule(
        rf"{_BEFORE}(?P<amount>{_NUMBER})\s?(?:USD|dollars?)\b", lambda m: money("$", m["amount"])
    ),
    _rule(rf"{_BEFORE}(?P<amount>\d+)\s?¢", lambda m: money("$", f"0.{int(m['amount']):02d}")),
    _rule(
        rf"(?<![\w.])(?P<minus>[-−])?(?P<amount>{_NUMBER})(?:(?:{_DASH})(?P<until>{_NUMBER}))?\s?%",
        _percent,
    ),
    _rule(
        r"(?<![\w.,-])(?:\+\d[\d\s().-]{6,18}\d|\(\d{3}\)\s?\d{3}[-.\s]\d{4}"
        r"|(?:1[-.\s])?\d{3}[-.\s]\d{3}[-.\s]\d{4}|555[-.]\d{4}|\d{3}-0\d{3}"
        r"|(?:(?<=call )|(?<=ring )|(?<=dial )|(?<=phone ))\d{3}[-.]\d{4}"
        r"|0\d{2,4}[-.\s]\d{3,4}(?:[-.\s]\d{2,4}){0,2}|\d{4}\s\d{4}\s\d{4}(?:\s\d{4})?"
        r"|0\d{6,13})(?![\w-])",
        _phone,
    ),
    _rule(
        rf"(?P<name>\b(?:{_NAMES})s?\s(?:(?:number|code|no\.?|id)\s)?(?:is\s)?(?:#\s?)?)"
        r"(?P<digits>\d{3,})(?![\w,.-]*\d|\s?%)",
        _named_number,
        re.IGNORECASE,
    ),
    _rule(r"\b(\d)'\s?(\d{1,2})\"", lambda m: f"{cardinal(m[1])} foot {cardinal(m[2])}"),
    _rule(r"(?<!\w)#\s?(\d+)\b", lambda m: f"number {spell_groups(m[1])}"),
    _rule(r"(?<!\w)#(?=[A-Za-z]+-?\d)", ""),
    _rule(
        rf"{_BEFORE}(?P<sizes>(?:{_NUMBER})(?:\s?(?:cm|mm|m|in|ft)?\s?[x×]\s?(?:{_NUMBER}))+)"
        rf"\s?(?P<unit>cm|mm|m|in|ft|inches)?(?!\w)",
        lambda m: _dimensions(m),
    ),
    _rule(r"\b(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1]))),
    _rule(
        rf"{_BEFORE}(?P<amount>{_NUMBER})(?:(?:{_DASH})(?P<until>{_NUMBER}))?(?P<gap>\s?)"
        rf"(?P<unit>{_UNIT})(?![\w/²])",
        _measure,
    ),
    _rule(rf"{_BEFORE}({_NUMBER})-(?=[a-z]{{2,}}\b)", lambda m: f"{cardinal(m[1])} "),
    _rule(
        r"\b([A-Za-z]*[a-z]{2}[A-Za-z]*)-?(\d{1,4})\b(?!-)", lambda m: f"{m[1]} {cardinal(m[2])}"
    ),
    _rule(
        r"\b(?=[A-Za-z\d-]*\d)(?=[A-Za-z\d-]*[A-Za-z])[A-Za-z\d]+(?:-[A-Za-z\d]+)*\b", _code
    ),
    _rule(r"(?:(?P<whole>\d+)\s?)?(?P<part>[½¼¾⅓⅔])", _fraction),
    _rule(r"(?<![\d/])(?:(?P<whole>\d+)\s)?(?P<part>1/2|1/3|2/3|1/4|3/4)(?![\d/])", _fraction),
    _rule(r"\b\d+(?:\.\d+){2,}\b", _version),
    _rule(rf"{_BEFORE}({_NUMBER})(?:{_DASH})({_NUMBER}){_AFTER}", _number_range),
    _rule(r"\b\d+(?:-\d+)+\b", _code),
    _rule(
        r"(?P<before>\b(?:[Ii]n|[Ss]ince|[Bb]y|[Uu]ntil|[Dd]uring|[Ff]rom|[Yy]ear)\s)"
        r"(?P<year>(?:19|20)\d{2})(?!\w|[.,]\d)(?!\s(?:to|dollars|people|items|orders|points))",
        _year,
    ),
    _rule(
        r"(?<![\w.])(?:" + "|".join(
            re.escape(short) for short in sorted(_ABBREVIATIONS, key=len, reverse=True)
        ) + r")(?!\w)",
        _abbreviation,
    ),
    _rule(r"\b(?P<saint>St\.\s(?=[A-Z]))|\b(?P<name>[A-Z]\w+)\sSt\.(?!\w)", _street),
    _rule(r"[~≈]\s?(?=\d)", "about "),
    _rule(r"(?<=\d)\+(?!\w)", " or more"),
    _rule(r"≥\s?|>=\s?", "at least "),
    _rule(r"≤\s?|<=\s?", "at most "),
    _rule(r"\band/or\b", "and or"),
    _rule(r"(?<=[a-z])\s?/\s?(?=(?:day|week|month|year|hour|item|order|person)\b)", " per "),
    _rule(r"(?<=[A-Za-z])/(?=[A-Za-z])", " or "),
    _rule(
        rf"(?P<minus>(?<![\w.)-])[-−](?=\d))?(?P<digits>{_NUMBER})", _cardinal
    ),
)  # fmt: skip


_LEFT_OVER = {
    "&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent", "$": " dollars ",
    "£": " pounds ", "€": " euros ", "°": " degrees ", "™": "", "®": "", "©": "",
}  # fmt: skip


def _tidy(text: str) -> str:
    """Punctuation a synthesiser understands, single spaces, nothing unsayable."""
    text = re.sub(r"[&@+=%$£€°™®©]", lambda match: _LEFT_OVER[match.group()], text)
    text = re.sub(r"\s*[([{]\s*", ", ", text)
    text = re.sub(r"\s*[)\]}]", ",", text)
    text = re.sub(r"\s[–—-]+\s|[–—]|--+", ", ", text)
    text = re.sub(r"\.{2,}", ".", text)
    # letters of any script stay; symbols, emoji and markup do not
    text = re.sub(r"[^\w\s.,;:!?'-]|_", " ", text)
    text = re.sub(r"(?<!\w)[-']+|[-']+(?!\w)(?<!s')", " ", text)
    text = re.sub(r"\s+([.,;:!?])", r"\1", text)
    text = re.sub(r"[,;:]+(?=\s*[.!?])", "", text)
    text = re.sub(r"([,;:])(?:\s*[,;:])+", r"\1", text)
    text = re.sub(r"([.!?])(?:\s*[.,;:])+", r"\1", text)
    text = " ".join(text.split()).lstrip(",;:. ")
    return text if re.search(r"\w", text) else ""
