"""What a simulated caller wants, and how they behave at each turn: drawn from a seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from evals.back_office.service import OfficeTrouble


class Answer(StrEnum):
    """What a caller makes of what is read back to them."""

    YES = "yes"
    TAKES_BACK = "takes_back"
    """A yes that is none: "yes… no wait"."""
    NO = "no"
    VAGUE = "vague"
    CORRECTS = "corrects"


class Break(StrEnum):
    """What cuts a reply of the agent."""

    NONE = "none"
    SPEAKS_OVER = "speaks_over"
    COUGHS = "coughs"
    HANGS_UP = "hangs_up"
    AGENT_DIES = "agent_dies"


SAID = {
    Answer.YES: (
        "Yes.",
        "Yes please.",
        "Yeah, that's right.",
        "Yes, go ahead.",
        "Correct.",
        "Do it.",
    ),
    Answer.TAKES_BACK: (
        "Yes... no wait.",
        "Yes, actually no.",
        "Yeah hold on a second.",
        "Yes but not yet.",
        "Sure, wait.",
        "Yes, I think so, maybe.",
    ),
    Answer.NO: ("No.", "No, don't.", "Stop.", "No thanks.", "Cancel that."),
    Answer.VAGUE: ("Okay.", "Mm-hm.", "Hello?", "What was that?", "Well.", "I see.", ""),
    Answer.CORRECTS: (),
}
OVER_TALK = ("Hello?", "No wait, stop.", "Yes.", "Hold on.", "What did you say?", "No.", "Sorry?")
RETRACTIONS = frozenset({"No wait, stop.", "No.", "Hold on."})
TROUBLES = (
    *[OfficeTrouble.NONE] * 6,
    OfficeTrouble.DOWN,
    OfficeTrouble.FAILS_AFTER,
    OfficeTrouble.DROPS_BEFORE,
    OfficeTrouble.DROPS_AFTER,
    OfficeTrouble.SLOW_BEFORE,
    OfficeTrouble.SLOW_AFTER,
    OfficeTrouble.ANSWERS_TWICE,
    OfficeTrouble.ERROR_INSIDE,
    OfficeTrouble.SAYS_SO,
)
BREAKS = (
    *[Break.NONE] * 8,
    *[Break.SPEAKS_OVER] * 5,
    *[Break.COUGHS] * 3,
    *[Break.HANGS_UP] * 2,
    *[Break.AGENT_DIES] * 3,
)
"""While it is being confirmed or done."""
EARLIER_BREAKS = (*[Break.NONE] * 30, *BREAKS)
ACTIONS = ("refund", "cancel_order", "appointment", "password_reset", "ticket")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DAYS = ("December first", "December tenth", "the third of December", "December 21st")
WISHES = {
    "refund": "I want a refund please.",
    "cancel_order": "Please cancel my order.",
    "appointment": "I'd like to book an appointment.",
    "password_reset": "Please send me a new password link.",
    "ticket": "Please create a ticket for me.",
}


@dataclass(frozen=True, slots=True)
class Customer:
    """A made-up customer with one order, delivered unless they want it cancelled."""

    number: int
    order_status: str = "delivered"

    @property
    def customer_id(self) -> str:
        return f"C-{self.number}"

    @property
    def order_number(self) -> str:
        return f"FH{5_000_000 + self.number}"

    @property
    def email(self) -> str:
        return f"user{self.number}@example.com"

    def rows(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """Rows of the back office's customers and orders."""
        return (
            (self.customer_id, "A Caller", self.email, "1980-03-14", "4821", "730164"),
            (self.order_number, self.customer_id, "desk lamp", self.order_status, 100_000.0, None),
        )


class Script:
    """One caller: everything that is left to chance is drawn here, in order."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.action = self.draw.choice(ACTIONS)
        cancels = self.action == "cancel_order"
        self.customer = Customer(10_000 + seed, "in_preparation" if cancels else "delivered")
        self.amounts = [self.draw.randint(1, 99) for _ in range(3)]
        self.honours_keys = self.draw.random() < 0.7
        self.calls = 1 if self.draw.random() < 0.6 else 2

    def trouble(self) -> OfficeTrouble:
        """What goes wrong with the next request."""
        return self.draw.choice(TROUBLES)

    def breaks(self, *, confirming: bool) -> Break:
        """What happens to the agent's next reply."""
        return self.draw.choice(BREAKS if confirming else EARLIER_BREAKS)

    def answer_to(self, asked: str) -> tuple[str, Answer | None]:
        """What the caller says to the agent's last words; a read-back has an answer of a kind."""
        said = asked.lower()
        if "shall i do that" in said:
            kinds = [Answer.YES] * 5 + [Answer.TAKES_BACK, Answer.NO, Answer.VAGUE]
            if self.action == "refund":
                kinds.append(Answer.CORRECTS)
            kind = self.draw.choice(kinds)
            if kind is Answer.CORRECTS:
                return f"No, {self.draw.choice(self.amounts)} dollars.", kind
            return self.draw.choice(SAID[kind]), kind
        if "order number" in said or "digits" in said:
            return " ".join(DIGITS[int(each)] for each in self.customer.order_number[2:]), None
        if "date of birth" in said or "does not match" in said:
            return "March fourteenth nineteen eighty.", None
        if "how much" in said or "amount" in said:
            return f"{self.amounts[0]} dollars.", None
        if "which day" in said or "month and the day" in said:
            return f"{self.draw.choice(DAYS)}.", None
        if "morning or in the afternoon" in said:
            return "In the morning.", None
        if "e-mail address" in said or "letter by letter" in said:
            return self.customer.email, None
        if "what should i note" in said:
            return f"My lamp flickers, number {self.customer.number}.", None
        return WISHES[self.action], None
