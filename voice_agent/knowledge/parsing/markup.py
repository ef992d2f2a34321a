"""Markdown or plain text with HTML in it, made into Markdown without any."""

from __future__ import annotations

import html
import re

from lxml import etree
from lxml.html import document_fromstring
from markdown_it import MarkdownIt

from voice_agent.knowledge.parsing.extracted import Unreadable
from voice_agent.knowledge.parsing.html import markdown_of, seen_part_of

_TAG = re.compile(r"<(?:!--|/?[A-Za-z][A-Za-z0-9-]*(?=[\s/>]))")
_ENTITY = re.compile(r"&(?:#\d{2,6}|#x[0-9a-fA-F]{2,5}|[A-Za-z]{2,8});")


def has_markup(text: str) -> bool:
    """Whether a text has HTML tags or comments in it."""
    return _TAG.search(text) is not None


def without_entities(text: str) -> str:
    """A text with its character entities as characters."""
    return html.unescape(text) if _ENTITY.search(text) else text


def read_markup(content: bytes, markdown: bool) -> str:
    """Markdown of a text (UTF-8) with HTML in it; what HTML hides is left out.

    Args:
        content: the text.
        markdown: whether it is Markdown around its HTML; line ends are breaks where it is not.

    Raises:
        Unreadable: nested too deeply.
    """
    text = content.decode("utf-8")
    if markdown:
        text = MarkdownIt("commonmark").enable("table").render(text)
    elif not re.search(r"<(?:p|div|br|li|td|h[1-6])\b", text, re.IGNORECASE):
        text = "".join(f"<p>{block}</p>" for block in re.split(r"\n\s*\n", text))
    try:
        page = document_fromstring(f"<html><body>{text}</body></html>")
    except (etree.ParserError, ValueError) as error:
        raise Unreadable("empty") from error
    return markdown_of(seen_part_of(page))
