"""Takes out of an HTML page what its reader cannot see, so that it never reaches a caller.

Orders to a language model hide in such text: behind `display: none`, `hidden`, `aria-hidden`, in
the colour of the background, in a font of no size, beside the page. Inline styles and the page's
own style sheets are looked at (tinycss2, cssselect); sheets in other files are not fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import tinycss2
import tinycss2.color3
from cssselect import SelectorError
from lxml import etree
from lxml.cssselect import CSSSelector
from lxml.html import HtmlElement

_NEVER_SHOWN = frozenset(
    "script style noscript template iframe object embed applet svg canvas audio video map head "
    "datalist select option textarea input button progress meter param source track".split()
)
_SCREEN = frozenset(("", "all", "screen"))
_TINY_PX = 2.0
_TINY_SHARE = 0.15  # of the size around it
_FAINT = 0.1
_FAR_PX = -500.0
_SAME_COLOUR = 0.06  # the largest channel difference that still reads as one colour
_LENGTH = re.compile(r"^(-?\d*\.?\d+)(px|pt|em|rem|ex|ch|vw|vh|%)?$")
_NOTHING_CLIPPED_TO = re.compile(r"rect\((?:[01](?:px)?[\s,]*){4}\)|inset\((?:50|100)%\)|circle\(0")
_HIDING = frozenset(
    "display content-visibility visibility opacity clip clip-path transform text-indent left right "
    "top bottom margin-left margin-top overflow width height max-width max-height color background "
    "background-color font-size".split()
)
_MAX_RULES = 2_000  # each is looked for in the whole page; large style frameworks have hundreds
_TAKEN_OUT = re.compile(r"(?:^|[\s(])(?:scale[xy3d]*\(0[,)\s]|translate[xy3d]*\(-\d{3,})")

Declarations = dict[str, str]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Look:
    """How the text inside an element looks; children inherit it."""

    colour: Colour = (0.0, 0.0, 0.0)
    background: Colour = (1.0, 1.0, 1.0)
    unseen: bool = False
    tiny: bool = False

    @property
    def readable(self) -> bool:
        same = all(
            abs(ink - paper) <= _SAME_COLOUR
            for ink, paper in zip(self.colour, self.background, strict=True)
        )
        return not (self.unseen or self.tiny or same)


class TooManyRules(Exception):
    """A page with so many style rules that nobody can say in time what of it is seen."""


def remove_unseen(page: HtmlElement) -> None:
    """Remove, in place, every element and every text that a reader of the page cannot see.

    Raises:
        TooManyRules: nothing has been removed.
    """
    sheet = _sheet_declarations(page)
    waiting: list[tuple[HtmlElement, _Look]] = [(page, _Look())]
    while waiting:
        element, around = waiting.pop()
        declared = {**sheet.get(element, {}), **_declarations(element.get("style", ""))}
        if _not_shown(element, declared):
            if element is not page:
                _drop(element)
            continue
        look = _look(element, declared, around)
        if not look.readable:
            element.text = None
        for child in list(element):
            if not isinstance(child.tag, str):
                _drop(child)
                continue
            if not look.readable:
                child.tail = None
            waiting.append((child, look))


def _drop(element: HtmlElement) -> None:
    """Remove an element; the text after it is its parent's and stays."""
    parent = element.getparent()
    before = element.getprevious()
    if element.tail:
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
        element.tail = None
    parent.remove(element)


def _not_shown(element: HtmlElement, declared: Declarations) -> bool:
    """Whether an element and everything in it is out of sight, whatever its children say."""
    if element.tag in _NEVER_SHOWN:
        return True
    if element.tag == "dialog" and element.get("open") is None:
        return True
    hidden = element.get("hidden")
    if hidden is not None and hidden.lower() != "until-found":
        return True
    if (element.get("aria-hidden") or "").strip().lower() == "true":
        return True
    if declared.get("display") == "none" or declared.get("content-visibility") == "hidden":
        return True
    if (share := _number(declared.get("opacity"))) is not None and share < _FAINT:
        return True
    if _NOTHING_CLIPPED_TO.search(declared.get("clip", "") + " " + declared.get("clip-path", "")):
        return True
    if _TAKEN_OUT.search(declared.get("transform", "")):
        return True
    away = ("text-indent", "left", "right", "top", "bottom", "margin-left", "margin-top")
    if any((_pixels(declared.get(name)) or 0.0) <= _FAR_PX for name in away):
        return True
    cut = "hidden" in declared.get("overflow", "") or "clip" in declared.get("overflow", "")
    sizes = ("width", "height", "max-width", "max-height")
    return cut and any(0 <= _pixels(declared.get(name), none=9.0) <= 1 for name in sizes)


