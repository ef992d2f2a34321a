"""What is said with a caller who waits for a person, or cannot have one now. Pure.

A call-back is promised for a number that was read back and agreed to with a clear yes; a message
is taken instead where that is not possible or not wanted; whatever else the caller says is for the
rest of the agent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from voice_agent.answering.actions.consent import Consent, judge_consent
from voice_agent.handoff import phrases
from voice_agent.knowledge.spoken_numbers import read_numbers

MAX_MISHEARD = 2
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
_TOKEN = re.compile(r"[a-z]+|\d+|\+")
_CALL_BACK = re.compile(
    r"\b(call|ring|phone)(ed)? (me|us) (back|later|again)\b|\bcall ?back\b|\bring back\b", re.I
)
_MESSAGE = re.compile(r"\b(leave|take) (you )?a (message|voice ?mail)\b|\bvoice ?mail\b", re.I)
_NO_PERSON = re.compile(
    r"\b(never ?mind|forget it|don't (bother|want)|do not (bother|want)|no need|"
    r"changed my mind|rather not|(cancel|stop) (that|it|waiting))\b",
    re.I,
)
_WAITS = re.compile(
    r"\b(i'll|i will|i can|let me|i'd rather|rather) (just )?(wait|hold|stay)\b", re.I
)


class Phase(StrEnum):
    """What was asked last."""

    NOTHING = "nothing"
    OFFERED = "offered"
    """A call-back, at a number that was said or not."""
    ASKED_NUMBER = "asked_number"
    READ_BACK = "read_back"
    MESSAGE_OFFERED = "message_offered"


class Effect(StrEnum):
    """What the words lead to."""

    KEEP = "keep"
    """Promise a call-back to ``Talk.number``."""
    RECORD = "record"
    WITHDRAW = "withdraw"


Offers: TypeAlias = Sequence[Literal["call_back"]]


@dataclass(frozen=True, slots=True)
class Talk:
    """How far it has come."""

    phase: Phase = Phase.NOTHING
    number: str = ""
    misheard: int = 0
    waiting: bool = False
    """A person is being rung or waited for."""
    call_back: bool = False
    """The gateway can ring back."""
    told_of_call_back: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What follows the caller's words: how it stands then, what is said, what is done."""

    talk: Talk
    text: str
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class TalkRules:
    """``caller_number``: where they ring from, digits; empty when that is no number.
    ``messages``: a message can be taken."""

    caller_number: str = ""
    messages: bool = True

    # --- what the gateway says -------------------------------------------------------------------

    def ringing(self, talk: Talk) -> Talk:
        """Somebody is being rung."""
        return replace(talk, waiting=True, phase=Phase.NOTHING)

    def waiting(
        self, talk: Talk, position: int, wait_s: float | None, offers: Offers
    ) -> tuple[Talk, str]:
        """All are busy: the place is told, and once what else there is."""
        talk = replace(talk, waiting=True, call_back="call_back" in offers)
        text = phrases.place(position, wait_s)
        if talk.call_back and not talk.told_of_call_back:
            text = f"{text} {phrases.CALL_BACK_ANY_TIME}"
            talk = replace(talk, told_of_call_back=True)
        return talk, text

    def failed(self, talk: Talk, reason: str, offers: Offers) -> tuple[Talk, str]:
        """Nobody took the call: why, and what can be done instead."""
        talk = replace(talk, waiting=False, call_back="call_back" in offers)
        return self._offer(talk, phrases.why_not(reason))

    def lost(self, talk: Talk, why: str) -> tuple[Talk, str]:
        """A person had the caller, and was gone too soon; ``why`` says so."""
        return self._offer(replace(talk, waiting=False), why)

    def over(self, talk: Talk) -> Talk:
        """A person has the caller, or had."""
        return Talk(call_back=talk.call_back)

    def kept(self, talk: Talk) -> tuple[Talk, str]:
        """The call-back is on disk."""
        return Talk(), phrases.will_call(talk.number) if talk.number else phrases.NO_NEED

    def refused(self, talk: Talk, reason: str) -> tuple[Talk, str]:
        """The gateway does not ring that number, or could not keep it."""
        if reason == "number_not_allowed" and talk.misheard < MAX_MISHEARD:
            asked = replace(talk, phase=Phase.ASKED_NUMBER, number="", misheard=talk.misheard + 1)
            return asked, f"{phrases.NUMBER_REFUSED} {phrases.WHICH_NUMBER}"
        return self._message(replace(talk, call_back=False), phrases.NOT_KEPT)

    # --- what the caller says --------------------------------------------------------------------

    def hear(self, talk: Talk, words: str, keys: str = "") -> Said | None:
        """What follows; ``None``: the words are for the rest of the agent."""
        given = keys if _is_number(keys) else number_in(words)
        match talk.phase:
            case Phase.OFFERED | Phase.READ_BACK if given:
                return self._read_back(talk, given)
            case Phase.OFFERED | Phase.READ_BACK:
                return self._agreed(talk, words)
            case Phase.ASKED_NUMBER:
                return self._number(talk, words, given)
            case Phase.MESSAGE_OFFERED:
                return self._message_wanted(talk, words)
        return self._unasked(talk, words)

    def _unasked(self, talk: Talk, words: str) -> Said | None:
        if talk.waiting and _NO_PERSON.search(words):
            return Said(Talk(call_back=talk.call_back), phrases.NO_PERSON, Effect.WITHDRAW)
        if talk.waiting and _WAITS.search(words):
            return Said(talk, phrases.STILL_WAITING)
        if talk.call_back and _CALL_BACK.search(words):
            given = number_in(words)
            return self._read_back(talk, given) if given else Said(*self._call_back(talk, ""))
        if talk.waiting and self.messages and _MESSAGE.search(words):
            return Said(Talk(), phrases.SPEAK_NOW, Effect.RECORD)
        return None

    def _agreed(self, talk: Talk, words: str) -> Said | None:
        if _MESSAGE.search(words) and self.messages:
            return Said(Talk(), phrases.SPEAK_NOW, Effect.RECORD)
        match judge_consent(words):
            case Consent.YES if talk.number:
                return Said(replace(talk, phase=Phase.NOTHING), phrases.ONE_MOMENT, Effect.KEEP)
            case Consent.YES:
                return Said(replace(talk, phase=Phase.ASKED_NUMBER), phrases.WHICH_NUMBER)
            case Consent.NO if talk.phase is Phase.READ_BACK or _other_number(words):
                return self._number(replace(talk, number=""), words, "")
            case Consent.NO if talk.waiting:
                return Said(replace(talk, phase=Phase.NOTHING), phrases.STILL_WAITING)
            case Consent.NO:
                return Said(*self._message(talk, "All right."))
        if _CALL_BACK.search(words):
            return Said(*self._call_back(talk, ""))
        if len(words.split()) <= 3 and talk.misheard < MAX_MISHEARD:
            return Said(replace(talk, misheard=talk.misheard + 1), phrases.YES_OR_NO)
        return None

    def _number(self, talk: Talk, words: str, given: str) -> Said | None:
        if given:
            return self._read_back(talk, given)
        if _NO_PERSON.search(words):
            return Said(*self._message(talk, "All right."))
        if talk.misheard >= MAX_MISHEARD:
            return Said(*self._message(replace(talk, call_back=False), phrases.NO_NUMBER))
        asked = replace(talk, phase=Phase.ASKED_NUMBER, number="", misheard=talk.misheard + 1)
        return Said(asked, phrases.NUMBER_AGAIN if talk.misheard else phrases.WHICH_NUMBER)

    def _message_wanted(self, talk: Talk, words: str) -> Said | None:
        if _MESSAGE.search(words):
            return Said(Talk(), phrases.SPEAK_NOW, Effect.RECORD)
        match judge_consent(words):
            case Consent.YES:
                return Said(Talk(), phrases.SPEAK_NOW, Effect.RECORD)
            case Consent.NO:
                return Said(replace(talk, phase=Phase.NOTHING), phrases.NO_NEED)
        return None

    # --- what is offered -------------------------------------------------------------------------

    def _offer(self, talk: Talk, why: str) -> tuple[Talk, str]:
        return self._call_back(talk, why) if talk.call_back else self._message(talk, why)

    def _call_back(self, talk: Talk, why: str) -> tuple[Talk, str]:
        number = self.caller_number
        asks = phrases.call_at(number) if number else phrases.SHALL_WE_CALL
        offered = replace(talk, phase=Phase.OFFERED, number=number, misheard=0)
        return offered, f"{why} {asks}".strip()

    def _message(self, talk: Talk, why: str) -> tuple[Talk, str]:
        if not self.messages:
            ends = "Is there anything I can help with?"
            return replace(talk, phase=Phase.NOTHING), f"{why} {ends}"
        return replace(talk, phase=Phase.MESSAGE_OFFERED), f"{why} {phrases.LEAVE_MESSAGE}"

    @staticmethod
    def _read_back(talk: Talk, number: str) -> Said:
        return Said(replace(talk, phase=Phase.READ_BACK, number=number), phrases.is_it(number))


def number_in(words: str) -> str:
    """The telephone number that is said; empty when there is none of a fitting length."""
    tokens = _TOKEN.findall(words.lower().replace("plus ", "+"))
    plus = "+" if "+" in tokens else ""
    read = read_numbers([token for token in tokens if token != "+"])  # noqa: S105 - a plus sign
    # Recognisers write numbers in groups: "0742 123 4567".
    runs, run = [], ""
    for word in read:
        if word.isdigit():
            run += word
        elif run:
            runs.append(run)
            run = ""
    longest = max([*runs, run], key=len)
    return plus + longest if _is_number(longest) else ""


def _is_number(digits: str) -> bool:
    return digits.isdigit() and _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS


def _other_number(words: str) -> bool:
    return bool(re.search(r"\b(another|different|other|wrong) (number|phone|one)\b", words, re.I))
