"""The live board: what the gateway's events add up to, and what the page is told. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voice_agent.console.alarms import Alarm, alarms_of
from voice_agent.console.settings import AlarmSettings
from voice_agent.records.endings import outcome_of
from voice_agent.records.record_types import CONSENT_ROAD

MAX_TURNS_KEPT = 200
"""Of each live call; older ones are in its record."""
MAX_SUGGESTIONS = 8
_SNIPPET_CHARS = 120
_OF_CALL = frozenset(
    {
        "call_id", "line", "dialled", "route", "queue", "stage", "began_at", "answered_at",
        "waiting_since", "age_s", "waiting_s", "supervisor", "road", "confidence", "mood", "risk",
        "latency_ms", "turns", "verified", "ended_at", "duration_s", "outcome", "end_reason",
        "recording", "grade", "live",
    }
)  # fmt: skip
"""What of a call holds neither words nor numbers; what is not named here is not shown."""
_OF_TURN = frozenset(
    {
        "turn_id", "index", "at_ms", "cut_off", "stages_ms", "road", "confidence", "runner_up",
        "voice_to_voice_ms", "end_reason", "outcome",
    }
)  # fmt: skip
"""What of a turn holds no words: all that those who may not read them are shown."""


class BoardState:
    """Live calls, switches and alarms. Times are seconds since 1970."""

    def __init__(self, settings: AlarmSettings, tick: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._tick = tick
        self._told_at: dict[str, float] = {}
        """When the gateway last said how long a call and its wait have lasted, in monotonic s."""
        self.calls: dict[str, dict[str, Any]] = {}
        self.turns: dict[str, dict[str, dict[str, Any]]] = {}
        self.suggestions: dict[str, list[dict[str, Any]]] = {}
        self.switches: list[dict[str, Any]] = []
        self.answering: dict[str, Any] = {}
        self.gateway_up: bool | None = None
        """``None``: it was not tried yet."""
        self._alarms: dict[str, Alarm] = {}

    def snapshot(self, now: float) -> dict[str, Any]:
        """Everything, for somebody who begins to watch."""
        return {
            "event": "snapshot",
            "at": now,
            "calls": list(self.calls.values()),
            "alarms": [each.as_dict() for each in self._alarms.values()],
            "answering": self.switches,
            "gateway": "up" if self.gateway_up else "down",
        }

    def apply(self, event: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        """Take one event of the gateway's; gives what the page is to be told."""
        match event.get("event"):
            case "snapshot":
                return self._take_all(event, now)
            case "call_began" | "call_changed":
                if (call := self._merged(event.get("call"))) is None:
                    return []
                return [{"event": event["event"], "at": event.get("at", now), "call": call}]
            case "call_ended":
                return self._forget(event, now)
            case "turn":
                return self._take_note(event, now)
            case "alarm":
                return self._take_alarm(event, now)
        return []

    def answering_is(self, answering: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        """The switches as the gateway has them now."""
        self.answering = dict(answering)
        self.switches = [each for each in answering.get("switches") or [] if isinstance(each, dict)]
        return [{"event": "answering_changed", "at": now, "switches": self.switches}]

    def gateway_is(self, up: bool, now: float) -> list[dict[str, Any]]:
        """The line to the gateway is there, or gone; what was live is then not known any more."""
        if self.gateway_up is up:
            return []
        self.gateway_up = up
        return [{"event": "gateway", "at": now, "state": "up" if up else "down"}]

    def look(self, now: float) -> list[dict[str, Any]]:
        """Alarms that began or are over since the last look."""
        raised = {
            each.id: each
            for each in alarms_of(
                [self._aged(call) for call in self.calls.values()], self.switches,
                gateway_up=self.gateway_up is not False, settings=self._settings, now=now,
            )
        }  # fmt: skip
        told = []
        for alarm in raised.values():
            known = self._alarms.get(alarm.id)
            if known is None or known.severity != alarm.severity:
                self._alarms[alarm.id] = alarm
            elif known.message != alarm.message:  # it lasts, and has grown
                self._alarms[alarm.id] = replace(alarm, at=known.at)
            else:
                continue
            told.append({"event": "alarm", "at": now, "alarm": self._alarms[alarm.id].as_dict()})
        for alarm_id in [each for each in self._alarms if each not in raised]:
            over = self._alarms[alarm_id]
            if alarm_id.startswith("gateway:") and (
                over.call_id is None or over.call_id in self.calls
            ):
                continue  # the gateway's own: it says when they are over
            del self._alarms[alarm_id]
            told.append({"event": "alarm", "at": now, "alarm": over.as_dict() | {"cleared": True}})
        return told

    def _aged(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """The call with its durations as they are now, whatever the clock on the wall does."""
        since = self._tick() - self._told_at.get(str(call.get("call_id")), self._tick())
        lasted = {
            key: call[key] + since
            for key in ("age_s", "waiting_s")
            if isinstance(call.get(key), int | float)
        }
        return {**call, **lasted}

    # --- events --------------------------------------------------------------------------------

    def _take_all(self, event: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        live = [each for each in event.get("calls") or [] if isinstance(each, dict)]
        gone = set(self.calls) - {str(each.get("call_id")) for each in live}
        for call_id in gone:
            self._drop(call_id)
        for call in live:
            self._merged(call)
        return [self.snapshot(now)]

    def _merged(self, call: object) -> dict[str, Any] | None:
        """The call with what was known of it before; ``None`` if it has no name."""
        if not isinstance(call, Mapping) or not isinstance(call.get("call_id"), str):
            return None
        known = self.calls.setdefault(call["call_id"], {})
        known |= {key: value for key, value in call.items() if key not in ("turns", "words")}
        known.setdefault("turns", 0)
        self._told_at[call["call_id"]] = self._tick()
        return known

    def _forget(self, event: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        given = event.get("call")
        known = self.calls.get(str(given.get("call_id"))) if isinstance(given, Mapping) else None
        had_person = known is not None and known.get("stage") == "bridged"
        call = self._merged(given)
        call_id = str(call["call_id"]) if call else str(event.get("call_id", ""))
        call = call or self.calls.get(call_id)
        if call is None:
            return []
        self._drop(call_id)
        if isinstance(why := event.get("outcome"), str):
            outcome = outcome_of(why)
            by_caller = outcome == "ended_by_caller"
            call["outcome"] = "handed_over" if by_caller and had_person else outcome
        return [{"event": "call_ended", "at": event.get("at", now), "call": call}]

    def _drop(self, call_id: str) -> None:
        for kept in (self.calls, self.turns, self.suggestions, self._told_at):
            kept.pop(call_id, None)

    def _take_note(self, event: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        given = event.get("call")
        call_id = event.get("call_id") or (
            given.get("call_id") if isinstance(given, Mapping) else None
        )
        call = self.calls.get(call_id) if isinstance(call_id, str) else None
        data = event.get("data")
        if call is None or not isinstance(call_id, str) or not isinstance(data, Mapping):
            return []
        at = event.get("at", now)
        told: list[dict[str, Any]] = []
        match event.get("kind"):
            case "turn" if isinstance(data.get("turn_id"), str):
                turn = self._turn(call_id, data)
                _note_turn(call, turn, len(self.turns[call_id]))
                told.append({"event": "turn", "at": at, "call_id": call_id, "turn": turn})
            case "suggestion":
                passages = [each for each in data.get("passages") or [] if isinstance(each, dict)]
                self.suggestions[call_id] = passages[:MAX_SUGGESTIONS]
                told.append(
                    {
                        "event": "suggestions", "at": at, "call_id": call_id,
                        "suggestions": self.suggestions[call_id],
                    }
                )  # fmt: skip
                return told
            case "mood":
                call["mood"] = str(data.get("mood", ""))[:20]
            case "risk":
                call["risk"] = data.get("grounding")
            case "road":
                call["road"] = data.get("road")
                call["confidence"] = data.get("confidence")
            case _:
                return []
        told.append({"event": "call_changed", "at": at, "call": call})
        return told

    def _turn(self, call_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
        turns = self.turns.setdefault(call_id, {})
        turn = turns.setdefault(str(data["turn_id"]), {})
        turn |= data
        while len(turns) > MAX_TURNS_KEPT:
            del turns[next(iter(turns))]
        return turn

    def _take_alarm(self, event: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        """An alarm of the gateway's own; it is over when it says so, or its call is."""
        given = event.get("alarm")
        raised = given if isinstance(given, Mapping) else event
        code = str(raised.get("code") or raised.get("kind") or "gateway")
        call = event.get("call")
        call_id = raised.get("call_id") or (
            call.get("call_id") if isinstance(call, Mapping) else None
        )
        severity = raised.get("severity")
        alarm = Alarm(
            f"gateway:{code}:{call_id or ''}",
            now,
            severity if severity in ("info", "warning", "critical") else "warning",
            code,
            str(raised.get("message") or raised.get("reason") or code.replace("_", " "))[:300],
            call_id if isinstance(call_id, str) else None,
            bool(raised.get("cleared")),
        )
        if alarm.cleared:
            self._alarms.pop(alarm.id, None)
        else:
            self._alarms[alarm.id] = alarm
        return [{"event": "alarm", "at": event.get("at", now), "alarm": alarm.as_dict()}]


def _note_turn(call: dict[str, Any], turn: Mapping[str, Any], turns: int) -> None:
    """What the board shows of a call's latest turn."""
    if turn.get("road") == CONSENT_ROAD:
        return  # no request
    call["turns"] = max(turns, int(turn.get("index") or 0))
    for key, of_turn in (("road", "road"), ("confidence", "confidence"), ("risk", "risk")):
        if turn.get(of_turn) is not None:
            call[key] = turn[of_turn]
    if turn.get("voice_to_voice_ms") is not None:
        call["latency_ms"] = turn["voice_to_voice_ms"]
    if words := str(turn.get("agent") or turn.get("caller") or ""):
        call["snippet"] = words[-_SNIPPET_CHARS:]


# --- who may see what --------------------------------------------------------------------------


def shortened(number: str) -> str:
    """A caller's number for those who need to tell callers apart, not to ring them."""
    digits = [each for each in number if each.isdigit()]
    return "…" + "".join(digits[-3:]) if len(digits) > 3 else number[:1] + "…" if number else ""


def call_for(call: Mapping[str, Any], *, words: bool) -> dict[str, Any]:
    """A call as somebody may see it who may, or may not, read words."""
    if words:
        return dict(call)
    shown = {key: value for key, value in call.items() if key in _OF_CALL}
    shown["caller"] = shortened(str(call.get("caller") or ""))
    handoff = call.get("handoff")
    if isinstance(handoff, Mapping):
        shown["handoff"] = {key: handoff.get(key) for key in ("state", "target", "reason")}
    return shown


def turn_for(turn: Mapping[str, Any], *, words: bool) -> dict[str, Any]:
    """A turn as somebody may see it who may, or may not, read words."""
    if words:
        return dict(turn)
    return {key: value for key, value in turn.items() if key in _OF_TURN}


def event_for(event: Mapping[str, Any], *, words: bool) -> dict[str, Any] | None:
    """An event as somebody may see it; ``None``: not at all."""
    if words:
        return dict(event)
    if event.get("event") == "suggestions":
        return None
    shown = dict(event)
    if isinstance(event.get("call"), Mapping):
        shown["call"] = call_for(event["call"], words=False)
    if isinstance(event.get("turn"), Mapping):
        shown["turn"] = turn_for(event["turn"], words=False)
    if isinstance(event.get("calls"), list):
        shown["calls"] = [call_for(each, words=False) for each in event["calls"]]
    return shown
