"""May this call be recorded, and is it just now? The one place that sound passes on its way to a
recording: nothing of a caller is on disk before the law's first word about it has been heard.

Times are of the call: milliseconds since the caller was answered, which is where they are in the
file, too, since everything that is not recorded is silence in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import structlog

from telephony.audio import SILENCE
from telephony.errors import NotRecorded
from telephony.law import CallLaw
from telephony.media_stream import FRAME_MS
from telephony.opening import Permission
from telephony.recording import Recording

log = structlog.get_logger(__name__)

HELD_BACK_MS = 15_000
"""A caller says a card number within so long, and it is understood soon after."""
KEYS_UNRECORDED_MS = 5_000
"""After a key: the time a caller takes between two, and the echo of the last."""
KEY_BEFORE_MS = 1_000
"""Before a key is told of: it sounds in the audio first."""
MAX_PAUSES_KEPT = 500

State: TypeAlias = Literal["off", "waiting", "on", "paused", "refused", "failed"]
Cause: TypeAlias = Literal["supervisor", "payment"]
"""Who wants a pause: each begins and ends its own, and the file is silent while any lasts."""


@dataclass(slots=True)
class Pause:
    """From when to when the file is silent, and why; ``to_ms`` is ``None`` while it lasts."""

    cause: Cause
    reason: str
    by: str
    from_ms: int
    to_ms: int | None = None


class Recorder:
    """One call's recording, from the question whether there may be one."""

    def __init__(
        self,
        path: Path | None,
        law: CallLaw,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            path: the file to write; ``None``: calls are not recorded.
            law: what holds for this call.
            on_change: the state is another.
            on_failed: the file cannot be written.
        """
        self._path = path
        self._law = law
        self._on_change = on_change
        self._on_failed = on_failed
        self._recording: Recording | None = None
        self._permission: Permission | None = None
        self._stopped_ms: int | None = None
        self._failed = False
        self._frames = 0
        self._began_ms = 0
        self._keys_frames = 0
        self._pauses: list[Pause] = []

    @property
    def wants_permission(self) -> bool:
        """It depends on what the caller hears or says, and that is still to come."""
        return self.state == "waiting"

    @property
    def state(self) -> State:
        """``off``: calls are not recorded, or this one never may be; ``waiting``: for the notice or
        the answer; ``refused``: it may not be; ``failed``: the disk."""
        if self._path is None:
            return "off"
        if self._stopped_ms is not None:
            return "refused"
        if self._recording is not None:
            if self._failed:
                return "failed"
            return "paused" if self._open_pauses() else "on"
        return "refused" if self._permission is not None else "waiting"

    @property
    def paused_by(self) -> tuple[Cause, ...]:
        """What it is paused for just now, the oldest first; empty where it is not paused."""
        if self.state != "paused":
            return ()
        return tuple(each.cause for each in self._open_pauses())

    @property
    def at_ms(self) -> int:
        """How long the caller has been on the line."""
        return self._frames * FRAME_MS

    def as_dict(self) -> dict[str, Any]:
        """The state for others to see; ``why`` is the permission, or what caused the pause. A
        supervisor's own words stay in the description."""
        open_pauses = self._open_pauses()
        why = ", ".join(self.paused_by)
        return {
            "state": self.state,
            "why": why or (self._permission.value if self._permission else ""),
            "since_ms": open_pauses[0].from_ms if self.state == "paused" else None,
        }

    # --- may it be -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Record from now on: nobody has to be told, or whoever has to be is."""
        if self._path is None:
            return
        self._began_ms = self.at_ms
        self._recording = Recording(self._path, held_back_ms=HELD_BACK_MS, began_ms=self._began_ms)
        self._describe()

    def settle(self, permission: Permission) -> None:
        """The notice has been heard, or the question answered; the first one counts."""
        if not self.wants_permission:
            return
        self._permission = permission
        log.info("recording_settled", permission=permission.value, rules=self._law.rules)
        if permission.given:
            self.begin()
        self._on_change()

    def refuse(self) -> None:
        """The caller does not want it, though they heard of it or agreed: from now on, silence."""
        if self.state in ("off", "refused"):
            return
        self._permission = self._permission or Permission.REFUSED
        self._stopped_ms = self.at_ms
        log.info("recording_stopped_by_caller")
        self._describe()
        self._on_change()

    # --- pauses ----------------------------------------------------------------------------------

    def pause(self, cause: Cause, reason: str, by: str = "", *, back_ms: int = 0) -> bool:
        """Silence from now on, or from ``back_ms`` ago as far as that is not on disk yet; false
        where this cause has paused it already.

        Raises:
            NotRecorded: there is nothing to pause.
        """
        self._check()
        silenced_ms = self._recording.forget_latest(back_ms) if self._recording else 0
        from_ms = self.at_ms - silenced_ms
        for each in self._open_pauses():
            if each.cause == cause:
                each.from_ms = min(each.from_ms, from_ms)
                return False
        if len(self._pauses) < MAX_PAUSES_KEPT:
            self._pauses.append(Pause(cause, reason, by, from_ms))
        else:  # a call with so many pauses stays in the last one
            self._pauses[-1].to_ms = None
        log.info("recording_paused", cause=cause)
        self._describe()
        self._on_change()
        return True

    def resume(self, cause: Cause | None) -> bool:
        """End this cause's pause (``None``: every cause's); false where there was none.

        Raises:
            NotRecorded: there is nothing to resume.
        """
        self._check()
        ended = [each for each in self._open_pauses() if cause in (None, each.cause)]
        for each in ended:
            each.to_ms = self.at_ms
        if not ended:
            return False
        log.info("recording_resumed", causes=[each.cause for each in ended])
        self._describe()
        self._on_change()
        return True

    def keep_keys_out(self) -> None:
        """The caller presses keys, perhaps a card's: from now until after the last one both sides
        are silence."""
        self._keys_frames = KEYS_UNRECORDED_MS // FRAME_MS
        if self._recording:
            self._recording.forget_latest(KEY_BEFORE_MS)

    # --- sound -----------------------------------------------------------------------------------

    def add(self, caller: bytes, heard: bytes) -> None:
        """20 ms of both sides, recorded if that is allowed just now."""
        self._frames += 1
        keys, self._keys_frames = self._keys_frames, max(0, self._keys_frames - 1)
        if self._recording is None:
            return
        if keys or self._stopped_ms is not None or self._open_pauses():
            caller = heard = SILENCE
        self._recording.add(caller, heard)
        if self._recording.failed and not self._failed:
            self._failed = True
            self._on_failed()
            self._on_change()

    def close(self) -> None:
        """Write what is left. Blocks until the disk is done."""
        if self._recording is not None:
            self._describe()
            self._recording.close()

    # --- parts -----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.state in ("off", "refused", "failed"):
            raise NotRecorded("This call is not being recorded.")

    def _open_pauses(self) -> list[Pause]:
        return [each for each in self._pauses if each.to_ms is None]

    def _describe(self) -> None:
        if self._recording is None:
            return
        told = {
            "recording": self._law.recording.value,
            "rules": list(self._law.rules),
            "permission": self._permission.value if self._permission else "none_needed",
            "began_ms": self._began_ms,
            "stopped_by_caller_ms": self._stopped_ms,
            "pauses": [asdict(each) for each in self._pauses],
        }
        self._recording.describe(json.dumps(told, indent=1))
