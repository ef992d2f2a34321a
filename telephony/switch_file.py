"""The switch that takes agents off the phones: its state, and the file the state lives in.

The file is all there is: whoever may write it can throw the switch, with every process of the
product hung or stopped, and it survives restarts. It is replaced in one step, so that a reader
never sees half of it. Nothing but the standard library is loaded for it: on a machine that is busy
with what went wrong, the command that throws it must still start at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from telephony.errors import GatewayError

Scope: TypeAlias = Literal["all", "queue", "route"]

DEFAULT_PATH = Path("var/kill_switch.json")
LOCK_PATIENCE_S = 1.0
MAX_REASON_CHARACTERS = 500
MAX_NAME_CHARACTERS = 120
MAX_SWITCHES = 200
KEPT_CHANGES = 500


class SwitchRefused(GatewayError):
    """A change that says too little, or a file that cannot be written; the message says which."""

    code = "switch_refused"


class SwitchUnwritable(SwitchRefused):
    """The disk does not take the change."""

    code = "switch_unwritable"


class SwitchUnreadable(GatewayError):
    """The file holds no state."""

    code = "switch_unreadable"


@dataclass(frozen=True, slots=True)
class Switch:
    """One control: agents answer nobody in its scope while it is on. ``since`` is in unix s."""

    scope: Scope
    name: str
    on: bool
    reason: str
    by: str
    since: float

    def covers(self, route: str, queue: str) -> bool:
        """Does a call on this route, for this queue, belong to the scope?"""
        if self.scope == "all":
            return True
        return self.name == (route if self.scope == "route" else queue)


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Every switch that is on, the latest that are off, ``MAX_SWITCHES`` in all, and the
    changes kept as evidence, oldest first."""

    switches: tuple[Switch, ...] = ()
    changes: tuple[Switch, ...] = ()

    def holding(self, route: str, queue: str) -> Switch | None:
        """The switch that keeps agents from such a call; ``None``: they may answer."""
        held = [s for s in self.switches if s.on and s.covers(route, queue)]
        return min(held, key=lambda switch: switch.since, default=None)

    def changed(self, switch: Switch) -> SwitchState:
        """The state after a change.

        Raises:
            SwitchRefused: no reason, no name where the scope needs one, too much of anything.
        """
        _check(switch)
        others = [s for s in self.switches if (s.scope, s.name) != (switch.scope, switch.name)]
        spare = max(0, len(others) + 1 - MAX_SWITCHES)
        off = sorted((s for s in others if not s.on), key=lambda each: each.since)[:spare]
        others = [s for s in others if s not in off]
        if len(others) >= MAX_SWITCHES and switch.scope != "all":
            raise SwitchRefused(f"{MAX_SWITCHES} switches are on already: use the scope `all`")
        return SwitchState((*others, switch), (*self.changes, switch)[-KEPT_CHANGES:])

    def caught_up(self, missed: Iterable[Switch]) -> SwitchState:
        """With changes that it did not hear of, but for those that were decided anew since."""
        state = self
        for switch in missed:
            decided = (
                s for s in state.switches if (s.scope, s.name) == (switch.scope, switch.name)
            )
            if all(other.since <= switch.since for other in decided):
                state = state.changed(switch)
        return state


def _check(switch: Switch) -> None:
    if not switch.reason.strip():
        raise SwitchRefused("a reason is needed: who reads it later must understand the change")
    too_long = max(len(switch.name), len(switch.by)) > MAX_NAME_CHARACTERS
    if len(switch.reason) > MAX_REASON_CHARACTERS or too_long:
        raise SwitchRefused(
            f"a reason has at most {MAX_REASON_CHARACTERS} characters, a name {MAX_NAME_CHARACTERS}"
        )
    if (switch.scope == "all") == bool(switch.name):
        raise SwitchRefused("name the queue or the route; scope `all` has no name")


def _state_of(data: Any) -> SwitchState:
    """
    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return SwitchState(
        tuple(_switch_of(row) for row in data["switches"]),
        tuple(_switch_of(row) for row in data["changes"]),
    )


def _switch_of(row: Any) -> Switch:
    switch = Switch(**row)
    words = (switch.scope, switch.name, switch.reason, switch.by)
    if not all(isinstance(word, str) for word in words) or switch.scope not in get_args(Scope):
        raise ValueError("a switch of another kind")
    if not isinstance(switch.on, bool) or not isinstance(switch.since, int | float):
        raise ValueError("a switch that is neither on nor off")
    return switch


class SwitchFile:
    """The state on disk. Blocks for the time of a small read or write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does; ``None``: there is none."""
        try:
            seen = self.path.stat()
        except OSError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    def read(self) -> SwitchState:
        """The state; nothing is switched where there is no file.

        Raises:
            SwitchUnreadable: there is one, and it cannot be understood.
        """
        try:
            return _state_of(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return SwitchState()
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise SwitchUnreadable(f"{self.path} cannot be read") from error

    def throw(
        self,
        *,
        on: bool,
        scope: Scope,
        name: str,
        reason: str,
        by: str,
        now_s: float | None = None,
    ) -> SwitchState:
        """Change one switch; the state afterwards. What an unreadable file held is given up.

        Raises:
            SwitchRefused: see ``SwitchState.changed``.
            SwitchUnwritable: the disk does not take it.
        """
        switch = Switch(scope, name, on, reason, by, time.time() if now_s is None else now_s)
        return self._change(lambda before: before.changed(switch))

    def keep(self, missed: Iterable[Switch]) -> SwitchState:
        """Write down changes that hold already; the state afterwards.

        Raises:
            SwitchUnwritable: the disk does not take them.
        """
        return self._change(lambda before: before.caught_up(missed))

    def _change(self, change: Callable[[SwitchState], SwitchState]) -> SwitchState:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                try:
                    before = self.read()
                except SwitchUnreadable:
                    os.replace(self.path, self.path.with_suffix(".unreadable"))
                    before = unreadable_state()
                state = change(before)
                self._write(state)
        except OSError as error:
            raise SwitchUnwritable(f"{self.path} cannot be written: {error.strerror}") from error
        return state

    def _write(self, state: SwitchState) -> None:
        unfinished = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            with unfinished.open("x", encoding="utf-8") as file:
                json.dump(asdict(state), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time, but a writer that hangs keeps nobody from the switch for long."""
        with self.path.with_suffix(".lock").open("a") as lock:
            give_up_s = time.monotonic() + LOCK_PATIENCE_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up_s:
                        break  # without the lock: better a change lost than a switch that waits
                    time.sleep(0.02)
            yield


def unreadable_state(now_s: float | None = None) -> SwitchState:
    """What holds when the file cannot be understood and nothing is known: people answer."""
    since = time.time() if now_s is None else now_s
    reason = "the switch's file could not be read"
    return SwitchState((Switch("all", "", True, reason, "gateway", since),))


def unknown_name(scope: str, name: str, queues: Collection[str], routes: Collection[str]) -> str:
    """A warning, where the settings have no such queue or route; empty where they do.

    It is no refusal: a route is whatever was dialled, and settings may be newer than a gateway.
    """
    known = sorted(routes if scope == "route" else {"main", *queues})
    if scope == "all" or name in known:
        return ""
    return f"The settings have no {scope} {name}; they have: {', '.join(known) or 'none'}."


def as_rows(switches: Iterable[Switch]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(switch) for switch in switches]
