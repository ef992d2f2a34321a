"""PDF to Markdown with PDFium: lines with their type, then headings and paragraphs of them.

Text that a reader cannot see is left out: invisible, white on white, outside the page, too small.
The one exception is a scanned page whose text layer lies unseen under its picture.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.parsed import Limits
from voice_agent.knowledge.parsing.pdf_layout import Line, markdown_of_lines

_TINY_POINTS = 1.5
_NEARLY_WHITE = 245
_GREY = 215  # darker than this behind white letters makes them readable
_FAINT = 25
_SCAN_SHARE = 0.5  # of the page, under one picture
_BOLD_WEIGHT = 600
_MOSTLY = 0.9  # of a line's letters; one that only begins in bold is no heading
_LINE_ENDS = (10, 13)
_NO_LETTERS = (0x02, 0xFFFE)  # PDFium's mark where a word was cut at the end of a line
_INVISIBLE = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)


def read_pdf(content: bytes, limits: Limits) -> Extracted:
    """The text of a PDF as Markdown, with headings where type tells them.

    Raises:
        Unreadable: encrypted, damaged, too long, or pictures without text.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise Unreadable("encrypted: it opens only with a password") from error
        raise Unreadable("damaged: it cannot be opened") from error
    try:
        if len(document) > limits.max_pages:
            raise Unreadable(f"{len(document)} pages, more than {limits.max_pages}")
        pages: list[list[Line]] = []
        pictures = 0
        for index in range(len(document)):
            try:
                page = document[index]
            except pypdfium2.PdfiumError:
                pages.append([])
                continue
            scanned = _is_scan(page)
            pictures += scanned
            pages.append(list(_lines(page, scanned)))
            page.close()
        declared = document.get_metadata_dict(skip_empty=True).get("Title", "")
    finally:
        document.close()
    text, title = markdown_of_lines(pages)
    if not any(character.isalnum() for character in text):
        what = "pictures of pages without text" if pictures else "no text in it"
        raise Unreadable(f"{what}; it would need text recognition" if pictures else what)
    return Extracted(text, title or _sane(declared))


def _sane(title: str) -> str:
    """A declared title, unless a program left the name of its file in it."""
    title = " ".join(title.split())
    deceptive = title.lower().startswith(("microsoft word", "untitled", "document"))
    return "" if deceptive or "." in title[-6:] else title


def _is_scan(page: pypdfium2.PdfPage) -> bool:
    width, height = page.get_size()
    area = max(1.0, width * height)
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) >= _SCAN_SHARE * area:
            return True
    return False


def _lines(page: pypdfium2.PdfPage, scanned: bool) -> Iterator[Line]:
    """The lines of a page in reading order, as PDFium finds them."""
    height = max(1.0, page.get_size()[1])
    textpage = page.get_textpage()
    looks = _Looks(page, textpage, scanned)
    letters: list[str] = []
    line: tuple[float, float] | None = None
    sizes: list[float] = []
    bold = 0

    def finished() -> Line | None:
        if line is None:
            return None
        bottom, top = line
        size = max(set(sizes), key=sizes.count)
        text = " ".join("".join(letters).split())
        return Line(text, size, bold > _MOSTLY * len(sizes), bottom / height, top / height)

    for index in range(textpage.count_chars()):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if code in _LINE_ENDS:
            if done := finished():
                yield done
            letters, sizes, line, bold = [], [], None, 0
            continue
        if code in _NO_LETTERS or not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
            continue
        letter = chr(code)
        if not letter.isspace():
            look = looks.of(index)
            if not look.seen:
                continue
            if line is None:
                _, bottom, _, top = textpage.get_charbox(index, loose=True)
                line = (bottom, top)
            sizes.append(look.size)
            bold += look.bold
        letters.append(letter)
    if done := finished():
        yield done
    textpage.close()


@dataclass(frozen=True, slots=True)
class _Look:
    size: float
    bold: bool
    seen: bool


class _Looks:
    """How letters look; all that are drawn together look the same."""

    def __init__(
        self, page: pypdfium2.PdfPage, textpage: pypdfium2.PdfTextPage, scanned: bool
    ) -> None:
        self._page = page
        self._textpage = textpage
        self._scanned = scanned
        self._box = page.get_bbox()
        self._drawing: _Drawing | None = None
        self._known: dict[int | None, _Look] = {}

    def of(self, index: int) -> _Look:
        """The look of the letter at an index of the page's text."""
        drawn = pdfium.FPDFText_GetTextObject(self._textpage, index)
        key = ctypes.cast(drawn, ctypes.c_void_p).value
        if key not in self._known:
            size = self._size(index)
            self._known[key] = _Look(
                round(size, 1), self._bold(index), self._seen(index, drawn, size)
            )
        return self._known[key]

    def _size(self, index: int) -> float:
        """Type size in points as it is drawn: the font's size times the scale of its matrix."""
        matrix = pdfium.FS_MATRIX()
        size = float(pdfium.FPDFText_GetFontSize(self._textpage, index))
        if pdfium.FPDFText_GetMatrix(self._textpage, index, matrix):
            size *= float((matrix.c**2 + matrix.d**2) ** 0.5)
        return size

    def _bold(self, index: int) -> bool:
        if pdfium.FPDFText_GetFontWeight(self._textpage, index) >= _BOLD_WEIGHT:
            return True
        name = ctypes.create_string_buffer(128)
        pdfium.FPDFText_GetFontInfo(self._textpage, index, name, len(name), ctypes.c_int())
        return any(word in name.value.lower() for word in (b"bold", b"black", b"heavy"))

    def _seen(self, index: int, drawn: object, size: float) -> bool:
        if size < _TINY_POINTS:
            return False
        left, bottom, right, top = self._box
        edges = [ctypes.c_float() for _ in range(4)]
        pdfium.FPDFPageObj_GetBounds(drawn, *edges)
        x0, y0, x1, y1 = (edge.value for edge in edges)
        if x1 < left or x0 > right or y1 < bottom or y0 > top:
            return False
        if self._scanned:
            return True
        if pdfium.FPDFTextObj_GetTextRenderMode(drawn) in _INVISIBLE:
            return False
        channels = [ctypes.c_uint() for _ in range(4)]
        if not pdfium.FPDFText_GetFillColor(self._textpage, index, *channels):
            return True
        red, green, blue, alpha = (channel.value for channel in channels)
        if alpha <= _FAINT:
            return False
        if min(red, green, blue) < _NEARLY_WHITE:
            return True
        self._drawing = self._drawing or _Drawing(self._page)
        return self._drawing.is_dark_in(x0, y0, x1, y1)


class _Drawing:
    """A page as it is drawn, in greys, to see what white letters stand on."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self._left, _, _, self._top = page.get_bbox()
        bitmap = page.render(scale=1, grayscale=True, may_draw_forms=False)
        self._width, self._height, self._stride = bitmap.width, bitmap.height, bitmap.stride
        self._greys = bytes(bitmap.buffer)
        bitmap.close()

    def is_dark_in(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether anything in a box of the page's coordinates is not white."""
        left, right = (min(max(0, int(x - self._left)), self._width - 1) for x in (x0, x1))
        top, bottom = (min(max(0, int(self._top - y)), self._height - 1) for y in (y1, y0))
        return any(
            min(self._greys[row * self._stride + left : row * self._stride + right + 1]) < _GREY
            for row in range(top, bottom + 1)
        )
