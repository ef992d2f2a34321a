"""What the agent says about actions, whatever they are."""

from __future__ import annotations

ANYTHING_ELSE = "Is there anything else I can help with?"
SHALL_I = "Shall I do that?"
YES_OR_NO = "Sorry, I need a clear yes or no."
ONCE_MORE = "Sorry, once more."
DOING = "All right, one moment."
NOT_DONE = f"All right, I have not done anything. {ANYTHING_ELSE}"
LEFT = f"All right, I'll leave it. {ANYTHING_ELSE}"
KEY_IT_IN = "Sorry, I still didn't get that. You can key it in on your telephone, then press hash."
SAY_AGAIN = "Sorry, I didn't get that."
GIVE_UP = "I'm sorry, I can't take that down. I'll put you through to a person."
WITHOUT_IT = "I can't do that without it. I'll put you through to a person."
OVER_LIMIT = "That is more than I may decide. I'll put you through to a person who can."
WRONG_IDENTITY = "I'm sorry, that does not match what we have. Please try once more."
LOCKED = "I'm sorry, I could not check who you are. I'll put you through to a person."
CHECK_FAILED = "I'm sorry, I can't check that right now. I'll put you through to a person."
UNAVAILABLE = "I'm sorry, our system does not answer right now. I'll put you through to a person."
UNCERTAIN = (
    "I'm sorry, our system has not confirmed it, so I can't say whether it was done. "
    "I'll put you through to a person who will look."
)
REFUSED = "I'm sorry, our system does not accept that. I'll put you through to a person."
ALREADY_DONE = "That has been done already."
DONE_BEFORE_STOP = "That was done before I heard you."
TRANSFERRING = "Of course. I'll put you through to a person now."
FOR_A_PERSON = "I can't do that myself. I'll put you through to a person who can."
