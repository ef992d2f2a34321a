"""The course of one action, from the wish to the result. Pure: words in, a step out.

::

    begin ─▶ IDENTIFY ─▶ COLLECT ─▶ CONFIRM ─▶ DOING ─▶ closed
              who are     what it     a write    the
              you?        needs       read back  service

A flow is a value: a reply that is dropped leaves the one before it as it was.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from voice_agent.answering.actions import phrases
from voice_agent.answering.actions.consent import Consent, heard_whole, judge_consent
from voice_agent.answering.actions.declaration import Action, Declarations, Parameter
from voice_agent.answering.actions.errors import ToolUncertain
from voice_agent.answering.actions.permission import Agreement, Verified, over_limit, read_back
from voice_agent.answering.actions.results import told
from voice_agent.answering.actions.runner import Outcome
from voice_agent.answering.actions.values import Value, digits_in, read_value
from voice_agent.answering.roads import choose_road
from voice_agent.reply import Road

MISSES_ALLOWED = 2
ASIDES_ALLOWED = 2
"""Other questions in the middle of a flow; then it is forgotten."""
FACTOR = "factor"

_LEAVE = re.compile(
    r"\b(never ?mind|forget (it|that|about it)|leave it|cancel (that|it)|stop it|"
    r"changed my mind|don'?t bother)\b|^\W*(stop|cancel)\W*$",
    re.IGNORECASE,
)
_LACKING = re.compile(
    r"\b(do not|don't|can't|cannot|didn't|haven't|not) (know|have|remember|recall|got|find)\b",
    re.IGNORECASE,
)
_POINTING_BACK = re.compile(r"\b(that|this|the same) order\b|\bfor it\b", re.IGNORECASE)
_QUESTION = re.compile(
    r"^\W*(what|how|where|when|why|which|who|do|does|can|could|is|are|will|would)\b", re.IGNORECASE
)


class Phase(StrEnum):
    """How far a flow is."""

    CLOSED = "closed"
    IDENTIFY = "identify"
    COLLECT = "collect"
    CONFIRM = "confirm"
    DOING = "doing"


@dataclass(frozen=True, slots=True)
class Flow:
    """An action on its way. ``asked`` is the parameter the caller was asked for last."""

    action: str = ""
    phase: Phase = Phase.CLOSED
    values: Mapping[str, Value] = field(default_factory=dict)
    asked: str = ""
    misses: int = 0
    asides: int = 0
    subject: tuple[str, Value] | None = None
    verified: Verified | None = None
    """Who the caller is; kept from one flow to the next."""
    statement: str = ""
    """What was read back."""
    begun: str = ""
    """Digits of a number that is said in pieces."""
    recent: Mapping[str, Value] = field(default_factory=dict)
    """Values of the flow before, which "that order" means."""

    @property
    def open(self) -> bool:
        """Whether the caller's next words are for it."""
        return self.phase is not Phase.CLOSED


