"""How a request is put: as a question, as something to be done, or told. Pure.

Embeddings hear what a sentence is about and hardly how it is put: "how long does a refund take" and
"refund my order" are near to each other, and only one of them asks for something to be done.
"""

from __future__ import annotations

import re
from enum import IntEnum

_BEGIN = (
    r"^\W*(?:(?:so|uh|um|er|hi|hello|hey|well|okay|ok|right|and|but|or|yes|yeah|no|sorry|listen|"
    r"excuse me|good (?:morning|afternoon|evening))\W+)*"
)
_DONE = re.compile(
    _BEGIN + r"(?:(?:can|could|would|will) (?:you|somebody|someone|your \w+)\b"
    r"|please\b|i(?:'d| would) like (?:to|you|a|an|my|the)\b|i (?:want|need|have to)\b"
    r"|(?:send|book|cancel|open|refund|reset|check|look|make|schedule|start|stop|register|log|"
    r"change|move|get|put|give|find|create|take|set|have|ask|return|call|let|transfer|connect|"
    r"track|arrange|issue|file|raise)\b)"
    r"|\bplease\W*$",
    re.IGNORECASE,
)
_ASKED = re.compile(
    _BEGIN + r"(?:(?:until|till|by|at|for|from|in|to|on)\s+)?"
    r"(?:how|what|what's|when|which|why|who|who's|whose|where|where's"
    r"|is|are|do|does|did|can i|can we|could i|may i|should i|must i|am i|will|would|has|have you|"
    r"was|were)\b",
    re.IGNORECASE,
)


class Form(IntEnum):
    """The three forms."""

    TOLD = 0
    DONE = 1
    ASKED = 2


def form_of(text: str) -> Form:
    """The form of a request, by its first words."""
    plain = text.replace("’", "'")
    if _DONE.search(plain):
        return Form.DONE
    return Form.ASKED if _ASKED.search(plain) else Form.TOLD
