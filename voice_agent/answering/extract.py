"""An answer without a model: the sentence of a passage that fits a question best. Pure.

The documents are written to be spoken, so when the language model is slow or gone the caller still
hears what the company says, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voice_agent.answering.sources import stems
from voice_agent.knowledge.index import Passage

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])(?<![ap]\.m\.\s)")
_HEADING_WEIGHT = 0.5
"""A word of the question that only the heading shares says which passage, not which sentence."""


def extract(question: str, passages: Sequence[Passage]) -> tuple[str, Passage] | None:
    """The best sentence and its passage; ``None`` when no sentence shares a word with it.

    ``passages`` come best first, which decides between equals.
    """
    asked = stems(question)
    best: tuple[float, str, Passage] | None = None
    for passage in passages:
        shared_by_heading = len(asked & stems(f"{passage.title} {passage.heading}"))
        for sentence in _SENTENCE_END.split(" ".join(passage.text.split())):
            shared = len(asked & stems(sentence)) + _HEADING_WEIGHT * shared_by_heading
            if shared and (best is None or shared > best[0]):
                best = (shared, sentence, passage)
    return None if best is None else (best[1], best[2])
