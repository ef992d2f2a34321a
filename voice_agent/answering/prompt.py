"""What the language model is given. Pure.

The order keeps a common beginning as long as possible, because reading is the cost on a CPU:
instructions and summary, earlier turns, then the facts, and only then the question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from voice_agent.answering.chat_protocol import Message
from voice_agent.knowledge.passages import Passage

DECLINE_WORDS = "I don't have that information"
MAX_QUESTION_CHARS = 600


class AnswerPrompt:
    """The system prompt of a company, with an identity for the records."""

    def __init__(self, template: str, company: str) -> None:
        self.system = template.replace("{company}", company).strip()
        self.prompt_id = hashlib.sha256(self.system.encode()).hexdigest()[:12]

    def messages(
        self,
        question: str,
        passages: Sequence[Passage] = (),
        history: Sequence[tuple[str, str]] = (),
        summary: str = "",
    ) -> list[Message]:
        """Chat messages for one question; ``history`` is (caller, agent heard), oldest first."""
        system = self.system
        if summary:
            system += f"\n\nEarlier in this call: {summary}"
        messages: list[Message] = [{"role": "system", "content": system}]
        for caller, agent in history:
            if caller:
                messages.append({"role": "user", "content": caller})
            if agent:
                messages.append({"role": "assistant", "content": agent})
        messages.append({"role": "user", "content": ask(question, passages)})
        return messages


def ask(question: str, passages: Sequence[Passage]) -> str:
    """The last message: facts first, question last."""
    facts = "\n".join(f"- {fact(passage)}" for passage in passages)
    asked = " ".join(question.split())[:MAX_QUESTION_CHARS]
    return f"Facts:\n{facts}\n\nQuestion: {asked}" if facts else f"Question: {asked}"


def fact(passage: Passage) -> str:
    """A passage on one line, with its heading."""
    text = " ".join(passage.text.split())
    return f"{passage.heading}: {text}" if passage.heading else text


def summary_messages(summary: str, turns: Sequence[tuple[str, str]]) -> list[Message]:
    """Ask for a summary of a call so far, former summary included."""
    said = "\n".join(f"Caller: {caller}\nAssistant: {agent}" for caller, agent in turns)
    before = f"Summary so far: {summary}\n" if summary else ""
    return [
        {
            "role": "system",
            "content": "You summarise phone calls. Keep names, numbers, dates and what was agreed. "
            "Answer with two or three short sentences and nothing else.",
        },
        {"role": "user", "content": f"{before}{said}"},
    ]
