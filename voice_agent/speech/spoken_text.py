"""Written text as a person would say it: no digits, no symbols, no markup. Pure; English.

Rules run from the most specific to the most general, and each leaves only words behind, so a later
rule cannot take an earlier one's result apart.
"""

from __future__ import annotations

import re
from re import Match

from voice_agent.speech.markup import without_markup
from voice_agent.speech.spoken_amounts import AMOUNTS
from voice_agent.speech.spoken_dates import DATES_AND_TIMES
from voice_agent.speech.spoken_numbers import cardinal, spell_groups
from voice_agent.speech.spoken_rules import NUMBER, Rule, rule

_MAX_CHARACTERS = 4_000


def as_spoken(text: str) -> str:
    """``text`` (plain or Markdown) as words for the synthesiser; empty when nothing is sayable."""
    text = without_markup(text[:_MAX_CHARACTERS])
    for pattern, say in _RULES:
        text = pattern.sub(say, text)
    return _tidy(text)


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


_ADDRESSES: tuple[Rule, ...] = (
    rule(r"[\w.+%-]+@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+", lambda m: _address(m.group())),
    rule(
        r"\b(?:https?://|www\.)[^\s<>]+"
        r"|\b(?:[a-z\d-]+\.)+(?:com|org|net|io|co\.uk|uk|eu|de|example|shop|info|app)(?:/[^\s<>]*)?(?!\w)",
        _url,
        re.IGNORECASE,
    ),
)


# --- abbreviations ---------------------------------------------------------------------------

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


# --- what is left ----------------------------------------------------------------------------


def _cardinal(match: Match[str]) -> str:
    digits = match["digits"]
    long = digits.isdecimal() and len(digits) >= 7
    said = spell_groups(digits) if long else cardinal(digits)
    return f"minus {said}" if match["minus"] else said


_REST: tuple[Rule, ...] = (
    rule(
        r"(?<![\w.])(?:" + "|".join(
            re.escape(short) for short in sorted(_ABBREVIATIONS, key=len, reverse=True)
        ) + r")(?!\w)",
        _abbreviation,
    ),
    rule(r"\b(?P<saint>St\.\s(?=[A-Z]))|\b(?P<name>[A-Z]\w+)\sSt\.(?!\w)", _street),
    rule(r"[~≈]\s?(?=\d)", "about "),
    rule(r"(?<=\d)\+(?!\w)", " or more"),
    rule(r"≥\s?|>=\s?", "at least "),
    rule(r"≤\s?|<=\s?", "at most "),
    rule(r"\band/or\b", "and or"),
    rule(r"(?<=[a-z])\s?/\s?(?=(?:day|week|month|year|hour|item|order|person)\b)", " per "),
    rule(r"(?<=[A-Za-z])/(?=[A-Za-z])", " or "),
    rule(
        rf"(?P<minus>(?<![\w.)-])[-−](?=\d))?(?P<digits>{NUMBER})", _cardinal
    ),
)  # fmt: skip
_RULES = (*_ADDRESSES, *DATES_AND_TIMES, *AMOUNTS, *_REST)


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
