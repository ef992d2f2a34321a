"""What the caller's page and the gateway tell each other. Pure.

The data channel is called ``events``, is opened by the browser and carries JSON objects with an
``event`` field. From the browser: ``digit`` (``digit``) and ``hang_up``. To the browser:
``state`` (``state``, ``reason``), ``caption`` (``speaker``, ``id``, ``text``, ``final``) and
``digits`` (``digits``, keys the other party pressed). Unknown events are ignored by both sides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from telephony.call import DigitPressed

CHANNEL = "events"
DIGITS = frozenset("0123456789*#ABCD")
_MAX_PAGE_MESSAGE_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class HangUpPressed:
    """The caller ended the call on the page."""


PageEvent: TypeAlias = DigitPressed | HangUpPressed


def read_page_message(message: object) -> PageEvent | None:
    """What a message of the page asks for; ``None`` for anything unknown or malformed."""
    if not isinstance(message, str) or len(message) > _MAX_PAGE_MESSAGE_CHARACTERS:
        return None
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    digit = fields.get("digit")
    match fields.get("event"):
        case "digit" if isinstance(digit, str) and digit in DIGITS:
            return DigitPressed(digit, 100)
        case "hang_up":
            return HangUpPressed()
    return None
