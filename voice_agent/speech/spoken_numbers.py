"""Numbers as a person says them: words from digits. Pure; American English."""

from __future__ import annotations

import re
from functools import lru_cache

from num2words import num2words

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_LARGEST_SAID_WHOLE = 15
"""Longer digit strings are spelled; nobody says them as a number."""


@lru_cache(maxsize=4096)
def cardinal(digits: str) -> str:
    """ "1,299" as "one thousand two hundred and ninety-nine", "4.95" as "four point nine five"."""
    plain = digits.replace(",", "")
    whole, _, fraction = plain.partition(".")
    if len(whole) > _LARGEST_SAID_WHOLE or (len(whole) > 1 and whole.startswith("0")):
        words = spell_digits(whole)
    else:
        words = str(num2words(int(whole or "0"))).replace(",", "")
    return f"{words} point {spell_digits(fraction)}" if fraction else words


@lru_cache(maxsize=512)
def ordinal(number: int) -> str:
    """21 as "twenty-first"."""
    return str(num2words(number, to="ordinal")).replace(",", "")


@lru_cache(maxsize=512)
def year(number: int) -> str:
    """2026 as "twenty twenty-six", 1905 as "nineteen oh-five"."""
    return str(num2words(number, to="year")).replace(",", "")


def spell_digits(digits: str) -> str:
    """ "0199" as "zero one nine nine"."""
    return " ".join(str(num2words(int(digit))) for digit in digits if digit.isdecimal())


def spell_groups(digits: str) -> str:
    """A long digit string in groups a listener can write down, with a pause between."""
    sizes = {7: (3, 4), 8: (4, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4)}.get(len(digits))
    if len(digits) <= 5:
        sizes = (len(digits),)
    if sizes is None:
        threes, rest = divmod(len(digits), 3)
        sizes = (3,) * threes + ((rest,) if rest else ())
        if rest == 1:
            sizes = (3,) * (threes - 1) + (2, 2)
    groups: list[str] = []
    at = 0
    for size in sizes:
        groups.append(spell_digits(digits[at : at + size]))
        at += size
    return ", ".join(groups)


def spell_letters(letters: str) -> str:
    """ "FH" as "F H". An A gets a comma, or the synthesiser takes it for the article."""
    return re.sub(r"A(?=.)", "A,", " ".join(letters.upper()))


def spell_code(code: str) -> str:
    """ "A-1042" as "A, one zero four two": letters and digits in turn, pauses between."""
    parts = re.findall(r"[A-Za-z]+|\d+", code)
    pause = " " if len(code) <= 2 else ", "
    return pause.join(
        spell_groups(part) if part.isdigit() else spell_letters(part) for part in parts
    )


def clock_time(hour: int, minute: int, half: str = "") -> str:
    """9, 5, "am" as "nine oh five AM"; without a half of the day, 17:00 is "five PM"."""
    if not half and (hour > 12 or hour == 0):
        half = "PM" if hour > 12 else "AM"
        hour = hour - 12 if hour > 12 else 12
    words = str(num2words(hour))
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{num2words(minute)}"
    elif not half:
        words += " o'clock"
    return f"{words} {half.upper().replace('.', '').replace(' ', '')}".strip()


def date(day: int, month: int, year_number: int | None = None) -> str:
    """21, 11, 2026 as "November twenty-first, twenty twenty-six"."""
    words = f"{MONTHS[month - 1]} {ordinal(day)}"
    return words if year_number is None else f"{words}, {year(year_number)}"


_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
}


def money(symbol: str, amount: str, scale: str = "") -> str:
    """ "$", "4.95" as "four dollars and ninety-five cents"; ``scale`` is "million" and the like."""
    one, many, small_one, small_many = _CURRENCIES[symbol]
    amount = amount.replace(",", "")
    if scale:
        return f"{cardinal(amount)} {scale} {many}"
    whole, _, fraction = amount.partition(".")
    if fraction and (len(fraction) != 2 or not small_one):
        return f"{cardinal(amount)} {many}"
    units, small = int(whole or "0"), int(fraction or "0")
    large = f"{cardinal(str(units))} {one if units == 1 else many}"
    if not small:
        return large
    coins = f"{cardinal(str(small))} {small_one if small == 1 else small_many}"
    return coins if not units else f"{large} and {coins}"
