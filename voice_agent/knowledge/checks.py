"""Whether a document's text can be what its author meant to publish. Pure.

Near-equal documents are found by MinHash (Broder, 1997) over runs of four words, in bands, so
that 50,000 documents need no comparison of each with each.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.documents import Document

BANDS = 8
NEARLY_THE_SAME = 0.8
"""Share of equal runs of four words from which two documents are shown as nearly the same."""

_ROWS = 4
_RUN_WORDS = 4
_FEWEST_WORDS = 30  # shorter texts are alike by chance
_MOST_SEEN_WORDS = 20_000
_PRIME: Final = np.uint64((1 << 31) - 1)
_MULTIPLY, _ADD = np.random.default_rng(20).integers(
    1, 1 << 31, size=(2, BANDS * _ROWS), dtype=np.uint64
)
_WORD = re.compile(r"\w+")
_MEANINGLESS = frozenset({"a", "an", "the"})
_BREAKS_OFF = re.compile(
    r"(?:[,(\[{/&–—-]|\b(?:a|an|the|and|or|of|to|with|for|from|in|on|at|by|is|are|your|our))\Z",
    re.IGNORECASE,
)
_LIST_OR_TABLE = re.compile(r"[ \t]*(?:[#>|*+-]|\d+[.)])")
_ERROR_PAGE = re.compile(
    r"[#\s]*(?:(?:error )?(?:403|404|429|500|502|503|504)\b.{0,40}(?:error|not found|forbidden|"
    r"unavailable|gateway|denied|requests)|page (?:was )?not found|access denied|"
    r"internal server error|service (?:temporarily )?unavailable|bad gateway|"
    r"just a moment|enable javascript|are you (?:a )?(?:human|robot))\b",
    re.IGNORECASE,
)
_ERROR_PAGE_WORDS = 40
_FEWEST_WORDS_OF_PROSE = 20
_LONG_WORD = 25


def fault(document: Document) -> str:
    """Why a document cannot be used: empty, cut off, data instead of text, an error page.

    Returns:
        The reason in a few words; empty when nothing is wrong.
    """
    text = document.text.strip()
    words = _WORD.findall(text)
    if not any(character.isalnum() for character in text):
        return "empty"
    short = len(words) < _ERROR_PAGE_WORDS and not document.questions
    if short and (_ERROR_PAGE.match(document.title) or _ERROR_PAGE.match(text)):
        return "an error page, not a document"
    if text.isascii():
        tokens = text.split()
        if len(tokens) >= 5 and sum(map(len, tokens)) / len(tokens) > _LONG_WORD:
            return "encoded data, not text"
    if len(words) >= _FEWEST_WORDS_OF_PROSE and _cut_off(text):
        return f"cut off: it ends with “{' '.join(text.split()[-4:])}”"
    return ""


def _cut_off(text: str) -> bool:
    last_line = text.rsplit("\n", 1)[-1]
    return not _LIST_OR_TABLE.match(last_line) and bool(_BREAKS_OFF.search(last_line.rstrip()))


def words_hash(document: Document) -> str:
    """The same for documents that say the same in the same words, whatever the markup and order."""
    words = Counter(_WORD.findall(f"{document.title} {document.text}".casefold()))
    for word in _MEANINGLESS:
        words.pop(word, None)
    counted = "\n".join(f"{word} {number}" for word, number in sorted(words.items()))
    kept = (document.valid_from, document.valid_until, document.language, document.spoken)
    return hashlib.sha256("\n".join((counted, *kept)).encode("utf-8", "replace")).hexdigest()[:32]


def likeness(document: Document) -> bytes:
    """The MinHash signature of a text; empty for a text too short to be compared."""
    words = _WORD.findall(document.text.casefold())[:_MOST_SEEN_WORDS]
    if len(words) < _FEWEST_WORDS:
        return b""
    runs = {
        zlib.crc32(" ".join(words[at : at + _RUN_WORDS]).encode("utf-8", "replace"))
        for at in range(len(words) - _RUN_WORDS + 1)
    }
    hashes = np.fromiter(runs, dtype=np.uint64, count=len(runs)) % _PRIME
    signature = np.full(BANDS * _ROWS, _PRIME, dtype=np.uint64)
    for start in range(0, len(hashes), 4096):
        part = hashes[start : start + 4096]
        mixed = (part[:, None] * _MULTIPLY[None, :] + _ADD[None, :]) % _PRIME
        signature = np.minimum(signature, mixed.min(axis=0))
    return signature.astype("<u4").tobytes()


def bands(signature: bytes) -> list[bytes]:
    """Parts of a signature; texts that share one may be nearly the same."""
    width = len(signature) // BANDS
    return [signature[n * width : (n + 1) * width] for n in range(BANDS)] if width else []


def alike(one: bytes, other: bytes) -> float:
    """The share of equal runs of words, estimated from two signatures."""
    if not one or len(one) != len(other):
        return 0.0
    first: npt.NDArray[np.uint32] = np.frombuffer(one, dtype="<u4")
    return float(np.mean(first == np.frombuffer(other, dtype="<u4")))
