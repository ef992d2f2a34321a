"""The actions of one call: takes the caller's words, does what they ask for, says how it went.

Replies are made before the caller's turn is surely over, and may be dropped. So each works on a
draft; the one whose turn is over becomes what the call goes on from. Nothing is checked or written
before that, and a write only after a moment in which the caller can still say "no, wait".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import structlog

from voice_agent.answering.actions import phrases
from voice_agent.answering.actions.consent import Consent, heard_whole, judge_consent
from voice_agent.answering.actions.errors import (
    ActionError,
    NotAllowed,
    ToolRefused,
    ToolUncertain,
)
from voice_agent.answering.actions.flow import (
    Aside,
    Checked,
    CheckIdentity,
    Do,
    Flow,
    FlowRules,
    Look,
    Phase,
    ReadBack,
    Say,
    Step,
    ToPerson,
)
from voice_agent.answering.actions.journal import Write
from voice_agent.answering.actions.permission import Agreement, Verified
from voice_agent.answering.actions.results import told
from voice_agent.answering.actions.runner import NOT_WANTED, Outcome, Runner
from voice_agent.reply import AfterReply, Reply, Road

log = structlog.get_logger(__name__)

Speak: TypeAlias = Callable[[str], Awaitable[None]]
_CUSTOMER = re.compile(r"[\w-]{1,40}")


@dataclass(slots=True)
class Draft:
    """What one reply makes of the flow."""

    reply: Reply
    flow: Flow
    step: Step
    before: str = ""
    """Said before anything else."""
    telling: str = ""
    """The result it tells, and the write it is the result of."""
    telling_key: str = ""
    writing: asyncio.Task[Outcome] | None = None
    """A write begun by an earlier reply, whose end this one tells."""
    halted: bool = False
    """The caller is making a sound over it."""
    going_on: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Done:
    """An action of the call, for its record."""

    action: str
    state: str
    reason: str = ""
    key: str = ""


class ActionDesk:
    """Holds the flow of a call. ``grace_s``: so long a write waits for "no, wait"."""

    def __init__(
        self, rules: FlowRules, runner: Runner, call_id: str = "", grace_s: float = 0.7
    ) -> None:
        self._rules = rules
        self._runner = runner
        self._call_id = call_id
        self._grace_s = grace_s
        self._drafts: dict[int, Draft] = {}
        self._flow = Flow()
        self._last: Draft | None = None
        """The latest whose turn is over."""
        self._attempts = 0
        self._untold: list[tuple[str, str]] = []
        self._writing: asyncio.Task[Outcome] | None = None
        self.done: list[Done] = []

    @property
    def flow(self) -> Flow:
        """The flow as the call goes on from."""
        return self._last.flow if self._last is not None else self._flow

    @property
    def wants_secret_keys(self) -> bool:
        """Whether keys pressed now are a PIN or a code, which no transcript may hold."""
        return self.flow.phase is Phase.IDENTIFY

    async def resume(self, call_id: str) -> None:
        """Take over a call: what was done in it and not told will be told next."""
        self._call_id = call_id
        for write in await asyncio.to_thread(self._runner.journal.of_call, call_id):
            if not write.told and write.state in ("done", "unknown"):
                self._untold.append((write.key, self._told_later(write)))

    # --- a reply -----------------------------------------------------------------------------

    def takes(self, reply: Reply, keys: str = "") -> bool:
        """Whether the caller's words are for the open flow; then :meth:`answer` answers them."""
        last = self._last
        flow = self.flow
        if self._untold:
            text = " ".join(text for _, text in self._untold)
            self._begin(reply, flow, Say(phrases.ANYTHING_ELSE), before=text)
            return True
        if flow.phase is Phase.DOING:
            return self._takes_while_doing(reply, flow)
        if not flow.open:
            return False
        heard = last.reply.heard if last is not None else ""
        changed, step = self._rules.hear(flow, reply.question, keys=keys, heard=heard)
        self._begin(reply, changed, step)
        return not isinstance(step, Aside)

    def starts(self, reply: Reply, action: str) -> None:
        """The caller's words ask for ``action``; :meth:`answer` answers them."""
        flow, step = self._rules.begin(self.flow, action, reply.question)
        self._begin(reply, flow, step)

    def _begin(self, reply: Reply, flow: Flow, step: Step, before: str = "") -> None:
        draft = Draft(reply, flow, step, before)
        if reply.committed:
            self._last = draft
        else:
            self._drafts[reply.reply_id] = draft

    def _takes_while_doing(self, reply: Reply, flow: Flow) -> bool:
        if self._writing is None:  # a look that was cut short: the words are a new request
            self._begin(reply, Flow(verified=flow.verified), Aside())
            return False
        self._begin(reply, flow, Do(Agreement("", "", reply.question)))
        if (draft := self._draft_of(reply)) is not None:
            draft.writing = self._writing
        return True

    def commit(self, reply: Reply) -> None:
        """The caller's turn is over: the call goes on from this reply's draft.

        Tell of every reply: a yes counts only right after what was read back.
        """
        if self._last is None or self._last.reply is not reply:
            draft = self._drafts.pop(reply.reply_id, None)
            self._last = draft or Draft(reply, self.flow, Aside())

    def drop(self, reply: Reply) -> None:
        """The reply is over or was never to be heard."""
        self._drafts.pop(reply.reply_id, None)

    def halt(self, reply: Reply) -> None:
        """The caller makes a sound over the reply: begin nothing."""
        if (draft := self._draft_of(reply)) is not None:
            draft.halted = True
            draft.going_on.clear()

    def go_on(self, reply: Reply) -> None:
        """It was no interruption."""
        if (draft := self._draft_of(reply)) is not None:
            draft.halted = False
            draft.going_on.set()

    async def over(self, reply: Reply) -> None:
        """The reply has ended: note whether the result in it was heard."""
        self.drop(reply)
        draft = self._last
        if draft is None or draft.reply is not reply:
            return
        if draft.before and heard_whole(draft.before, reply.heard):
            for key, text in list(self._untold):
                if text in draft.before:
                    self._untold.remove((key, text))
                    await asyncio.to_thread(self._runner.journal.note_told, key)
        if not draft.telling:
            return
        if heard_whole(draft.telling, reply.heard):
            await asyncio.to_thread(self._runner.journal.note_told, draft.telling_key)
        else:
            self._untold.append((draft.telling_key, draft.telling))

    def _draft_of(self, reply: Reply) -> Draft | None:
        if self._last is not None and self._last.reply is reply:
            return self._last
        return self._drafts.get(reply.reply_id)

    # --- answering ---------------------------------------------------------------------------

    async def answer(self, reply: Reply, speak: Speak) -> None:
        """Say what follows; ``speak`` takes one sentence after the other."""
        draft = self._draft_of(reply)
        if draft is None:
            return
        if draft.before:
            await speak(draft.before)
        while True:
            match draft.step:
                case Say(text):
                    await speak(text)
                    return
                case ReadBack(_, text):
                    await speak(text)
                    return
                case ToPerson(text, reason, brief):
                    reply.road, reply.after, reply.brief = Road.PERSON, AfterReply.TRANSFER, brief
                    reply.handoff = reason
                    log.info("action_handed_over", reason=reason, pii={"brief": brief})
                    await speak(text)
                    return
                case CheckIdentity():
                    await reply.turn_over.wait()
                    checked = await self._check(draft.step)
                    draft.flow, draft.step = self._rules.checked(draft.flow, checked)
                case Look():
                    await self._look(draft)
                case Do():
                    await self._do(draft, speak)
                case Aside():
                    return

    async def _look(self, draft: Draft) -> None:
        try:
            outcome = await self._runner.read(
                draft.flow.action, draft.flow.values, draft.flow.verified
            )
        except NotAllowed as error:
            outcome = Outcome("refused", reason=error.reason)
        self._note(draft.flow.action, outcome)
        draft.flow, draft.step = self._rules.acted(draft.flow, outcome)

    async def _do(self, draft: Draft, speak: Speak) -> None:
        before = ""
        agreed = draft.flow
        if draft.writing is None:
            # Until the write is sent, the flow waits for a yes to what was read back.
            draft.flow = replace(agreed, phase=Phase.CONFIRM)
            await speak(phrases.DOING)
            await draft.reply.turn_over.wait()
            await self._grace(draft)
            draft.flow = agreed
            self._writing = draft.writing = self._begin_writing(draft)
        elif isinstance(draft.step, Do) and _objects(draft.step.agreement.words):
            before = phrases.DONE_BEFORE_STOP
        outcome = await asyncio.shield(draft.writing)
        if self._writing is draft.writing:
            self._writing = None
        if outcome.reason == NOT_WANTED:
            self._do_over(draft)
            return
        draft.flow, draft.step = self._rules.acted(draft.flow, outcome)
        if isinstance(draft.step, Say | ToPerson):
            draft.telling, draft.telling_key = draft.step.text, outcome.key
        if before and outcome.state == "done":
            await speak(before)

    def _do_over(self, draft: Draft) -> None:
        """The caller made a sound just before the write was sent, so it was not."""
        if isinstance(draft.step, Do) and draft.step.agreement.statement:
            draft.writing = None  # if it was a cough, it is done after all
        else:  # these are the words that the sound became
            waiting = replace(draft.flow, phase=Phase.CONFIRM)
            draft.flow, draft.step = self._rules.hear(waiting, draft.reply.question)

    def _begin_writing(self, draft: Draft) -> asyncio.Task[Outcome]:
        return asyncio.create_task(
            self._write(draft.flow, draft.step, wanted=lambda: not draft.halted)
        )

    async def _write(self, flow: Flow, step: Step, wanted: Callable[[], bool]) -> Outcome:
        assert isinstance(step, Do)  # noqa: S101
        try:
            outcome = await self._runner.write(
                self._call_id, flow.action, flow.values, flow.verified, step.agreement, wanted
            )
        except NotAllowed as error:
            log.error("write_not_allowed", action=flow.action, reason=error.reason)
            outcome = Outcome("refused", reason=error.reason)
        if outcome.reason != NOT_WANTED:
            self._note(flow.action, outcome)
        return outcome

    async def _grace(self, draft: Draft) -> None:
        """Wait in case the caller says "no, wait"; words drop the reply, and this with it."""
        await asyncio.sleep(self._grace_s)
        while draft.halted:
            await draft.going_on.wait()

    async def _check(self, step: CheckIdentity) -> Checked:
        identity = self._runner.declarations.identity
        assert identity is not None, "the declarations were checked"  # noqa: S101
        (subject_name, subject), (factor_name, factor) = step.subject, step.factor
        journal = self._runner.journal
        self._attempts += 1
        if self._attempts > identity.attempts or not await asyncio.to_thread(
            journal.note_attempt, subject.data, identity.window_s, identity.attempts
        ):
            return "locked"
        arguments = {subject_name: subject.data, "factor": factor_name, "value": factor.data}
        try:
            data = await self._runner.check_identity(arguments)
        except ToolRefused:
            data = {}
        except ActionError as error:
            log.warning("identity_check_failed", code=error.code, reason=str(error))
            self._attempts -= 1
            await asyncio.to_thread(journal.forget_last_attempt, subject.data)
            return "failed"
        customer = str(data.get("customer_id") or "")
        if data.get("verified") is True and _CUSTOMER.fullmatch(customer):
            self._attempts = 0
            await asyncio.to_thread(journal.forget_attempts, subject.data)
            return Verified(customer, factor_name)
        return "locked" if self._attempts >= identity.attempts else "wrong"

    def _note(self, action: str, outcome: Outcome) -> None:
        self.done.append(Done(action, outcome.state, outcome.reason, outcome.key))
        log.info("action_ended", action=action, state=outcome.state, reason=outcome.reason)

    def _told_later(self, write: Write) -> str:
        action = self._runner.declarations.actions.get(write.action)
        if action is None or write.state != "done":
            return phrases.UNCERTAIN
        values = {name: str(value) for name, value in write.arguments.items()}
        try:
            return told(action.result, write.result, values)
        except ToolUncertain:
            return phrases.UNCERTAIN


def _objects(words: str) -> bool:
    return judge_consent(words) is Consent.NO
