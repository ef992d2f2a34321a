"""Which language a text is written in; empty when it is too short to tell."""

from __future__ import annotations

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_SAMPLE = 2_000  # characters; more does not change the answer
_MIN_LETTERS = 24
_SURE_LETTERS = 120
_MIN_PROBABILITY = 0.9
_MARKUP = re.compile(r"""https?://\S+|[#*_`|>\[\]()~\\",;:{}-]+|\d+""")
_CODE = re.compile(r"^([A-Za-z]{2})(?:[-_]\w+)*$")


def language_of(text: str, declared: str = "") -> str:
    """ISO 639-1 code of a text's language (py3langid, 97 languages).

    Args:
        text: Markdown or plain text.
        declared: what the file says of itself, as `de` or `de-CH`. Templates leave a wrong
            language in pages, so a long text is believed before its declaration.
    """
    told = code_of(declared)
    sample = " ".join(_MARKUP.sub(" ", text[: 2 * _SAMPLE]).split())[:_SAMPLE]
    letters = sum(character.isalpha() for character in sample)
    if letters < _MIN_LETTERS or (told and letters < _SURE_LETTERS):
        return told
    code, probability = _identifier().classify(sample)
    return str(code) if probability >= _MIN_PROBABILITY else told


def code_of(declared: str) -> str:
    """The ISO 639-1 code in a locale such as `en-us`; empty when there is none."""
    match = _CODE.match(declared.strip())
    return match[1].lower() if match else ""


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
