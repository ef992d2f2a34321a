"""What RSS and Atom feeds and sitemaps list (pure)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urldefrag, urljoin

from lxml import etree

_MOST_UNPACKED = 60_000_000  # a sitemap may have 50 MB
_GZIP = b"\x1f\x8b"


class NotAListing(Exception):
    """The content is neither a feed nor a sitemap; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page that is listed. `modified_at` is Unix time, 0 unless told to the minute."""

    url: str
    modified_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """What one file lists. `complete`: a page that is not in it is gone, as in a sitemap."""

    pages: tuple[Listed, ...]
    listings: tuple[str, ...]
    complete: bool


def read_listing(content: bytes, url: str) -> Listing:
    """The pages of an RSS, RDF or Atom feed, or the pages or sitemaps of a sitemap.

    Args:
        content: as fetched, packed with gzip or not.
        url: where it was fetched; links in it may be relative.

    Raises:
        NotAListing: it is something else, or damaged.
    """
    if content.startswith(_GZIP):
        content = _unpacked(content)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(content.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise NotAListing(f"neither a feed nor a sitemap: {reason}") from error
    kind = etree.QName(root).localname.lower()
    if kind == "sitemapindex":
        return Listing((), tuple(page.url for page in _pages(root, "sitemap", url)), complete=True)
    if kind == "urlset":
        return Listing(tuple(_pages(root, "url", url)), (), complete=True)
    if kind in ("rss", "rdf"):
        return Listing(tuple(_pages(root, "item", url)), (), complete=False)
    if kind == "feed":
        return Listing(tuple(_pages(root, "entry", url)), (), complete=False)
    raise NotAListing(f"neither a feed nor a sitemap: its root is `{kind[:40]}`")


def _unpacked(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(content, _MOST_UNPACKED)
    except zlib.error as error:
        raise NotAListing("a damaged gzip file") from error
    if unpacker.unconsumed_tail:
        raise NotAListing(f"unpacks to more than {_MOST_UNPACKED // 1_000_000} MB")
    return unpacked


def _pages(root: etree._Element, entry_name: str, url: str) -> list[Listed]:
    """The entries of a listing, in its order and each once."""
    found: dict[str, Listed] = {}
    for entry in root.iter():
        if not isinstance(entry.tag, str) or etree.QName(entry).localname != entry_name:
            continue
        link, changed = "", ""
        for child in entry:
            if not isinstance(child.tag, str):
                continue
            name = etree.QName(child).localname
            text = (child.text or "").strip()
            if name == "loc" or (name == "link" and text):
                link = link or text
            elif name == "link" and child.get("rel", "alternate") == "alternate":
                link = link or (child.get("href") or "").strip()
            elif name in ("lastmod", "updated") or (name in ("pubDate", "date") and not changed):
                changed = text
        if link:
            page = urldefrag(urljoin(url, link)).url
            found.setdefault(page, Listed(page, _time(changed)))
    return list(found.values())


def _time(text: str) -> float:
    """Unix time of an ISO or RFC 822 date with a time of day; 0 for others."""
    if len(text) <= len("2026-01-31"):
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
