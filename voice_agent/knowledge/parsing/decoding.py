"""From bytes to text: encodings told, guessed and mixed, and characters that nobody sees."""

from __future__ import annotations

import codecs
import re
import unicodedata

import ftfy
from charset_normalizer import from_bytes
from ftfy.badness import is_bad

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAX_CONTROL_SHARE = 0.01
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
_ESCAPED_BYTE = re.compile(r"[\udc80-\udcff]")
_GOOD_TO_BAD = 3  # letters in UTF-8 for each byte that is not, before a file counts as UTF-8
_GUESSED_FROM = 12  # bytes beyond ASCII; on fewer a guess is worse than the usual code page
_USUAL_CODE_PAGE = "cp1252"

# Zero-width and direction marks, soft hyphens, tag characters and the selectors that smuggle text.
# The joiners U+200C and U+200D stay: Persian and the Indic scripts are misspelt without them.
_UNSEEN = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)


class NotText(Exception):
    """The bytes are not text in any encoding; the message is the reason."""


def decode(content: bytes, declared: str = "") -> str:
    """The text of a file, with its mojibake repaired and nothing in it that cannot be seen.

    Tried in turn: the byte order mark, the `declared` encoding, UTF-8, UTF-8 with stray bytes of
    the Windows code page, the encoding charset-normalizer finds, the Windows code page. Line ends
    become newlines; letters are composed (NFC).

    Raises:
        NotText: the bytes are binary.
    """
    text = _decoded(content, declared)
    if len(_CONTROL.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise NotText("binary or in an unknown encoding, not text")
    return clean(text)


def clean(text: str) -> str:
    """Text as a reader sees it: no control or unseen characters, mojibake repaired."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    if text.isascii():
        return text
    text = _UNSEEN.sub("", text)
    if is_bad(text):
        text = ftfy.fix_encoding(text)
    return unicodedata.normalize("NFC", text)


def _decoded(content: bytes, declared: str) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise NotText("binary, or cut off in the middle of a character") from error
    if b"\x00" in content:
        raise NotText("binary, not text")
    for encoding in filter(None, (declared, "utf-8")):
        try:
            return content.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    return _mixed(content) or _guessed(content)


def _mixed(content: bytes) -> str:
    """UTF-8 into which lines of another encoding were pasted; empty when it is not that."""
    text = content.decode("utf-8", errors="surrogateescape")
    bad = len(_ESCAPED_BYTE.findall(text))
    good = sum(not character.isascii() for character in text) - bad
    if good < _GOOD_TO_BAD * bad:
        return ""
    return _ESCAPED_BYTE.sub(_in_usual_code_page, text)


def _in_usual_code_page(escaped: re.Match[str]) -> str:
    return bytes([ord(escaped[0]) - 0xDC00]).decode(_USUAL_CODE_PAGE, errors="replace")


def _guessed(content: bytes) -> str:
    beyond_ascii = sum(byte > 0x7F for byte in content[:100_000])
    if beyond_ascii >= _GUESSED_FROM:
        best = from_bytes(content).best()
        if best is not None:
            return str(best)
    return content.decode(_USUAL_CODE_PAGE, errors="replace")
