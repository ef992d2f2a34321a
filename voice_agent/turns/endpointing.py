"""How much silence ends a turn, and which sounds are no turn at all. Pure."""

from __future__ import annotations

import re

from voice_agent.config import TurnSettings

_UNFINISHED = re.compile(
    r"\b(and|or|but|so|because|if|when|that|which|with|for|to|of|in|on|at|from|by|about|the|a|an|"
    r"my|your|our|their|its|is|are|was|were|it's|i'm|um|uh|er|erm|well|like)[\s,.…-]*$",
    re.IGNORECASE,
)
_READING_OUT = re.compile(
    r"\b(number|code|postcode|zip|reference|email|e-mail|spelled|spelt|address)\b.{0,24}$"
    r"|(\b(\d|oh|zero|one|two|three|four|five|six|seven|eight|nine)\b[\s,.-]*){2,}$",
    re.IGNORECASE,
)
_BACKCHANNEL = re.compile(
    r"^((mm+|mhm|mm-?hm+|uh-?huh|hm+|ah|aha|oh|okay|ok|right|yeah|yep|yes|sure|i see|got it|"
    r"alright|all right|great|good|fine|cool|nice|thanks|thank you)[\s,.!…-]*){1,3}$",
    re.IGNORECASE,
)


def silence_needed_ms(settings: TurnSettings, text: str | None, completeness: float | None) -> int:
    """Silence after which the turn is over.

    Between ``end_silence_ms`` for a sentence that sounds and reads complete and
    ``max_silence_ms`` for one that does not. ``None`` stands for not known yet.
    """
    if text is None or completeness is None:
        return settings.max_silence_ms
    if _READING_OUT.search(text):
        return settings.max_silence_ms
    if _UNFINISHED.search(text) and not text.rstrip().endswith("?"):
        return settings.max_silence_ms
    if completeness >= settings.complete_threshold:
        return settings.end_silence_ms
    doubt = 1 - completeness / settings.complete_threshold
    span = settings.max_silence_ms - settings.end_silence_ms
    return round(settings.end_silence_ms + span * doubt)


def is_backchannel(text: str) -> bool:
    """Whether these words only say "I am listening"."""
    return bool(_BACKCHANNEL.match(text.strip()))
