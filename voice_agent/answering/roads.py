"""What to do with a request, decided from its words before anything is generated. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from voice_agent.answering.phrases import OFFER_PERSON
from voice_agent.reply import Road, RoadChoice

UNAIDED = (Road.VERIFIED, Road.ANSWER, Road.ACTION, Road.SMALL_TALK)
"""Roads on which the caller is served without a person."""


class Thresholds(Protocol):
    """How sure the router must be (see ``config.RoadSettings``)."""

    @property
    def unaided(self) -> float:
        """That the caller can be served without a person at all."""

    @property
    def verified(self) -> float:
        """That it is the approved text that is asked for."""

    @property
    def person(self) -> float:
        """That it is for a person, though nobody asked for one."""

    @property
    def out_of_scope(self) -> float:
        """That it is nothing for this agent; what is so doubtful is not answered anyway."""


_PEOPLE = (
    r"(person|human|human being|someone|somebody|representative|rep|operator|adviser|advisor|"
    r"real person|live agent|agent|manager|supervisor|member of staff|colleague|staff)"
)
_PERSON = re.compile(
    rf"\b(speak|talk|talking|speaking|chat|connect|connected|transfer|transferred|put|get|give|"
    rf"pass|switch|reach)\b.{{0,24}}\b{_PEOPLE}\b"
    rf"|\b(i (want|need|would like|'d like)|can i have|could i have|let me have|give me)\b"
    rf".{{0,12}}\b{_PEOPLE}\b"
    rf"|\breal (person|human)\b|\bput me through\b"
    rf"|^\W*(a |an |the )?{_PEOPLE}( please)?\W*$",
    re.IGNORECASE,
)
_NOT_PERSON = re.compile(r"\b(don't|do not|not|no need)\b.{0,20}\b" + _PEOPLE, re.IGNORECASE)
_YES = re.compile(
    r"^\W*(yes|yeah|yep|yup|sure|okay|ok|please|please do|go ahead|do that|that would be (good|"
    r"great|nice|fine)|of course|definitely)\b",
    re.IGNORECASE,
)
_GOODBYE = re.compile(
    r"^\W*((no|okay|ok|great|thanks|thank you|that's all|that is all|nothing else|"
    r"that'll be all|very much|so much|for your help|alright|all right|and|have a (nice|good) day)"
    r"[\s,.!]*)*(good ?bye|bye( bye)?|bye-bye|see you)\W*$"
    r"|^\W*(no[\s,.!]*)?(thanks?( you)?[\s,.!]*)?(that's|that is|that'll be) (all|everything)"
    r"([\s,.!]*(thanks?|thank you).{0,20})?\W*$",
    re.IGNORECASE,
)
_REPEAT = re.compile(
    r"^\W*(sorry|pardon( me)?|excuse me|what)\W*$"
    r"|\b(can|could|would) you (please )?(repeat|say) that( again)?( please)?\W*$"
    r"|^\W*(sorry[\s,.]*)?what did you (just )?say\W*$|^\W*(please )?(repeat|say that again)\b",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"^\W*((hello|hi|hey|hi there|good (morning|afternoon|evening))[\s,.!]*)+"
    r"(how are you( doing)?( today)?|can you hear me|is anyone there)?\W*$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*((okay|ok|great|perfect|lovely|yes|good|that's (great|good|helpful)|alright|all right)"
    r"[\s,.!]*)*(thanks|thank you)([\s,.!]*(very much|so much|a lot|for (that|your help)))?\W*$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}|\d+")
_VOWEL = re.compile(r"[aeiouyàâäáãåéèêëíìîïóòôöõúùûüæøœ]", re.IGNORECASE)


def choose_road(text: str, last_heard: str) -> Road:
    """The road for a caller's words, given what the agent said last (as heard)."""
    if is_nonsense(text):
        return Road.UNCLEAR
    if _PERSON.search(text) and not _NOT_PERSON.search(text):
        return Road.PERSON
    if last_heard.rstrip().endswith(OFFER_PERSON) and _YES.search(text):
        return Road.PERSON
    if _GOODBYE.search(text):
        return Road.GOODBYE
    for road, pattern in ((Road.REPEAT, _REPEAT), (Road.HELLO, _HELLO), (Road.THANKS, _THANKS)):
        if pattern.search(text):
            return road
    return Road.ANSWER


def settle(
    probabilities: Mapping[Road, float], thresholds: Thresholds, *, clarified: bool
) -> RoadChoice:
    """The road when the examples leave so much doubt.

    The likeliest road is taken when it is sure enough. In doubt the caller is asked one question;
    if that has been asked just now (``clarified``), a person is offered. Then ``runner_up`` is the
    likeliest road, and ``confidence`` its probability.
    """
    best, second = sorted(probabilities, key=lambda road: -probabilities[road])[:2]
    if best is Road.VERIFIED and probabilities[best] < thresholds.verified:
        best, second = Road.ANSWER, best  # the documents say it too, and what they say is checked
    outside = probabilities[Road.OUT_OF_SCOPE] >= thresholds.out_of_scope
    if outside and best not in (Road.OUT_OF_SCOPE, Road.PERSON):
        best, second = Road.OUT_OF_SCOPE, best
    sure = {
        Road.OUT_OF_SCOPE: outside,
        Road.PERSON: probabilities[best] >= thresholds.person,
        Road.CLARIFY: not clarified,
    }.get(best, sum(probabilities[road] for road in UNAIDED) >= thresholds.unaided)
    if sure:
        return RoadChoice(best, probabilities[best], second, because="examples")
    otherwise = Road.PERSON if clarified else Road.CLARIFY
    return RoadChoice(otherwise, probabilities[best], best, because="doubt")


def is_nonsense(text: str) -> bool:
    """Whether a transcript holds no language: no words, one word over and over, or letter soup."""
    words = [word.lower() for word in _WORD.findall(text)]
    if not words:
        return True
    if len(words) >= 8 and len(set(words)) <= 2:
        return True
    letters = [word for word in words if not word.isdigit()]
    soup = [
        word for word in letters if len(word) > 24 or (len(word) > 3 and not _VOWEL.search(word))
    ]
    return bool(letters) and len(soup) > len(letters) / 2
