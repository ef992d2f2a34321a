"""Which part of an HTML page is its content: navigation, banners and footers are taken off."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

_LANDMARKS = ("//main", "//*[@role='main']", "//article", "//*[@itemprop='articleBody']")
_ENOUGH = 0.25  # of the page's text: a landmark with less is a teaser
_FRAME_TAGS = frozenset(("nav", "footer", "aside", "menu"))
_FRAME_ROLES = frozenset(
    "navigation banner contentinfo complementary search dialog alertdialog menu menubar".split()
)
_FRAME_WORDS = frozenset(
    "cookie cookies consent gdpr breadcrumb breadcrumbs newsletter subscribe social share sharing "
    "sidebar navbar nav navigation menu footer pagination skip skiplink advert advertisement "
    "banner related popup modal toolbar masthead sitefooter siteheader".split()
)
_WORD = re.compile(r"[a-z]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MAX_SHARE = 0.5  # a frame holds less of the page than this; else a name deceives
_LIST_OF_LINKS = 0.75
_FEWEST_LINKS = 4
_LONGEST_LABEL = 40


def content_of(page: HtmlElement) -> HtmlElement:
    """The element that holds the page's content, without the frame around and inside it."""
    body = page.find("body")
    whole = page if body is None else body
    root = _landmark(whole)
    size = max(1, len(_text(root)))
    for element in list(root.iterdescendants()):
        if not isinstance(element.tag, str) or element.getparent() is None:
            continue
        framed = _is_frame(element, in_landmark=root is not whole)
        if not framed and root is whole:
            framed = _is_list_of_links(element)
        if framed and len(_text(element)) < _MAX_SHARE * size:
            element.drop_tree()
    return root


def _landmark(whole: HtmlElement) -> HtmlElement:
    """The one landmark that holds enough of the page, or the page."""
    size = len(_text(whole))
    for path in _LANDMARKS:
        found = whole.xpath(f".{path}")
        if len(found) == 1 and len(_text(found[0])) >= _ENOUGH * size:
            landmark: HtmlElement = found[0]
            return landmark
    return whole


def _is_frame(element: HtmlElement, in_landmark: bool) -> bool:
    if element.tag in _FRAME_TAGS or (element.get("role") or "").lower() in _FRAME_ROLES:
        return True
    if element.tag == "header" and not in_landmark and element.getparent().tag != "article":
        return not element.xpath(".//h1")
    if element.tag in ("h1", "h2", "h3", "h4", "h5", "h6", "p", "a", "li", "td", "th"):
        return False
    named = _CAMEL.sub(" ", f"{element.get('class') or ''} {element.get('id') or ''}")
    return not _FRAME_WORDS.isdisjoint(_WORD.findall(named.lower()))


def _is_list_of_links(element: HtmlElement) -> bool:
    """Many short links and hardly anything else."""
    if element.tag not in ("ul", "ol", "div", "section", "table"):
        return False
    links = [_text(link) for link in element.iter("a")]
    labels = [label for label in links if label]
    if len(labels) < _FEWEST_LINKS or max(map(len, labels)) > _LONGEST_LABEL:
        return False
    return sum(map(len, labels)) >= _LIST_OF_LINKS * len(_text(element))


def _text(element: HtmlElement) -> str:
    return " ".join(str(element.text_content()).split())
