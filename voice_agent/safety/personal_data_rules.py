"""Personal data with a form of its own, found by rules: numbers, addresses of the net, codes. Pure.

Fast enough for every utterance of a live call and every line of a log (well under a millisecond),
so it is what stands between a caller's card number and a prompt, a log or a transcript. Names are
found by `personal_data_names` and `personal_data`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Match

from voice_agent.safety.personal_data_kinds import Finding, Kind, without_overlaps
from voice_agent.safety.spoken_forms import written

_FLAGS = re.IGNORECASE
_BEFORE_CHARS = 48
"""How far before a number the word that says what it is may stand."""

_DIGIT_RUN = re.compile(r"(?<![\w.,])\d(?:[ \-.]{0,2}\d){5,18}(?![\w])")
_GROUPS = re.compile(r"(?<![\w.,])\d{2,}(?:[ ,\-]{1,3}\d{2,})+(?![\w.])")
"""Digits as somebody reads them out, with a breath between groups: "4111, 1111, 1111"."""
_CARD_WORDS = re.compile(
    r"\b(card|visa|master ?card|amex|american express|maestro|credit|debit|atm)\b", _FLAGS
)
_ID_WORDS = re.compile(
    r"\b(social( security)?|ssn|national (insurance|id|identity)|nino|tax(payer)? (id|number)|itin|"
    r"nhs|passport|identity (card|number)|id (card|number))\b",
    _FLAGS,
)
_LICENCE_WORDS = re.compile(
    r"\b(driv(er|ing|er'?s)'?s? licen[cs]e|licen[cs]e (number|no))\b", _FLAGS
)
_ACCOUNT_WORDS = re.compile(
    r"\b(account (number|no)|bank account|sort code|routing( number)?|iban)\b", _FLAGS
)
_PHONE_WORDS = re.compile(
    r"\b(phone|telephone|mobile|cell|call|ring|reach|text|fax|office|contact|number to)\b", _FLAGS
)
_ORDER_WORDS = re.compile(
    r"\b(order|reference|tracking|ticket|booking|invoice|receipt|parcel|confirmation|case|product|"
    r"model|serial|item|article|policy)\b",
    _FLAGS,
)

_SSN = re.compile(r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])")
_NINO = re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", _FLAGS)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,4})?\b", _FLAGS)
_EMAIL = re.compile(r"[\w.+%-]+@(?:[\w-]+\.)+[^\W\d_]{2,}")
_WEB = re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"']+", _FLAGS)
_IPV4 = re.compile(
    r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.]*\d)"
)
_IPV6 = re.compile(r"(?<![\w:])(?:[\da-f]{1,4}:){3,7}(?::?[\da-f]{1,4}){1,4}(?![\w:])", _FLAGS)
_PHONE = re.compile(
    r"(?<![\w/-])(?:\+|00)?\(?\d[\d()]*(?:[ .\-/()]{1,2}[\d()]+){1,6}"
    r"(?:\s?(?:x|ext\.?|extension)\s?\d{1,6})?(?![\w/])",
    _FLAGS,
)
_WHOLE_PHONE = re.compile(r"(?<![\w.,-])(?:\+\d{8,15}|0\d{9,10})(?![\w-])")
_DATE_LIKE = re.compile(
    r"(?:19|20)\d\d-\d\d?-\d\d?(?:[ T]\d\d)?|\d\d?[/.-]\d\d?[/.-](?:\d{4}|\d\d)"
)
_LICENCE = re.compile(
    r"\blicen[cs]e(?:\s+(?:number|no\.?))?(?:\s+is|:)?\s+([A-Z]?\d[\dA-Z-]{4,15})\b", _FLAGS
)
_PASSPORT = re.compile(
    r"\bpassport(?:\s+(?:number|no\.?))?(?:\s+is|:)?\s+([A-Z]{0,2}\d{6,9})\b", _FLAGS
)
_SECRET = re.compile(
    r"\b(?:pass ?words?|pass ?code|pass ?phrase|pin(?: (?:code|number))?|cvv|cvc|security code|"
    r"access code|memorable word)\b(?:\s+(?:is|was|are|will be)\b|\s*[:=])\s*(?:\"|')?"
    r"(?!(?:not|wrong|too|very|my|your|the|a|an|reset|locked|expired|incorrect|invalid|required)\b)"
    r"([^\s,;\"']+)",
    _FLAGS,
)


def find_identifiers(text: str) -> list[Finding]:
    """Everything with a form of its own, written or spoken; in order, without overlaps."""
    found = list(_find(text))
    form = written(text)
    if form is not None:
        for one in _find(form.text):
            start, end = form.said(one.start, one.end)
            found.append(Finding(one.kind, start, end, one.score))
    return without_overlaps(found)


def _find(text: str) -> Iterator[Finding]:
    for kind, pattern in (
        (Kind.EMAIL, _EMAIL),
        (Kind.WEB, _WEB),
        (Kind.NETWORK, _IPV4),
        (Kind.NETWORK, _IPV6),
        (Kind.NATIONAL_ID, _SSN),
        (Kind.NATIONAL_ID, _NINO),
    ):
        for match in pattern.finditer(text):
            yield Finding(kind, *match.span(), 0.98)
    for match in _IBAN.finditer(text):
        if _is_iban(match.group()) or _said_before(_ACCOUNT_WORDS, text, match):
            yield Finding(Kind.ACCOUNT, *match.span(), 0.99)
    for kind, pattern in (
        (Kind.LICENCE, _LICENCE),
        (Kind.NATIONAL_ID, _PASSPORT),
        (Kind.SECRET, _SECRET),
    ):
        for match in pattern.finditer(text):
            yield Finding(kind, *match.span(1), 0.95)
    for match in _DIGIT_RUN.finditer(text):
        kind_score = _kind_of_number(text, match)
        if kind_score is not None:
            yield Finding(kind_score[0], *match.span(), kind_score[1])
    for match in _GROUPS.finditer(text):
        card_said = _said_before(_CARD_WORDS, text, match)
        enough = 8 <= len(re.sub(r"\D", "", match.group())) <= 19
        if card_said and enough and not _said_before(_ORDER_WORDS, text, match):
            yield Finding(Kind.CARD, *match.span(), 0.9)
    yield from _phones(text)


def _kind_of_number(text: str, match: Match[str]) -> tuple[Kind, float] | None:
    digits = re.sub(r"\D", "", match.group())
    if _said_before(_ID_WORDS, text, match) and 7 <= len(digits) <= 12:
        return Kind.NATIONAL_ID, 0.97
    card_said = _said_before(_CARD_WORDS, text, match)
    ordered = _said_before(_ORDER_WORDS, text, match)
    if 12 <= len(digits) <= 19 and (card_said or passes_luhn(digits)) and not _dated(match):
        return Kind.CARD, 0.99 if card_said else 0.97
    if card_said and len(digits) >= 8 and not ordered:
        return Kind.CARD, 0.9  # a part of one: the rest comes with the next breath
    if _said_before(_ACCOUNT_WORDS, text, match):
        return Kind.ACCOUNT, 0.9
    if _said_before(_LICENCE_WORDS, text, match):
        return Kind.LICENCE, 0.9
    if _said_before(_PHONE_WORDS, text, match) and 7 <= len(digits) <= 15 and not ordered:
        return Kind.PHONE, 0.8
    return None


def _phones(text: str) -> Iterator[Finding]:
    for match in _WHOLE_PHONE.finditer(text):
        if not _said_before(_ORDER_WORDS, text, match):
            yield Finding(Kind.PHONE, *match.span(), 0.85)
    for match in _PHONE.finditer(text):
        said = match.group()
        digits = re.sub(r"\D", "", re.split(r"x|ext", said, flags=_FLAGS)[0])
        if not 7 <= len(digits) <= 15 or _DATE_LIKE.fullmatch(said.strip()):
            continue
        if _said_before(_ORDER_WORDS, text, match):
            continue
        yield Finding(Kind.PHONE, *match.span(), 0.8)


def _dated(match: Match[str]) -> bool:
    return bool(re.match(r"(?:19|20)\d\d-\d\d-\d\d", match.group()))


def _said_before(words: re.Pattern[str], text: str, match: Match[str]) -> bool:
    """Whether one of these words stands shortly before the match, in the same sentence."""
    before = re.split(r"[.?!]\s", text[max(0, match.start() - _BEFORE_CHARS) : match.start()])[-1]
    return bool(words.search(before))


def is_card_number(digits: str) -> bool:
    """Whether keyed digits are, or are almost, a card's: nothing else that is keyed is so long."""
    return digits.isdecimal() and 13 <= len(digits) <= 19


def passes_luhn(digits: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616: the number modulo 97 is 1)."""
    compact = text.replace(" ", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1
