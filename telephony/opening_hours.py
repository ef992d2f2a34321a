"""When people are there. Pure: the time is given."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from telephony.settings import HoursSettings, Weekday

_DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOK_AHEAD_DAYS = 60


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


def opens_at(hours: HoursSettings, at: datetime) -> datetime | None:
    """When somebody is there again, ``at`` itself if now; ``None``: not within two months."""
    if is_open(hours, at):
        return at
    zone = ZoneInfo(hours.time_zone)
    local = at.astimezone(zone)
    for days in range(_LOOK_AHEAD_DAYS):
        day = local.date() + timedelta(days=days)
        if day in hours.holidays:
            continue
        spans = hours.weekly.get(_DAYS[day.weekday()], ()) if hours.weekly else ("00:00-24:00",)
        for span in sorted(spans):
            hour, _, minute = span.partition("-")[0].partition(":")
            if hour == "24":
                continue
            begins = datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=zone)
            if begins > local:
                return begins
    return None
