"""When a call touches payment data, and when that is over. Pure.

A recording must hold no card number and no security code (PCI DSS 3.3 forbids keeping the code at
all). It is better paused once too often: what sounds like payment data pauses it, and it goes on
after a whole turn in which neither side spoke of any.
"""

from __future__ import annotations

import re

from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.safety.personal_data_rules import find_identifiers
from voice_agent.safety.spoken_forms import written

_WORDS = re.compile(
    r"\b(?:(?:credit|debit|bank|payment|visa|master ?card|amex)(?: card)? "
    r"(?:number|details|info\w*)"
    r"|card(?:'s)? (?:numbers?|details|info\w*|codes?)|(?:number|code|digits|date) (?:on|of|from) "
    r"(?:the |my |your )?(?:back of )?(?:the |my |your )?(?:\w+ )?card|security (?:code|number)"
    r"|cvv2?|cvc2?|c v v|c v c|verification (?:code|value)"
    r"|expir(?:y|es|ation) ?(?:date|month|year)?"
    r"|valid (?:through|thru|until)|(?:three|four|3|4)[- ]digits?(?: code| number)? on"
    r"|long number (?:on|across)|pin (?:code|number)|(?:my|the|your) (?:visa|mastercard|amex|"
    r"credit card|debit card) is|account number|sort code|iban|routing number)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d(?:[\s,.-]*\d){3,}")
_PART = re.compile(r"\d[\s,.-]*\d")
_SENSITIVE = frozenset({Kind.CARD, Kind.ACCOUNT, Kind.SECRET})


def touches_payment(text: str) -> bool:
    """Whether words hold payment data, speak of it, or ask for it."""
    if _WORDS.search(text):
        return True
    return any(found.kind in _SENSITIVE for found in find_identifiers(text))


def holds_digits(text: str) -> bool:
    """Whether words hold four digits in a row or more, written or spoken."""
    return _holds(_DIGITS, text)


def _holds(digits: re.Pattern[str], text: str) -> bool:
    form = written(text)
    return bool(digits.search(text) or (form is not None and digits.search(form.text)))


class PaymentTalk:
    """One call's words, as far as payment data are concerned."""

    def __init__(self) -> None:
        self.paused = False
        """The recording is, or ought to be."""
        self._unanswered = False
        """Words with payment data have been heard, and no reply to them is due yet."""

    def hear_caller(self, words: str) -> bool:
        """What the caller says, perhaps still unfinished; true when it must not be recorded.

        That is asked for again and again: others may have ended the pause. While one lasts, two
        digits in a row are a part of what it is for.
        """
        if not touches_payment(words) and not (self.paused and _holds(_PART, words)):
            return False
        self._unanswered = self.paused = True
        return True

    def hear_agent(self, words: str) -> bool:
        """What the agent begins to say; true when that and what follows must not be recorded."""
        if not touches_payment(words):
            return False
        self.paused = True
        return True

    def commit(self, words: str) -> None:
        """The caller's turn is over, and a reply to it follows."""
        if words:
            self._unanswered = False

    def over(self, words: str, said: str) -> bool:
        """A turn is over, ``words`` the caller's and ``said`` the agent's; true when the pause ends
        with it."""
        delicate = touches_payment(words) or touches_payment(said) or holds_digits(words)
        if not self.paused or not words or self._unanswered or delicate:
            return False
        self.paused = False
        return True
