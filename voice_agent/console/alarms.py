"""When a live call, or all of them, should make a supervisor look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from voice_agent.console.settings import AlarmSettings


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to look at; the same trouble has the same ``id`` for as long as it lasts."""

    id: str
    at: float
    severity: Literal["info", "warning", "critical"]
    code: str
    message: str
    call_id: str | None = None
    cleared: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As the page reads it."""
        return asdict(self)


def alarms_of(
    calls: Iterable[Mapping[str, Any]],
    switches: Iterable[Mapping[str, Any]],
    *,
    gateway_up: bool,
    settings: AlarmSettings,
    now: float,
) -> list[Alarm]:
    """Everything that is wrong at ``now`` (seconds since 1970), most urgent first.

    ``calls`` are live calls as the page reads them, ``age_s`` and ``waiting_s`` as they are now;
    ``switches`` the answering switches.
    """
    found: list[Alarm] = []
    if not gateway_up:
        found.append(
            Alarm("gateway_down", now, "critical", "gateway_down", "The gateway does not answer.")
        )
    for switch in switches:
        if switch.get("on"):
            name = f"{switch.get('scope', '')} {switch.get('name') or ''}".strip()
            found.append(
                Alarm(
                    f"kill_switch:{name}", now, "warning", "kill_switch",
                    f"Agents are off the phones ({name}): {switch.get('reason', '')}",
                )
            )  # fmt: skip
    for call in calls:
        found += _of_call(call, settings, now)
    order = {"critical": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda alarm: order[alarm.severity])


def _of_call(call: Mapping[str, Any], settings: AlarmSettings, now: float) -> list[Alarm]:
    call_id = str(call.get("call_id", ""))
    found: list[Alarm] = []

    def say(code: str, severity: Literal["info", "warning", "critical"], message: str) -> None:
        found.append(Alarm(f"{code}:{call_id}", now, severity, code, message, call_id))

    waiting = _number(call.get("waiting_s"))
    if waiting is not None and waiting >= settings.waiting_s:
        how_long = f"{int(waiting // 60)} min" if waiting >= 60 else f"{int(waiting)} s"
        say("waiting", "critical", f"A caller has waited {how_long} for a person.")
    mood = call.get("mood")
    if mood in ("upset", "vulnerable"):
        say("mood", "warning", f"The caller seems {mood}.")
    risk = _number(call.get("risk"))
    if risk is not None and risk >= settings.risk:
        say("risk", "warning", "The last answer is weakly supported.")
    latency = _number(call.get("latency_ms"))
    if latency is not None and latency >= settings.latency_ms:
        say("latency", "info", f"The last answer took {latency / 1000:.1f} s.")
    age = _number(call.get("age_s"))
    if age is not None and age >= settings.call_s:
        say("long_call", "info", f"The call has lasted {int(age // 60)} min.")
    return found


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
