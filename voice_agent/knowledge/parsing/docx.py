"""DOCX to Markdown by way of mammoth's HTML: headings, lists, tables; hidden text is left out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import mammoth
from lxml import etree
from lxml.html import fromstring

from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.html import markdown_of
from voice_agent.knowledge.parsing.parsed import Limits

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MAIN = "word/document.xml"
_PARTS = (
    "[Content_Types].xml",
    "_rels/.rels",
    _MAIN,
    "word/_rels/document.xml.rels",
    "word/styles.xml",
    "word/numbering.xml",
    "word/footnotes.xml",
    "word/endnotes.xml",
)
_WITH_TEXT = (_MAIN, "word/footnotes.xml", "word/endnotes.xml")
_MAX_ENTRIES = 10_000
_RATIO_FROM_BYTES = 1_000_000  # small files may shrink as they like
_ENCRYPTED = 0x1
_TINY_HALF_POINTS = 4
_WHITE = ("FFFFFF", "FEFEFE")
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='toc 1'] => !
p[style-name='toc 2'] => !
p[style-name='toc 3'] => !
p[style-name='TOC Heading'] => !
comment-reference => !
"""


def read_docx(content: bytes, limits: Limits) -> Extracted:
    """The text of a Word document as Markdown.

    The archive is checked by the sizes it declares and again while it is unpacked; only the parts
    that hold text and styles are unpacked at all, and nothing outside the file is read.

    Raises:
        Unreadable: not a Word document, encrypted, damaged, or a zip bomb.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive, limits)
            parts = {
                name: _unpack(archive, name, limits)
                for name in _PARTS
                if name in archive.namelist()
            }
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise Unreadable(f"a damaged archive: {' '.join(str(error).split())[:100]}") from error
    if _MAIN not in parts:
        raise Unreadable("an archive, but not a Word document")
    hidden = _hidden_styles(_tree(parts["word/styles.xml"])) if "word/styles.xml" in parts else []
    for name in _WITH_TEXT:
        if name in parts:
            parts[name] = _without_hidden(_tree(parts[name]), frozenset(hidden))
    return _extracted(_packed(parts))


def _check(archive: zipfile.ZipFile, limits: Limits) -> None:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise Unreadable(f"an archive of {len(entries)} entries")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked_bytes:
        raise Unreadable(
            f"unpacks to {unpacked // 1_000_000} MB, more than "
            f"{limits.max_unpacked_bytes // 1_000_000} MB"
        )
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED:
            raise Unreadable("encrypted")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > _RATIO_FROM_BYTES and ratio > limits.max_unpacked_ratio:
            raise Unreadable(f"`{entry.filename}` unpacks to {ratio:.0f} times its size")


def _unpack(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    """One part, read no further than the limit, whatever size it declares."""
    most = min(limits.max_unpacked_bytes, archive.getinfo(name).file_size)
    with archive.open(name) as part:
        content = part.read(most + 1)
    if len(content) > most:
        raise Unreadable(f"`{name}` unpacks to more than it declares")
    return content


def _tree(content: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        tree = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"damaged: {' '.join(str(error).split())[:100]}") from error
    if tree.getroottree().docinfo.doctype:
        raise Unreadable("declares entities, as no Word document does")
    return tree


def _hidden_styles(styles: etree._Element) -> Iterator[str]:
    for style in styles.iter(f"{_W}style"):
        if _hides(style.find(f"{_W}rPr")):
            yield style.get(f"{_W}styleId", "")


def _without_hidden(tree: etree._Element, styles: frozenset[str]) -> bytes:
    """A part without the runs and paragraphs that a reader does not see, and without deletions."""
    gone: list[etree._Element] = list(tree.iter(f"{_W}del", f"{_W}moveFrom"))
    for run in tree.iter(f"{_W}r"):
        properties = run.find(f"{_W}rPr")
        if _hides(properties) or _value(properties, "rStyle") in styles:
            gone.append(run)
    for paragraph in tree.iter(f"{_W}p"):
        if _value(paragraph.find(f"{_W}pPr"), "pStyle") in styles:
            gone.append(paragraph)
    for element in gone:
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    written: bytes = etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)
    return written


def _hides(properties: etree._Element | None) -> bool:
    """Whether run properties make text hidden, white on nothing, or too small to see."""
    if properties is None:
        return False
    vanish = properties.find(f"{_W}vanish")
    if vanish is not None and vanish.get(f"{_W}val", "true") not in ("0", "false", "off"):
        return True
    size = _value(properties, "sz")
    if size.isdigit() and int(size) <= _TINY_HALF_POINTS:
        return True
    shaded = any(properties.find(f"{_W}{name}") is not None for name in ("shd", "highlight"))
    return _value(properties, "color").upper() in _WHITE and not shaded


def _value(properties: etree._Element | None, name: str) -> str:
    found = None if properties is None else properties.find(f"{_W}{name}")
    return "" if found is None else found.get(f"{_W}val", "")


def _packed(parts: dict[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    packed.seek(0)
    return packed


def _no_picture(_image: object) -> list[object]:
    return []


def _extracted(packed: io.BytesIO) -> Extracted:
    try:
        html = mammoth.convert_to_html(
            packed,
            style_map=_STYLES,
            convert_image=_no_picture,
            include_embedded_style_map=False,
            external_file_access=False,
        ).value
    except (KeyError, ValueError, AttributeError, IndexError, OSError) as error:
        raise Unreadable(f"damaged: {type(error).__name__} {error}"[:120]) from error
    if not html.strip():
        raise Unreadable("no text in it")
    root = fromstring(f"<div>{html}</div>")
    headings = root.xpath(".//h1[normalize-space()]")
    title = " ".join(headings[0].text_content().split()) if headings else ""
    return Extracted(markdown_of(root), title)
