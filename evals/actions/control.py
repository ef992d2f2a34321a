"""An agent without the safeguards, so that the simulation is seen to find what it looks for."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from evals.actions.simulate import TODAY, Agent
from voice_agent.answering.actions.declaration import Action
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.actions.errors import ActionError, ToolRefused
from voice_agent.answering.actions.flow import Do, Flow, FlowRules, Phase, Step
from voice_agent.answering.actions.journal import Write
from voice_agent.answering.actions.permission import Agreement
from voice_agent.answering.actions.runner import Outcome, Runner
from voice_agent.answering.actions.tools import Call


class CarelessRules(FlowRules):
    """Takes any words with a yes in them for one, whatever the caller heard."""

    def _confirm(self, flow: Flow, words: str, heard: str) -> tuple[Flow, Step]:
        if "ye" in words.lower():
            agreement = Agreement(flow.statement, flow.statement, "yes")
            return replace(flow, phase=Phase.DOING), Do(agreement)
        return super()._confirm(flow, words, heard)


class CarelessRunner(Runner):
    """Keeps no journal, and tries again as if for the first time."""

    async def _write(
        self, action: Action, write: Write, agreement: object, wanted: object
    ) -> Outcome:
        del agreement, wanted
        outcome = Outcome("unknown", reason="tool_uncertain", key=write.key)
        for _ in range(2):
            call = Call(write.arguments, uuid.uuid4().hex, write.caller, action.timeout_s)
            try:
                return Outcome("done", await self._call(action, call), key=write.key)
            except ToolRefused as error:
                return Outcome("refused", reason=error.reason, key=write.key)
            except ActionError:
                await asyncio.sleep(0)
        return outcome


class CarelessAgent(Agent):
    """An agent with such a runner."""

    def desk(self, call_id: str) -> ActionDesk:
        """A desk that does not wait either."""
        rules = CarelessRules(self.runner.declarations, lambda: TODAY)
        return ActionDesk(rules, self.runner, call_id, grace_s=0)

    def make_runner(self) -> Runner:
        """A runner that keeps nothing."""
        kept = super().make_runner()
        return CarelessRunner(kept.declarations, {"back_office": self._source}, kept.journal)
