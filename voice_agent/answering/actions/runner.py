"""Does actions: reads as they come, writes once. Shared by all calls of an agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from voice_agent.answering.actions.declaration import Action, Declarations
from voice_agent.answering.actions.errors import (
    ActionError,
    NotAllowed,
    ToolRefused,
    ToolUnavailable,
    ToolUncertain,
)
from voice_agent.answering.actions.journal import Journal, State, Write, key_of
from voice_agent.answering.actions.permission import Agreement, Verified, check_permission
from voice_agent.answering.actions.results import check_result, refusal_in
from voice_agent.answering.actions.tools import Call, Source
from voice_agent.answering.actions.values import Value

log = structlog.get_logger(__name__)

TRIES = 2
"""A write whose end is not known is asked for once more, where the service knows it by its key."""
LEASE_MARGIN_S = 2.0
NOT_WANTED = "not_wanted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended. ``key`` names a write."""

    state: State
    data: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    key: str = ""
    earlier: bool = False
    """It had been done before."""


class Runner:
    """Calls tools for actions. A write that was begun goes on whatever becomes of its call."""

    def __init__(
        self,
        declarations: Declarations,
        sources: Mapping[str, Source],
        journal: Journal,
        lease_margin_s: float = LEASE_MARGIN_S,
    ) -> None:
        self.declarations = declarations
        self.lease_margin_s = lease_margin_s
        self.journal = journal
        self.sources = sources
        self._writing: dict[str, asyncio.Task[Outcome]] = {}

    @property
    def writing(self) -> tuple[asyncio.Task[Outcome], ...]:
        """The writes being done now."""
        return tuple(self._writing.values())

    async def read(
        self, name: str, values: Mapping[str, Value], verified: Verified | None
    ) -> Outcome:
        """Look something up; never raises but for cancellation and what is not allowed.

        Raises:
            NotAllowed: see :func:`permission.check_permission`.
        """
        action = self.declarations.actions[name]
        check_permission(action, values, verified, None)
        arguments = _arguments(action, values, verified)
        call = Call(arguments, "", verified.customer if verified else "", action.timeout_s)
        try:
            data = await self._call(action, call)
        except ToolRefused as error:
            return Outcome("refused", reason=error.reason)
        except ActionError as error:
            log.warning("action_failed", action=name, code=error.code, reason=str(error))
            return Outcome("undone", reason=error.code)
        return Outcome("done", data)

    async def write(
        self,
        call_id: str,
        name: str,
        values: Mapping[str, Value],
        verified: Verified | None,
        agreement: Agreement,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Outcome:
        """Do something, once. Cancelling this stops the waiting, not what was begun.

        ``wanted`` is asked at the last moment before it is sent; when it says no, nothing is, and
        the reason is ``NOT_WANTED``.

        Raises:
            NotAllowed: see :func:`permission.check_permission`.
        """
        action = self.declarations.actions[name]
        if action.effect != "write":
            raise NotAllowed("no_write")
        check_permission(action, values, verified, agreement)
        arguments = _arguments(action, values, verified)
        scope = call_id
        if action.once_per == "customer" and verified is not None:
            scope = f"customer {verified.customer}"
        key = key_of(scope, name, arguments)
        if (running := self._writing.get(key)) is None:
            customer = verified.customer if verified else ""
            write = Write(key, call_id, name, arguments, customer)
            running = asyncio.create_task(self._write(action, write, asdict(agreement), wanted))
            self._writing[key] = running
            running.add_done_callback(lambda _: self._writing.pop(key, None))
        return await asyncio.shield(running)

    async def check_identity(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the declared tool who a caller is.

        Raises:
            ActionError: no answer that can be used.
        """
        identity = self.declarations.identity
        if identity is None:
            raise NotAllowed("identity")
        source, tool = identity.tool.split(".", 1)
        data = await self._within(
            self.sources[source].call(tool, Call(arguments, timeout_s=identity.timeout_s)),
            identity.timeout_s,
        )
        if reason := refusal_in(data):
            raise ToolRefused(reason)
        return data

    async def recover(self) -> list[Outcome]:
        """End the writes that an agent which is gone has left open."""
        longest_s = max((each.timeout_s for each in self.declarations.actions.values()), default=3)
        lease_s = TRIES * longest_s + self.lease_margin_s
        outcomes = []
        for write in await asyncio.to_thread(self.journal.take_cut_off, lease_s):
            action = self.declarations.actions.get(write.action)
            if action is None or action.idempotency == "none":
                outcome = Outcome("unknown", reason="cut_off", key=write.key)
                await self._note(outcome)
            else:
                outcome = await self._send(action, write, perhaps_done=True)
            log.warning("write_recovered", action=write.action, state=outcome.state)
            outcomes.append(outcome)
        return outcomes

    async def close(self, patience_s: float = 5.0) -> None:
        """Let writes end that were begun, then close the sources."""
        if self._writing:
            await asyncio.wait(self._writing.values(), timeout=patience_s)
        for source in self.sources.values():
            with contextlib.suppress(ActionError):
                await source.close()

    async def _write(
        self,
        action: Action,
        write: Write,
        agreement: Mapping[str, str],
        wanted: Callable[[], bool],
    ) -> Outcome:
        lease_s = TRIES * action.timeout_s + self.lease_margin_s
        begun = await asyncio.to_thread(self.journal.begin, write, agreement, lease_s)
        if begun.state == "done":
            return Outcome("done", begun.result, key=write.key, earlier=True)
        if begun.state == "unknown" or begun.reason == "begun_before":
            # Another agent sent it and nobody knows its end; it is not for us to send it again.
            return Outcome("unknown", reason="begun_before", key=write.key)
        if not wanted():
            outcome = Outcome("undone", reason=NOT_WANTED, key=write.key)
            await self._note(outcome)
            return outcome
        return await self._send(action, write)

    async def _send(self, action: Action, write: Write, *, perhaps_done: bool = False) -> Outcome:
        """Send a write that is noted, and note its end.

        ``perhaps_done``: somebody else may have sent it already.
        """
        arguments = dict(write.arguments)
        if action.idempotency == "argument":
            arguments["idempotency_key"] = write.key
        key = "" if action.idempotency == "none" else write.key
        call = Call(arguments, key, write.caller, action.timeout_s)
        unsent: State = "unknown" if perhaps_done else "undone"
        outcome = Outcome(unsent, reason="tool_unavailable", key=write.key)
        for _ in range(TRIES):
            try:
                data = await self._call(action, call)
                outcome = Outcome("done", data, key=write.key)
                break
            except ToolRefused as error:
                # Having perhaps been done before, a refusal may only mean "once is enough".
                state: State = "unknown" if perhaps_done else "refused"
                outcome = Outcome(state, reason=error.reason, key=write.key)
                break
            except ToolUnavailable as error:
                log.warning("write_not_sent", action=write.action, reason=str(error))
            except ActionError as error:
                log.warning("write_uncertain", action=write.action, reason=str(error))
                perhaps_done = True
                outcome = Outcome("unknown", reason=error.code, key=write.key)
                if action.idempotency == "none":
                    break
        await self._note(outcome)
        return outcome

    async def _note(self, outcome: Outcome) -> None:
        await asyncio.to_thread(
            self.journal.end, outcome.key, outcome.state, outcome.data, outcome.reason
        )

    async def _call(self, action: Action, call: Call) -> Mapping[str, Any]:
        source, tool = action.tool.split(".", 1)
        data = await self._within(self.sources[source].call(tool, call), call.timeout_s)
        check_result(action.result, data, call.arguments)
        return data

    @staticmethod
    async def _within(calling: Any, timeout_s: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                data = await calling
        except TimeoutError as error:
            raise ToolUncertain("the service did not answer in time") from error
        except ActionError:
            raise
        except Exception as error:  # a tool is somebody else's code
            raise ToolUncertain(f"{type(error).__name__}: {error}") from error
        if not isinstance(data, Mapping):
            raise ToolUncertain("the service answered with no object")
        return data


def _arguments(
    action: Action, values: Mapping[str, Value], verified: Verified | None
) -> dict[str, Any]:
    """Arguments as the tool takes them; the customer is the verified one, never one named."""
    arguments: dict[str, Any] = {}
    for name, parameter in action.parameters.items():
        if parameter.kind == "identity":
            arguments[name] = verified.customer if verified else ""
        elif parameter.kind == "money":
            arguments[name] = float(values[name].data)
        else:
            arguments[name] = values[name].data
    return arguments
