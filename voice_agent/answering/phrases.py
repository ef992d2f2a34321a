"""What the agent says without a language model. Known beforehand, so kept ready as sound."""

from __future__ import annotations

from voice_agent.config import AnsweringSettings
from voice_agent.speech.fillers import FILLERS

OFFER_PERSON = "Would you like me to put you through to a person?"
DECLINED = f"I'm sorry, I don't have that information. {OFFER_PERSON}"
CODE_UNKNOWN = (
    "I'm sorry, I have nothing about that code. If it is another one, please say it again. "
    f"{OFFER_PERSON}"
)
CLARIFY = "I'm not sure what you mean. Could you tell me a little more?"
UNSURE = f"I'm not sure I can help with that. {OFFER_PERSON}"
NOT_UNDERSTOOD = "Sorry, I didn't catch that. Could you say it again?"
NOT_UNDERSTOOD_TWICE = f"I'm sorry, I still didn't catch that. {OFFER_PERSON}"
STILL_THERE = "Are you still there?"
STILL_THERE_AGAIN = "I can't hear you. Are you still there?"
SILENT_GOODBYE = "I can't hear anyone, so I'll end the call now. Please call again. Goodbye."
HELLO = "Hello! How can I help you?"
WELCOME = "You're welcome. Is there anything else I can help with?"
THANK_YOU = "Thank you."
GOODBYE = "Thank you for calling. Goodbye."
TRANSFERRING = "Of course. I'll put you through to a person now."
TRANSFER_FAILED = "I'm sorry, nobody is free at the moment. Is there anything I can help with?"
TRANSFER_OVER = "You're back with the assistant. Is there anything else I can help with?"
BACK_AGAIN = "Sorry about that interruption. How can I help you?"
TROUBLE = "I'm sorry, something went wrong on my side. Could you say that again?"
TROUBLE_TRANSFER = "I'm sorry, I'm having technical trouble. I'll put you through to a person."
TROUBLE_GOODBYE = "I'm sorry, I'm having technical trouble. Please call again later. Goodbye."
OTHER_LANGUAGE = f"I'm sorry, I can only speak English. {OFFER_PERSON}"
NOTHING_TO_REPEAT = "I haven't said anything yet. How can I help you?"


def prepared_phrases(settings: AnsweringSettings) -> tuple[str, ...]:
    """All sentences worth keeping as sound."""
    own = (value for name, value in globals().items() if name.isupper() and isinstance(value, str))
    return (settings.greeting, *FILLERS, *own)
