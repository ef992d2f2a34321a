"""A call as others see it: the control interface, and through it the console."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from telephony.call import CallStage, LegState
from telephony.clock import Clock
from telephony.routing import identity_of

if TYPE_CHECKING:
    from telephony.call_session import CallSession


@dataclass(frozen=True, slots=True)
class CallView:
    """One live call. Times ``_at`` and ``_since`` are unix seconds for people to read; ``age_s``
    and ``waiting_s`` are of a clock that never jumps, and what durations are taken from."""

    call_id: str
    line: Literal["sip", "webrtc"]
    caller: str
    """Who they are (see ``telephony.routing.identity_of``), personal data."""
    dialled: str
    route: str
    queue: str
    stage: str
    began_at: float
    answered_at: float | None
    age_s: float
    waiting_since: float | None
    waiting_s: float | None
    supervisor: dict[str, str] | None
    handoff: dict[str, str] | None
    recording: dict[str, Any]
    """``state``, ``why`` and ``since_ms`` (see ``telephony.recorder``)."""

    def differs_from(self, other: CallView | None) -> bool:
        """In more than how much time has passed."""
        return other is None or replace(self, age_s=0, waiting_s=None) != replace(
            other, age_s=0, waiting_s=None
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class CallTimes:
    """When a call began, was answered, and began to wait: each dated once, by both clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.now_s()
        self._began_at = time.time()
        self._answered_s: float | None = None
        self._waiting_s: float | None = None

    def note(self, stage: CallStage) -> None:
        """The call has entered a stage."""
        if stage is not CallStage.WAITING:
            self._waiting_s = None
        elif self._waiting_s is None:
            self._waiting_s = self._clock.now_s()

    def view(self, session: CallSession) -> CallView:
        """The call as it stands."""
        media, now_s = session.media, self._clock.now_s()
        if self._answered_s is None and media.caller.state is not LegState.RINGING:
            self._answered_s = now_s
        waiting_s = None if self._waiting_s is None else now_s - self._waiting_s
        visit = session.supervision.present
        taken_over = session.media.taken_over
        return CallView(
            call_id=session.call_id,
            line=media.caller.kind,
            caller=identity_of(media.caller.remote),
            dialled=media.caller.dialled,
            route=session.route,
            queue=session.queue,
            stage="supervised" if taken_over else media.stage.value,
            began_at=self._began_at,
            answered_at=self._unix(self._answered_s),
            age_s=round(now_s - self._began_s, 3),
            waiting_since=None if taken_over else self._unix(self._waiting_s),
            waiting_s=None if waiting_s is None or taken_over else round(waiting_s, 3),
            supervisor={"name": visit.name, "mode": visit.mode.value} if visit else None,
            handoff=session.people.told,
            recording=session.recorder.as_dict(),
        )

    def _unix(self, when_s: float | None) -> float | None:
        """A moment of the call in unix time: the wall clock is read once, at the beginning."""
        return None if when_s is None else round(self._began_at + when_s - self._began_s, 3)
