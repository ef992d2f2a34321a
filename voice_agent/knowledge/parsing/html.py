"""HTML to Markdown: what a reader sees of the page's content, and nothing else."""

from __future__ import annotations

import re

import markdownify
from bs4 import BeautifulSoup
from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring, tostring

from voice_agent.knowledge.parsing.boilerplate import content_of
from voice_agent.knowledge.parsing.decoding import NotText, decode
from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.visibility import TooManyRules, remove_unseen

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_SITE_NAME = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]{1,60}$")
_BLANK_LINES = re.compile(r"\n{3,}")
_LINE_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)
_LAYOUT = "table[@role='presentation' or @role='none' or .//table or .//h1 or .//h2 or .//h3]"
_TABLE_PARTS = frozenset(("table", "thead", "tbody", "tfoot", "tr", "td", "th"))


def read_html(content: bytes, charset: str = "") -> Extracted:
    """The content of a page as Markdown; what cannot be seen and what frames it is left out.

    Raises:
        Unreadable: not text, or nested so deeply that a part of it would be lost.
    """
    page = _parsed(content, charset)
    language = page.get("lang") or page.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    declared = _declared_title(page)
    root = content_of(seen_part_of(page))
    headings = root.xpath(".//h1[normalize-space()]")
    title = " ".join(headings[0].text_content().split()) if len(headings) == 1 else ""
    return Extracted(markdown_of(root), title or declared, language)


def seen_part_of(page: HtmlElement) -> HtmlElement:
    """The page, changed in place, without what a reader of it cannot see.

    Raises:
        Unreadable: nobody can tell in time what is seen.
    """
    try:
        remove_unseen(page)
    except TooManyRules as error:
        raise Unreadable("its style sheets are too large to tell what is seen") from error
    return page


def markdown_of(root: HtmlElement) -> str:
    """An element as Markdown: headings, lists and tables stay; links and pictures lose theirs."""
    for table in root.xpath(f".//{_LAYOUT}"):
        for part in [table, *table.iterdescendants(*_TABLE_PARTS)]:
            part.tag = "div"
    for summary in root.iter("summary"):
        summary.tag = "p"
    soup = BeautifulSoup(tostring(root, encoding="unicode"), "lxml")
    text = markdownify.MarkdownConverter(
        heading_style=markdownify.ATX,
        bullets="-",
        strip=["a", "img"],
        escape_misc=True,
        table_infer_header=True,
    ).convert_soup(soup)
    return _BLANK_LINES.sub("\n\n", _LINE_ENDS.sub("", str(text))).strip()


def _parsed(content: bytes, charset: str) -> HtmlElement:
    found = _META_CHARSET.search(content[:4096])
    try:
        text = decode(content, charset or (found[1].decode("ascii") if found else ""))
    except NotText as error:
        raise Unreadable(str(error)) from error
    parser = HTMLParser(remove_comments=True, remove_pis=True, huge_tree=False)
    try:
        page: HtmlElement = document_fromstring(_XML_DECLARATION.sub("", text), parser=parser)
    except (etree.ParserError, ValueError) as error:
        raise Unreadable("empty") from error
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise Unreadable("nested so deeply that a part of it would be lost")
    return page


def _declared_title(page: HtmlElement) -> str:
    for path in ("//meta[@property='og:title']/@content", "//head/title/text()"):
        for value in page.xpath(path):
            title = " ".join(str(value).split())
            if title:
                return _SITE_NAME.sub("", title) or title
    return ""