@dataclass(frozen=True, slots=True)
class Say:
    """Say this; the caller's next words are for the flow, if it is still open."""

    text: str


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Say what a write will do, and ask. ``statement`` must be heard to its end."""

    statement: str
    text: str


@dataclass(frozen=True, slots=True)
class CheckIdentity:
    """Ask whether this is the customer they say they are."""

    subject: tuple[str, Value]
    factor: tuple[str, Value]


@dataclass(frozen=True, slots=True)
class Look:
    """Read it."""


@dataclass(frozen=True, slots=True)
class Do:
    """Write it: the caller agreed."""

    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ToPerson:
    """Say this and put the caller through; ``reason`` is a code, ``brief`` what a person hears."""

    text: str
    reason: str
    brief: str


@dataclass(frozen=True, slots=True)
class Aside:
    """The words are not for the flow: answer them as any others."""


Step: TypeAlias = Say | ReadBack | CheckIdentity | Look | Do | ToPerson | Aside
Checked: TypeAlias = Literal["wrong", "locked", "failed"] | Verified


class FlowRules:
    """The rules of all flows: the declarations, applied."""

    def __init__(
        self,
        declarations: Declarations,
        today: Callable[[], datetime.date] = datetime.date.today,
    ) -> None:
        self._declared = declarations
        self._today = today

    def begin(self, flow: Flow, name: str, words: str) -> tuple[Flow, Step]:
        """The caller wants ``name`` done; ``flow`` is the one before, which is given up."""
        before = {**flow.recent, **flow.values} if _POINTING_BACK.search(words) else {}
        flow = Flow(name, Phase.COLLECT, verified=flow.verified, recent=flow.recent)
        action = self._declared.actions[name]
        values = {
            each: value
            for each, value in before.items()
            if each in action.parameters and action.parameters[each].kind == "code"
        }
        found = self._found(action, words, {})
        return self._next(replace(flow, values={**values, **found}))

    def hear(self, flow: Flow, words: str, *, keys: str = "", heard: str = "") -> tuple[Flow, Step]:
        """The caller speaks or presses ``keys`` in an open flow.

        ``heard`` is what they heard of the agent's last reply.
        """
        if choose_road(words, "") is Road.PERSON and not keys:
            return self._hand_over(flow, phrases.TRANSFERRING, "asked")
        if flow.phase is Phase.CONFIRM:
            return self._confirm(flow, words, heard)
        if not keys and self._leaves(flow, words):
            return self._close(flow), Say(phrases.LEFT)
        if flow.phase is Phase.IDENTIFY:
            return self._identify(flow, words, keys)
        return self._collect(flow, words, keys)

    def checked(self, flow: Flow, outcome: Checked) -> tuple[Flow, Step]:
        """An identity check has ended."""
        match outcome:
            case Verified():
                return self._next(replace(flow, verified=outcome, misses=0, asked=""))
            case "wrong":
                return replace(flow, asked=FACTOR), Say(phrases.WRONG_IDENTITY)
            case "locked":
                return self._hand_over(flow, phrases.LOCKED, "identity_not_shown")
            case "failed":
                return self._hand_over(flow, phrases.CHECK_FAILED, "identity_check_failed")

    def acted(self, flow: Flow, outcome: Outcome) -> tuple[Flow, Step]:
        """The action has ended; what is told comes from its data."""
        action = self._declared.actions[flow.action]
        if outcome.state == "done":
            try:
                text = told(action.result, outcome.data, _told(flow.values))
            except ToolUncertain:
                return self._hand_over(flow, phrases.UNCERTAIN, "result_unclear")
            before = f"{phrases.ALREADY_DONE} " if outcome.earlier else ""
            return self._close(flow), Say(f"{before}{text}")
        if outcome.state == "refused":
            if text := action.refusals.get(outcome.reason, ""):
                return self._close(flow), Say(text)
            return self._hand_over(flow, phrases.REFUSED, f"refused:{outcome.reason}")
        if outcome.state == "undone":
            return self._hand_over(flow, phrases.UNAVAILABLE, "service_unavailable")
        return self._hand_over(flow, phrases.UNCERTAIN, "write_uncertain")

    def brief(self, flow: Flow) -> str:
        """The wish in a person's words: "They want a refund: order number FH1234567, …"."""
        action = self._declared.actions.get(flow.action)
        if action is None:
            return ""
        known = ", ".join(
            f"{name.replace('_', ' ')} {value.told}"
            for name, value in flow.values.items()
            if action.parameters[name].kind != "text"
        )
        wish = f"They want {action.title}{': ' + known if known else ''}."
        if flow.verified is not None:
            by = flow.verified.factor.replace("_", " ")
            return f"{wish} Their identity was checked by {by}."
        return f"{wish} Their identity was not checked."

    # --- steps -------------------------------------------------------------------------------

    def _next(self, flow: Flow) -> tuple[Flow, Step]:
        """What is missing, or the action itself."""
        action = self._declared.actions[flow.action]
        if action.identity and flow.verified is None:
            return self._ask_identity(flow)
        for name, parameter in action.parameters.items():
            if parameter.kind != "identity" and name not in flow.values:
                flow = replace(flow, phase=Phase.COLLECT, asked=name, misses=0)
                return flow, Say(parameter.ask)
        if over_limit(action, flow.values):
            return self._hand_over(flow, phrases.OVER_LIMIT, "over_limit")
        if action.effect == "read":
            return replace(flow, phase=Phase.DOING), Look()
        return self._read_back(flow, "")

    def _read_back(self, flow: Flow, before: str) -> tuple[Flow, Step]:
        statement = read_back(self._declared.actions[flow.action], flow.values)
        text = f"{before} {statement} {phrases.SHALL_I}".strip()
        flow = replace(flow, phase=Phase.CONFIRM, asked="", statement=statement)
        return flow, ReadBack(statement, text)

    def _ask_identity(self, flow: Flow) -> tuple[Flow, Step]:
        identity = self._declared.identity
        assert identity is not None, "the declarations were checked"  # noqa: S101
        subject = flow.subject or next(
            ((name, flow.values[name]) for name in identity.subjects if name in flow.values), None
        )
        if subject is None:
            name = next(
                (each for each in identity.subjects if each in self._parameters(flow)),
                next(iter(identity.subjects)),
            )
            flow = replace(flow, phase=Phase.IDENTIFY, asked=name, misses=0)
            return flow, Say(identity.subjects[name].ask)
        flow = replace(flow, phase=Phase.IDENTIFY, asked=FACTOR, subject=subject, misses=0)
        return flow, Say(identity.ask)

    def _identify(self, flow: Flow, words: str, keys: str) -> tuple[Flow, Step]:
        identity = self._declared.identity
        assert identity is not None, "the declarations were checked"  # noqa: S101
        if flow.asked != FACTOR:
            for name in (flow.asked, *identity.subjects):
                if value := self._read(identity.subjects[name], words, keys):
                    values = dict(flow.values)
                    if name in self._parameters(flow):
                        values[name] = value
                    flow = replace(flow, subject=(name, value), values=values)
                    return self._ask_identity(flow)
            return self._miss(flow, identity.subjects[flow.asked], words)
        for name, parameter in identity.factors.items():
            if (value := self._read(parameter, words, keys)) and flow.subject:
                return flow, CheckIdentity(flow.subject, (name, value))
        for name, parameter in identity.subjects.items():
            if value := self._read(parameter, words, keys):  # it was misheard: they say it again
                return self._ask_identity(replace(flow, subject=(name, value)))
        asking = next(iter(identity.factors.values())).model_copy(update={"ask": identity.ask})
        return self._miss(flow, asking, words)

    def _collect(self, flow: Flow, words: str, keys: str) -> tuple[Flow, Step]:
        action = self._declared.actions[flow.action]
        if flow.asked not in action.parameters:
            return flow, Aside()
        parameter = action.parameters[flow.asked]
        value = self._read(parameter, words, keys)
        if value is None:
            return self._miss(flow, parameter, words)
        values = {**flow.values, flow.asked: value}
        return self._next(replace(flow, values=self._found(action, words, values), misses=0))

    def _confirm(self, flow: Flow, words: str, heard: str) -> tuple[Flow, Step]:
        consent = judge_consent(words, flow.statement)
        if consent is Consent.YES:
            if not heard_whole(flow.statement, heard):
                return self._read_back(flow, phrases.ONCE_MORE)
            agreement = Agreement(flow.statement, heard, words)
            return replace(flow, phase=Phase.DOING), Do(agreement)
        action = self._declared.actions[flow.action]
        corrected = self._corrected(action, words, flow.values)
        if corrected != flow.values:
            return self._next(replace(flow, values=corrected, misses=0))
        if consent is Consent.NO or self._leaves(flow, words):
            return self._close(flow), Say(phrases.NOT_DONE)
        if _is_question(words):
            return self._aside(flow)
        if flow.misses >= MISSES_ALLOWED:
            return self._hand_over(flow, phrases.GIVE_UP, "not_confirmed")
        return self._read_back(replace(flow, misses=flow.misses + 1), phrases.YES_OR_NO)

    def _miss(self, flow: Flow, parameter: Parameter, words: str) -> tuple[Flow, Step]:
        if parameter.kind == "code" and (piece := digits_in(words)):
            begun = flow.begun + piece
            if len(begun) == parameter.digits:
                flow = replace(flow, begun="")
                hear = self._identify if flow.phase is Phase.IDENTIFY else self._collect
                return hear(flow, begun, "")
            if len(begun) < parameter.digits:
                return replace(flow, begun=begun), Say(phrases.GO_ON)
        flow = replace(flow, begun="")
        if _LACKING.search(words):
            return self._hand_over(flow, phrases.WITHOUT_IT, "value_missing")
        if _is_question(words):
            return self._aside(flow)
        if flow.misses >= MISSES_ALLOWED:
            return self._hand_over(flow, phrases.GIVE_UP, "value_not_understood")
        again = parameter.again or parameter.ask
        keyed = flow.misses + 1 == MISSES_ALLOWED and parameter.kind in ("code", "digits")
        text = phrases.KEY_IT_IN if keyed else f"{phrases.SAY_AGAIN} {again}"
        return replace(flow, misses=flow.misses + 1), Say(text)

    def _leaves(self, flow: Flow, words: str) -> bool:
        """Whether the caller gives it up; "cancel it" is what they want of a cancellation."""
        cancels = "cancel" in self._declared.actions[flow.action].read_back.lower()
        said = (found.group().lower() for found in _LEAVE.finditer(words))
        return any(not (cancels and "cancel" in each) for each in said)

    def _aside(self, flow: Flow) -> tuple[Flow, Step]:
        if flow.asides >= ASIDES_ALLOWED:
            return self._close(flow), Aside()
        return replace(flow, asides=flow.asides + 1), Aside()

    def _hand_over(self, flow: Flow, text: str, reason: str) -> tuple[Flow, Step]:
        return self._close(flow), ToPerson(text, reason, self.brief(flow))

    @staticmethod
    def _close(flow: Flow) -> Flow:
        return Flow(verified=flow.verified, recent={**flow.recent, **flow.values})

    # --- values ------------------------------------------------------------------------------

    def _parameters(self, flow: Flow) -> Mapping[str, Parameter]:
        return self._declared.actions[flow.action].parameters

    def _read(self, parameter: Parameter, words: str, keys: str) -> Value | None:
        if keys and parameter.kind in ("date", "email", "text", "choice"):
            return None
        return read_value(parameter, keys or words, self._today())

    def _found(
        self, action: Action, words: str, values: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        """``values`` with what else the words say of themselves."""
        found = dict(values)
        for name, parameter in action.parameters.items():
            if name not in found and (
                value := read_value(parameter, words, self._today(), asked=False)
            ):
                found[name] = value
        return found

    def _corrected(
        self, action: Action, words: str, values: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        corrected = dict(values)
        for name, parameter in action.parameters.items():
            asked = parameter.kind in ("code", "email")
            if value := read_value(parameter, words, self._today(), asked=asked):
                corrected[name] = value
        return corrected


def _told(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: value.told for name, value in values.items()}


def _is_question(words: str) -> bool:
    return len(words.split()) >= 4 and bool(_QUESTION.search(words))
