"""A back office that misbehaves as told, and a call's desk at it, at the level of words."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from evals.back_office.database import OfficeDatabase
from evals.back_office.service import BackOffice, OfficeTrouble
from voice_agent.answering.actions.declaration import Declarations, read_declarations
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.actions.flow import FlowRules
from voice_agent.answering.actions.journal import Journal
from voice_agent.answering.actions.runner import Runner
from voice_agent.answering.actions.source_openapi import OpenApiSource
from voice_agent.reply import Reply

TODAY = datetime.date(2026, 11, 21)
DESCRIPTION = Path("evals/back_office/openapi.yaml")
ORDER = "two zero four one nine zero seven"
BIRTH_DATE = "March fourteenth nineteen eighty"


def declared(**changes: object) -> Declarations:
    """The shipped declarations, with changes to every action that writes."""
    declarations = read_declarations(Path("configs/actions.yaml"))
    actions = {
        name: action.model_copy(update=changes if action.effect == "write" else {})
        for name, action in declarations.actions.items()
    }
    return declarations.model_copy(update={"actions": actions})


@dataclass
class Office:
    """The back office; ``troubles`` befall the next requests to ``path``, in order."""

    database: OfficeDatabase = field(default_factory=OfficeDatabase)
    troubles: list[OfficeTrouble] = field(default_factory=list)
    path: str = "/refunds"
    honours_keys: bool = True
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def _trouble(self, request: web.Request) -> OfficeTrouble:
        self.requests.append(request.path)
        if request.path != self.path or not self.troubles:
            return OfficeTrouble.NONE
        return self.troubles.pop(0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Office]:
        service = BackOffice(
            self.database, trouble=self._trouble, slow_s=0.3, honours_keys=self.honours_keys
        )
        async with TestServer(service.app) as server:
            self.url = str(server.make_url("/")).rstrip("/")
            yield self

    def runner(self, folder: Path, declarations: Declarations | None = None) -> Runner:
        source = OpenApiSource(DESCRIPTION, self.url)
        journal = Journal(folder / "actions.sqlite")
        return Runner(declarations or declared(timeout_s=0.15), {"back_office": source}, journal)


class Caller:
    """Talks to a desk: each turn is committed, and its reply heard to its end unless cut."""

    def __init__(self, runner: Runner, call_id: str = "call-1", grace_s: float = 0.0) -> None:
        self.desk = ActionDesk(
            FlowRules(runner.declarations, lambda: TODAY), runner, call_id, grace_s
        )
        self.replies = 0
        self.last: Reply | None = None

    def begin(self, words: str, *, action: str = "", keys: str = "") -> Turn:
        """A turn that is not committed yet."""
        self.replies += 1
        reply = Reply(self.replies, f"turn-{self.replies}", words)
        if action:
            self.desk.starts(reply, action)
        elif not self.desk.takes(reply, keys):
            self.desk.drop(reply)
            return Turn(self.desk, reply, None)
        return Turn(self.desk, reply, [])

    async def says(self, words: str, *, action: str = "", keys: str = "") -> str:
        """A whole turn; gives what the caller heard, nothing if it was not for an action."""
        turn = self.begin(words, action=action, keys=keys)
        turn.commit()
        self.last = turn.reply
        return await turn.hear_out()

    async def says_all(self, *words: str) -> str:
        heard = ""
        for each in words:
            heard = await self.says(each)
        return heard

    async def asks_refund(self, amount: str = "twenty dollars") -> str:
        """Up to the read-back of a refund."""
        await self.says("I want a refund", action="refund")
        return await self.says_all(ORDER, BIRTH_DATE, amount)

    async def asks_again_for_the_same(self) -> str:
        """The whole refund once more, its caller being known."""
        await self.says("I want a refund", action="refund")
        await self.says_all(ORDER, "twenty dollars")
        return await self.says("Yes.")


@dataclass
class Turn:
    """One reply on its way."""

    desk: ActionDesk
    reply: Reply
    said: list[str] | None
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        if self.said is not None:
            self.task = asyncio.create_task(self.desk.answer(self.reply, self._speak))

    async def _speak(self, text: str) -> None:
        assert self.said is not None
        self.said.append(text)

    def commit(self) -> None:
        self.reply.commit()
        self.desk.commit(self.reply)

    async def hear_out(self) -> str:
        if self.task is not None:
            await self.task
        await self.end(" ".join(self.said or ()))
        return self.reply.heard

    async def cut(self, heard: str = "") -> None:
        """The caller's words end the reply."""
        self.desk.halt(self.reply)
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.end(heard)

    async def end(self, heard: str) -> None:
        self.reply.heard, self.reply.end_reason = heard, "completed"
        await self.desk.over(self.reply)


def refunds(office: Office) -> Sequence[dict[str, object]]:
    """The refunds that were really made."""
    return office.database.effects("refund")
