"""The company's systems as one agent uses them: declarations, sources, journal, for all calls."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from voice_agent.answering.actions.declaration import Declarations, read_declarations
from voice_agent.answering.actions.declaration import Source as Declared
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.actions.errors import ActionError, ActionsInvalid
from voice_agent.answering.actions.flow import FlowRules
from voice_agent.answering.actions.journal import Journal
from voice_agent.answering.actions.runner import Runner
from voice_agent.answering.actions.source_functions import FunctionSource
from voice_agent.answering.actions.source_openapi import OpenApiSource
from voice_agent.answering.actions.tools import Source
from voice_agent.background import repeat
from voice_agent.config import ActionsSettings, secret

log = structlog.get_logger(__name__)

RECOVER_EVERY_S = 10.0


class CompanySystems:
    """What calls share to do actions."""

    def __init__(self, settings: ActionsSettings, runner: Runner) -> None:
        self._grace_s = settings.grace_ms / 1000
        self.runner = runner
        self.rules = FlowRules(runner.declarations)

    @classmethod
    def open(cls, settings: ActionsSettings) -> CompanySystems | None:
        """Read the declarations and open the journal; ``None`` where actions are off.

        Raises:
            ActionsInvalid: one line that says what is wrong.
        """
        if not settings.enabled:
            return None
        declared = read_declarations(settings.declarations)
        runner = Runner(declared, open_sources(declared), Journal(settings.journal))
        return cls(settings, runner)

    @property
    def known(self) -> frozenset[str]:
        """The names of what can be done."""
        return frozenset(self.runner.declarations.actions)

    def desk(self) -> ActionDesk:
        """The desk of a call."""
        return ActionDesk(self.rules, self.runner, grace_s=self._grace_s)

    async def follow(self) -> None:
        """End what agents that are gone have left open, now and again; never ends."""
        for problem in await problems(self.runner.declarations, self.runner.sources):
            log.error("action_unusable", problem=problem)
        await repeat(self.runner.recover, RECOVER_EVERY_S)

    async def close(self) -> None:
        """Let begun writes end, then leave the services."""
        await self.runner.close()


def open_sources(declared: Declarations) -> dict[str, Source]:
    """The declared sources; nothing is connected yet.

    Raises:
        ActionsInvalid: one of them cannot be used.
    """
    return {name: _source(each) for name, each in declared.sources.items()}


def _source(declared: Declared) -> Source:
    token = secret(declared.token_env) if declared.token_env else ""
    match declared.kind:
        case "functions" if declared.folder:
            return FunctionSource(declared.folder)
        case "openapi" if declared.description:
            return OpenApiSource(declared.description, declared.url, token)
        case "mcp":
            from voice_agent.answering.actions.source_mcp import McpSource

            return McpSource(declared.url or declared.command, token)
        case _:
            raise ActionsInvalid(f"a source of kind `{declared.kind}` says where it is")


async def problems(declared: Declarations, sources: Mapping[str, Source]) -> list[str]:
    """What in the declarations does not fit what the sources offer, one line each."""
    found: list[str] = []
    schemas: dict[str, Mapping[str, object]] = {}
    for name, source in sources.items():
        try:
            schemas |= {f"{name}.{tool.name}": tool.schema for tool in await source.tools()}
        except ActionError as error:
            found.append(f"source `{name}`: {error}")
            schemas |= {
                action.tool: {}
                for action in declared.actions.values()
                if action.tool.startswith(f"{name}.")
            }
    if declared.identity and declared.identity.tool not in schemas:
        found.append(f"identity: there is no tool `{declared.identity.tool}`")
    for name, action in declared.actions.items():
        if action.tool not in schemas:
            found.append(f"action `{name}`: there is no tool `{action.tool}`")
            continue
        schema = schemas[action.tool]
        offered, required = schema.get("properties"), schema.get("required", ())
        if not isinstance(offered, Mapping) or not isinstance(required, list | tuple):
            continue
        keyed = {"idempotency_key"} if action.idempotency == "argument" else set()
        for missing in sorted(set(required) - set(action.parameters) - keyed):
            found.append(f"action `{name}`: the tool needs `{missing}`, which is not declared")
        for unknown in sorted((set(action.parameters) | keyed) - set(offered)):
            found.append(f"action `{name}`: the tool does not take `{unknown}`")
    return found
