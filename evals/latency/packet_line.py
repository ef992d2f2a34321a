"""A place to ring from, what the harness's lines share: calls of their own, none left behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Self, TypeVar

from evals.latency.impairments import Impairments
from evals.latency.mouth import Noise
from evals.latency.packet_call import PacketCall

ANSWER_TIMEOUT_S = 30.0

CallT = TypeVar("CallT", bound=PacketCall)


class PacketLine(ABC, Generic[CallT]):
    """``evals.telephone.Telephone``; leaving its context hangs up whatever call is left."""

    def __init__(
        self,
        impairments: Impairments | None = None,
        noise: Noise | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._impairments = impairments or Impairments()
        self._noise = noise
        self._answer_timeout_s = answer_timeout_s
        self._calls: list[CallT] = []

    # --- what each line does -------------------------------------------------------------------

    @abstractmethod
    def _new_call(self, impairments: Impairments) -> CallT:
        """A call that has not rung yet."""

    @abstractmethod
    async def _ring(self, call: CallT, uri: str) -> None:
        """Ring until it is answered.

        Raises:
            CallError: the call does not come about.
        """

    # --- doing ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for call in self._calls:
            await call.hang_up()

    async def dial(self, uri: str) -> CallT:
        """Ring ``uri``; returns when it answers.

        Raises:
            CallError: no such address, refused (``status``), unreachable, not answered in time, or
                an answer without audio.
        """
        call = self._new_call(self._impairments.seeded(len(self._calls)))
        self._calls.append(call)
        try:
            await self._ring(call, uri)
        except BaseException:  # a dial that is cancelled leaves no socket open either
            await call.hang_up()
            raise
        return call
