"""Names, addresses, ages and dates by how they are written and what stands before them. Pure.

A named-entity model knows what it has seen; a caller's street or surname it often has not. What it
misses still begins with a capital letter in the middle of a sentence, so that alone is taken as a
name here, less surely. Words that the company's own documents use are no one's name (``spared``).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from voice_agent.safety.personal_data_kinds import Finding, Kind

_FLAGS = re.IGNORECASE
_MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_DATES = re.compile(
    r"\b(?:(?:19|20)\d\d-\d\d?-\d\d?(?:[ T]\d\d?:\d\d(?::\d\d)?)?"
    r"|\d\d?[/.-]\d\d?[/.-](?:\d{4}|\d\d)\b"
    rf"|(?:the )?\d\d?(?:st|nd|rd|th)?(?: of)? {_MONTHS}\b(?:,? (?:19|20)\d\d)?"
    rf"|{_MONTHS} (?:the )?\d\d?(?:st|nd|rd|th)?\b(?:,? (?:19|20)\d\d)?"
    rf"|{_DAYS}"
    r"|(?:19[2-9]|20[0-4])\d)\b",
    _FLAGS,
)
_BIRTH_WORDS = re.compile(r"\b(birth|born|birthday|dob)\b", _FLAGS)
_AGES = re.compile(
    r"\b(\d{1,3})(?=[- ]?(?:years?|yrs?)[- ]old\b|[- ]?y/?o\b)"
    r"|\b(?:aged?(?: of)?|turn(?:s|ed|ing)?|years of age|(?:i'm|i am|he's|she's|he is|she is)"
    r"(?: now| just)?) (\d{1,3})\b(?!\s*(?:%|percent|minutes|hours|days|weeks|months|miles|km|"
    r"euros?|dollars?|pounds?|[.:,]\d))",
    _FLAGS,
)
_TITLES = re.compile(r"\b(?:mr|mrs|ms|miss|mx|dr|prof|sir|rev)\b\.?|\bprofessor\b", _FLAGS)
_JOB = re.compile(
    r"\b(?:work(?:s|ed|ing)?|job|employed|hired|career|position|retired|trained|started)\b"
    r"[^.!?]{0,40}?\bas (?:an? |the )?([a-z][\w-]*(?:,? (?!but\b|so\b|at\b|in\b|for\b|when\b"
    r"|until\b)"
    r"[\w-]+){0,6})",
    _FLAGS,
)
_POST_CODES = re.compile(
    r"\b(?i:zip|post(?:al)?)[ -]?(?i:codes?)?(?: (?:is|was|now|number))*:? "
    r"([A-Z\d]{2,8}(?:[ -][A-Z\d]{2,4})?)\b"
    r"|\b([A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b"
    r"|\b([A-Z]\d[A-Z] ?\d[A-Z]\d)\b"
    r"|\b(\d{4} ?[A-Z]{2})\b(?!\w)",
)
_STREET = (
    r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|close|square|sq|"
    r"terrace|way|place|pl|crescent|grove|gardens|hill|row|mews|walk|parkway|highway)"
)
_STREETS = re.compile(
    rf"\b\d{{1,5}}[a-z]?,? (?:[a-z'-]+ ){{1,3}}{_STREET}\b\.?"
    rf"(?:,? (?:apartment|apt|flat|suite|unit)\.? \w+)?",
    _FLAGS,
)
_SAID_NAME = re.compile(
    r"\b(?:(?:my|his|her|their|the) (?:full |first |last |sur|family |maiden "
    r"|middle )?name(?:'s| is)"
    r"|name of|name\?|(?:this is|i'm|i am) (?:called |named )?(?:mr|mrs|ms|miss|dr)\.?"
    r"|(?:is|was|are|am|'m) (?:called|named)"
    r"|(?:it's|speaking with|speak to|talk to|ask for) (?:mr|mrs|ms|miss|dr)\.?)"
    r"[:,]? ([^\W\d_][\w'’-]+(?: (?!and\b|but\b|from\b|i\b|my\b|is\b|it\b|on\b|at\b|the\b"
    r"|not\b|wrong\b)"
    r"[^\W\d_][\w'’-]+){0,2})",
    _FLAGS,
)
_NO_NAME = frozenset(
    "not wrong misspelled on in under the a an my your correct incorrect different there here "
    "still "
    "just so really very going calling trying looking having".split()
)
_TOKEN = re.compile(r"[^\W_][\w'’.-]*[\w.]|[^\W_]|&")
_LINKS = frozenset(
    "de des du la le les el del di da dos van von der den ter ten af av y e i u and of the "
    "&".split()
)
_UNITS = frozenset(
    "apt apartment suite unit flat box psc apo fpo str street rue ul u. ul. via corner "
    "floor".split()
)
_NEVER = frozenset(
    "i i'm i'd i'll i've ok okay bot user agent customer caller a an the this that these those "
    "what "
    "who when where why how which and or but if in on at to for from with by of is are was were be "
    "do does did can could would will shall should may might must have has had not no yes please "
    "thanks thank hello hi hey sorry my your his her their our its it he she they we you me "
    "him them "
    "us tv atm pin id usb faq pdf url vat cd dvd gps mr mrs ms miss dr prof am pm".split()
)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int

    @property
    def low(self) -> str:
        return self.text.rstrip(".").lower()


def find_names(text: str, spared: Container[str] = ()) -> list[Finding]:
    """Names and what goes with them; findings may overlap. ``spared``: lower-case words."""
    return [*_by_form(text), *_chains(text, spared)]


def _by_form(text: str) -> Iterator[Finding]:
    for match in _DATES.finditer(text):
        before = text[max(0, match.start() - 40) : match.start()]
        born = _BIRTH_WORDS.search(before) is not None
        yield Finding(Kind.BIRTH if born else Kind.DATE, *match.span(), 0.9 if born else 0.6)
    for kind, pattern, score in (
        (Kind.AGE, _AGES, 0.8),
        (Kind.ADDRESS, _POST_CODES, 0.7),
        (Kind.TITLE, _JOB, 0.5),
        (Kind.PERSON, _SAID_NAME, 0.9),
    ):
        for match in pattern.finditer(text):
            group = match.lastindex or 0
            words = match.group(group).lower().split()
            if kind is Kind.PERSON and words[0] in _NO_NAME:
                continue
            yield Finding(kind, *match.span(group), score)
    for match in _TITLES.finditer(text):
        yield Finding(Kind.TITLE, *match.span(), 0.7)
    for match in _STREETS.finditer(text):
        yield Finding(Kind.ADDRESS, *match.span(), 0.85)


def _chains(text: str, spared: Container[str]) -> Iterator[Finding]:
    """Runs of capitalised words and numbers: names, or addresses when a number is among them."""
    run: list[_Word] = []
    for match in _TOKEN.finditer(text):
        word = _Word(match.group(), *match.span())
        if run and not _continues(text[run[-1].end : word.start], run[-1]):
            yield from _chain(text, run, spared)
            run = []
        if _chained(word) or (run and word.low in _LINKS):
            run.append(word)
        elif run:
            yield from _chain(text, run, spared)
            run = []
    if run:
        yield from _chain(text, run, spared)


def _continues(gap: str, last: _Word) -> bool:
    if last.text.endswith((".", "?", "!")) and "\n" not in gap and last.low not in _UNITS:
        return len(last.text) <= 2
    return re.fullmatch(r"[ \t]*[,(]?[ \t]*\n?[ \t>]*[,(]?[ \t]*", gap) is not None


def _chained(word: _Word) -> bool:
    return _capital(word) or word.text[0].isdigit() or word.low in _UNITS


def _capital(word: _Word) -> bool:
    return word.text[0].isupper() and word.low not in _NEVER


def _chain(text: str, run: Sequence[_Word], spared: Container[str]) -> Iterator[Finding]:
    words = list(run)
    while words and words[-1].low in _LINKS:
        words.pop()
    if not words:
        return
    numbers = [word for word in words if word.text[0].isdigit()]
    capitals = [word for word in words if _capital(word) and len(word.low) > 1]
    units = [word for word in words if word.low in _UNITS]
    if numbers and (capitals or units) and _house_like(numbers):
        yield Finding(Kind.ADDRESS, words[0].start, words[-1].end, 0.45)
        return
    names: list[_Word] = []
    for word in [*words, _Word("", 0, 0)]:
        part = word.text and (_capital(word) or (names and word.low in _LINKS))
        if part and word.low not in spared:
            names.append(word)
            continue
        while names and names[-1].low in _LINKS:
            names.pop()
        if names and not _opens(text, names):
            yield Finding(Kind.NAME, names[0].start, names[-1].end, 0.4)
        names = []


def _house_like(numbers: Sequence[_Word]) -> bool:
    """Whether the numbers are such as houses and post codes have."""
    return all(len(re.sub(r"\D", "", word.text)) <= 6 for word in numbers)


def _opens(text: str, names: Sequence[_Word]) -> bool:
    """Whether these words are capitals only because a sentence begins with them."""
    if len(names) > 1 or text[names[0].end : names[0].end + 1] == ":":
        return False
    before = text[: names[0].start].rstrip(" \t\"'“‘([>-")
    if not before or before.endswith("\n"):
        return names[0].text[0].isascii() and not names[0].text[1:].isupper()
    return before[-1] in ".?!:" and names[0].text[0].isascii()
