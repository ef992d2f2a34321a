"""What the agent says around a handoff."""

from __future__ import annotations

ANYTHING_ELSE = "Is there anything else I can help with?"
CLOSED = "I'm sorry, our colleagues are not there at the moment."
NOBODY_FREE = "I'm sorry, nobody is free at the moment."
TOO_MANY_WAIT = "I'm sorry, too many callers are waiting at the moment."
NOT_REACHED = "I'm sorry, I can't reach anybody at the moment."
LEFT_EARLY = "I'm sorry, my colleague had to leave the call."
CUT_OFF = "I'm sorry, the connection to my colleague broke off."
NEXT_IN_LINE = "You are next in the queue."
CALL_BACK_ANY_TIME = "If you would rather be called back, just say so."
SHALL_WE_CALL = "Shall we call you back?"
WHICH_NUMBER = "Which number shall we call?"
NUMBER_AGAIN = "Sorry, I didn't get the number. You can key it in, then press hash."
NO_NUMBER = "I'm sorry, I can't take the number down."
ONE_MOMENT = "One moment, please."
NUMBER_REFUSED = "I'm sorry, we can't call that number."
NOT_KEPT = "I'm sorry, I could not note the call-back."
LEAVE_MESSAGE = "Would you like to leave a message?"
SPEAK_NOW = "Please say your message now, and press hash when you are done."
MESSAGE_KEPT = (
    f"Thank you, I have kept your message, and somebody will listen to it. {ANYTHING_ELSE}"
)
NO_MESSAGE = f"I'm sorry, I did not hear a message. {ANYTHING_ELSE}"
STILL_WAITING = "All right, please stay on the line."
NO_PERSON = f"All right, I won't put you through. {ANYTHING_ELSE}"
NO_NEED = f"All right. {ANYTHING_ELSE}"
YES_OR_NO = "Sorry, was that a yes or a no?"

FIXED = tuple(
    value for name, value in globals().items() if name.isupper() and isinstance(value, str)
)
"""Sentences that are known beforehand, worth keeping as sound."""

_ORDINAL = ("", "next", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def why_not(reason: str) -> str:
    """Why nobody could be had, in the words a caller hears, from the gateway's code."""
    match reason:
        case "closed":
            return CLOSED
        case "queue_full":
            return TOO_MANY_WAIT
        case "busy" | "declined" | "no_answer" | "hung_up_early":
            return NOBODY_FREE
        case _:
            return NOT_REACHED


def place(position: int, wait_s: float | None) -> str:
    """The place in the queue, and how long it takes where that is known."""
    told = NEXT_IN_LINE
    if position > 1:
        number = _ORDINAL[position] if position < len(_ORDINAL) else str(position)
        told = f"You are number {number} in the queue."
    if wait_s is None:
        return told
    minutes = round(wait_s / 60)
    if minutes < 1:
        return f"{told} It should take less than a minute."
    return f"{told} It will take about {minutes} minute{'' if minutes == 1 else 's'}."


def digits(number: str) -> str:
    """A telephone number as it is read back: digit by digit, in small groups."""
    plain = number.removeprefix("+")
    groups, at = [], 0
    while at < len(plain):
        size = 4 if len(plain) - at == 4 else 3
        groups.append(" ".join(plain[at : at + size]))
        at += size
    return f"{'plus ' if number.startswith('+') else ''}{', '.join(groups)}"


def call_at(number: str) -> str:
    """The offer to ring a number."""
    return f"Shall we call you back at {digits(number)}?"


def is_it(number: str) -> str:
    """A number read back."""
    return f"We call you at {digits(number)}, is that right?"


def will_call(number: str) -> str:
    """The promise, once it is kept on disk."""
    return f"All right, we will call you back at {digits(number)}. {ANYTHING_ELSE}"
