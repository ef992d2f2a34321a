"""What a call was about so far, gathered turn by turn for whoever takes over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.phrases import OFFER_PERSON
from voice_agent.handoff.brief import LAST_TURNS, REASONS, Brief, Mood, brief, wish
from voice_agent.handoff.reasons import Reasons
from voice_agent.reply import AfterReply, Reply, Road

MAX_TRIED = 6
_OFFERED_FOR = {
    Road.UNCLEAR: "not_understood",
    Road.PERSON: "unsure",
    Road.DECLINE: "unknown",
    Road.LANGUAGE: "language",
    Road.REFUSE: "policy",
}
_ANSWERED = (Road.ANSWER, Road.QUOTE, Road.VERIFIED)
_MOODS: dict[str, Mood] = {"upset": "upset", "vulnerable": "vulnerable"}


@dataclass(slots=True)
class Story:
    """Notes of one call."""

    caller: str = ""
    mood: Mood = "calm"
    tried: list[str] = field(default_factory=list)
    offered_for: str = ""
    """Why a person was offered in the reply before; empty when none was."""

    def note(self, reply: Reply) -> None:
        """A reply is over."""
        if reply.is_consent:
            return
        if not reply.committed or not reply.question:
            if reply.road is Road.UNCLEAR and reply.text.endswith(OFFER_PERSON):
                self.offered_for = "not_understood"
            return
        offers = reply.text.endswith(OFFER_PERSON)
        self.offered_for = _OFFERED_FOR.get(reply.road, "unsure") if offers else ""
        if reply.road is Road.REFUSE and "frustrating" in reply.text:
            self.mood = "annoyed"
        if reply.choice is not None and reply.choice.road is Road.PERSON:
            self.mood = _MOODS.get(reply.choice.name, self.mood)
        if reply.road in _ANSWERED and reply.heard:
            self._try(f"Answered: {reply.question}")
        elif reply.road is Road.DECLINE:
            self._try(f"Could not answer: {reply.question}")

    def reason(self, reply: Reply) -> str:
        """Why this reply puts the caller through."""
        if reply.road is Road.FAILED:
            return "failed"
        if reply.handoff:
            return reply.handoff if reply.handoff in REASONS else "action"
        choice = reply.choice
        if choice is not None and choice.road is Road.PERSON:
            if choice.name in REASONS:
                return choice.name
            if self.offered_for:
                return self.offered_for
        return "asked"

    def brief(
        self,
        reply: Reply,
        reason: str,
        reasons: Reasons,
        history: Sequence[tuple[str, str]],
        actions: ActionDesk | None,
    ) -> Brief:
        """All of it, and the sentence that says it."""
        verified = actions.flow.verified if actions is not None else None
        done = actions.done if actions is not None else []
        before = [turn for turn in history if turn[0] != reply.question]
        acted = [
            f"{each.action.replace('_', ' ').capitalize()}: {each.state}"
            f"{f' ({each.reason})' if each.reason else ''}"
            for each in done
        ]
        spoken = brief(
            before,
            reply.question,
            reason,
            reasons,
            verified=verified is not None,
            known=reply.brief,
        )
        last = (*before, (reply.question, reply.text))[-LAST_TURNS:]
        return Brief(
            caller=self.caller,
            who=f"customer {verified.customer}, shown by {verified.factor}" if verified else "",
            verified=verified is not None,
            reason=reason,
            wants=reply.brief or wish(before, reply.question, reason),
            tried=(*self.tried, *acted),
            promised=tuple(
                f"{each.action.replace('_', ' ').capitalize()} was done"
                for each in done
                if each.state == "done" and each.key
            ),
            mood=_MOODS.get(reason, self.mood),
            turns=tuple(turn for turn in last if any(turn)),
            next_step=reasons.of(reason).next_step,
            spoken=spoken,
        )

    def _try(self, what: str) -> None:
        self.tried = [*self.tried, what][-MAX_TRIED:]


def puts_through(reply: Reply) -> bool:
    """Whether a person is to be rung once this reply is heard."""
    return reply.after is AfterReply.TRANSFER