def _look(element: HtmlElement, declared: Declarations, around: _Look) -> _Look:
    look = around
    ink = declared.get("color") or element.get("color") or ""
    colour = _colour(ink)
    if colour is not None:
        faint = colour[3] < _FAINT
        look = replace(look, unseen=True) if faint else replace(look, colour=colour[:3])
    paper = declared.get("background-color") or declared.get("background") or ""
    for token in paper.split() or [element.get("bgcolor") or ""]:
        shade = _colour(token)
        if shade is not None and shade[3] >= _FAINT:
            look = replace(look, background=shade[:3])
    visibility = declared.get("visibility")
    if visibility:
        look = replace(look, unseen=visibility in ("hidden", "collapse"))
    if "font-size" in declared:
        look = replace(look, tiny=_tiny(declared["font-size"], around.tiny))
    return look


def _tiny(size: str, around: bool) -> bool:
    match = _LENGTH.match(size)
    if match is None:
        return around and size in ("inherit", "smaller", "larger", "unset")
    value, unit = float(match[1]), match[2] or "px"
    if unit in ("em", "%", "ex", "ch"):
        share = value / 100 if unit == "%" else value
        return around or share < _TINY_SHARE
    if unit in ("rem", "vw", "vh"):
        return value < _TINY_SHARE
    return value < _TINY_PX


def _number(text: str | None) -> float | None:
    try:
        return float(text.rstrip("%")) / (100 if text.endswith("%") else 1) if text else None
    except ValueError:
        return None


def _pixels(text: str | None, none: float = 0.0) -> float:
    """A length in CSS pixels, roughly: font-relative ones at 16 px. `none` when it is not one."""
    match = _LENGTH.match(text or "")
    if match is None:
        return none
    scale = {"px": 1.0, "pt": 4 / 3, "%": 10.0}.get(match[2] or "px", 16.0)
    return float(match[1]) * scale


def _colour(text: str) -> tuple[float, float, float, float] | None:
    """Red, green, blue and opacity, each 0 to 1; None when the text is no plain colour."""
    parsed = tinycss2.color3.parse_color(text) if text else None
    if parsed is None or isinstance(parsed, str):
        return None
    red, green, blue, alpha = parsed
    return red, green, blue, alpha


def _declarations(style: str) -> Declarations:
    if not style:
        return {}
    return _by_name(tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True))


def _by_name(nodes: Iterable[object]) -> Declarations:
    return {
        node.lower_name: tinycss2.serialize(node.value).replace("!important", "").strip().lower()
        for node in nodes
        if isinstance(node, tinycss2.ast.Declaration)
    }


def _sheet_declarations(page: HtmlElement) -> dict[HtmlElement, Declarations]:
    """What the page's own style sheets say of its elements, in their order."""
    rules: dict[tuple[str, str], Declarations] = {}
    for sheet in page.iter("style"):
        if (sheet.get("media") or "").strip().lower() in _SCREEN:
            for selector, declared in _rules(sheet.text or ""):
                rules[selector, str(sorted(declared.items()))] = declared
    if len(rules) > _MAX_RULES:
        raise TooManyRules
    found: dict[HtmlElement, Declarations] = {}
    for (selector, _), declared in rules.items():
        try:
            matching = CSSSelector(selector, translator="html")(page)
        except (SelectorError, etree.XPathError):
            continue
        for element in matching:
            found.setdefault(element, {}).update(declared)
    return found


def _rules(sheet: str) -> Iterator[tuple[str, Declarations]]:
    """Selectors with what they declare that can hide; rules for other media are left out."""
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        if rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content:
            if tinycss2.serialize(rule.prelude).strip().lower() in _SCREEN:
                yield from _rules(tinycss2.serialize(rule.content))
        elif rule.type == "qualified-rule":
            declared = _by_name(tinycss2.parse_blocks_contents(rule.content))
            if not _HIDING.isdisjoint(declared):
                yield tinycss2.serialize(rule.prelude).strip(), declared
