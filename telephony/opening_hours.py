"""When people are there. Pure: the time is given."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from telephony.settings import HoursSettings, Weekday

_DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(hours: HoursSettings, at: datetime) -> bool:
    """Whether anybody is there at ``at`` (with a time zone). No hours at all: always."""
    local = at.astimezone(ZoneInfo(hours.time_zone))
    if local.date() in hours.holidays:
        return False
    if not hours.weekly:
        return True
    now = local.strftime("%H:%M")
    spans = (span.partition("-") for span in hours.weekly.get(_DAYS[local.weekday()], ()))
    return any(begins <= now < ends for begins, _, ends in spans)
