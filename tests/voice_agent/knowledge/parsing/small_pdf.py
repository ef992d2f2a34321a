"""Writes small PDF files by hand, so that tests need no program that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A line of text at a place of the page, in points from its lower left corner."""

    text: str
    y: float
    x: float = 72
    size: float = 11
    bold: bool = False
    grey: float = 0.0
    mode: int = 0


def a_pdf(
    pages: Sequence[Sequence[Words]],
    boxes: Sequence[tuple[float, float, float, float]] = (),
    picture: bool = False,
    encrypted: bool = False,
) -> bytes:
    """A PDF of these pages, each with black `boxes` (x, y, width, height) behind its words.

    `picture` covers each page with one; `encrypted` declares a password that nobody knows.
    """
    objects: list[bytes] = [
        b"",
        b"",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>")
    objects.append(
        b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8"
        b"/Length 1>>stream\n\xee\nendstream"
    )
    kids = []
    for words in pages:
        drawn = "".join(f"{x} {y} {w} {h} re f\n" for x, y, w, h in boxes)
        if picture:
            drawn = f"q 612 0 0 792 0 0 cm /P Do Q\n{drawn}"
        drawn += "".join(
            f"BT /{'B' if w.bold else 'F'} {w.size} Tf {w.grey} g {w.mode} Tr "
            f"{w.x} {w.y} Td ({w.text}) Tj ET\n"
            for w in words
        )
        stream = drawn.encode("cp1252")
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F 3 0 R/B 4 0 R>>/XObject<</P 5 0 R>>>>>>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<</Type/Catalog/Pages 2 0 R>>"
    objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(kids), len(kids))
    extra = b""
    if encrypted:
        unknown = b"<" + b"5a" * 32 + b">"
        objects.append(b"<</Filter/Standard/V 1/R 2/O%s/U%s/P -44>>" % (unknown, unknown))
        extra = b"/Encrypt %d 0 R/ID[<00><00>]" % len(objects)
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\n" % (len(objects) + 1, extra)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)
