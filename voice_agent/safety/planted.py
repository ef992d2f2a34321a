"""Orders to the agent hidden in a document, taken out of it. Pure.

Documents are data: nothing in them can add an instruction, a tool or a permission,
because what a turn may do is decided outside the language model. But a model that reads "ignore
your instructions" may write nonsense, and a quote would say it aloud, so such sentences are left
out before either sees them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from voice_agent.knowledge.passages import Passage

_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
"""Characters nobody sees: zero-width ones, changes of direction, tags."""
_BETWEEN = re.compile(r"((?<=[.!?])\s+|\n+)")
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b\W+(?:\w+\W+){0,5}?(?:previous|prior"
    r"|earlier|above|"
    r"your|system|all|any|other|these|those|original)\b\W*(?:\w+\W+){0,3}?(?:instructions?"
    r"|prompts?|rules?|"
    r"guidelines?|directives?|orders|polic(?:y|ies)|facts|documents?|passages|context|text"
    r"|questions?)"
    r"|\b(?:ai|assistant|agent|bot|chatbot|language model|llm|system|model)s?\b\W+(?:\w+\W+){0,4}?"
    r"(?:must|should|shall|has to|have to|needs? to|will|please|instructions?)\W+(?:now "
    r"|always |only |instead |"
    r"not |never |also )*(?:say|tell|state|answer|reply|respond|read|reveal|give|send|call"
    r"|transfer|refund|"
    r"ignore|ask|repeat|output|print|mention|recommend|act|follow|obey|issue|approve|cancel"
    r"|change)\b"
    r"|\byou are (?:now|no longer)\b|\bfrom now on,? you\b|\byou must (?:now|obey|ignore|say"
    r"|tell|reveal)\b"
    r"|\b(?:tell|inform|convince|ask|instruct) (?:the|every|all|each) (?:caller|customer|user"
    r"|person)s?\b"
    r"|\b(?:system|developer|admin(?:istrator)?) (?:prompt|override|message|mode|note"
    r"|instruction)\b"
    r"|\b(?:reveal|repeat|print|output|read out|disclose) (?:your|the) (?:system )?(?:prompt"
    r"|instructions)\b"
    r"|\b(?:call|use|invoke|run|execute) the (?:\w+ )?(?:tool|function|action)\b"
    r"|<\|?(?:im_start|system|endoftext)|\[/?(?:INST|SYS)",
    re.IGNORECASE,
)


def without_planted(text: str) -> str:
    """The text without unseen characters and without sentences that order the agent about."""
    seen = _HIDDEN.sub("", text)
    if not _ORDERS.search(seen):
        return seen
    pieces = [*_BETWEEN.split(seen), ""]
    sentences = zip(pieces[::2], pieces[1::2], strict=True)
    return "".join(
        f"{sentence}{gap}" for sentence, gap in sentences if not _ORDERS.search(sentence)
    ).strip()


@lru_cache(maxsize=2048)
def safe_passage(passage: Passage) -> Passage:
    """A passage as it may be read and quoted; the same object when nothing is wrong with it."""
    parts: dict[str, Any] = {
        name: without_planted(getattr(passage, name)) for name in ("title", "heading", "text")
    }
    if all(getattr(passage, name) == part for name, part in parts.items()):
        return passage
    return replace(passage, **parts)
