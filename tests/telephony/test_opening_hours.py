"""When people are there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from telephony.opening_hours import is_open
from telephony.settings import HoursSettings

OFFICE = HoursSettings.model_validate(
    {
        "time_zone": "Europe/Berlin",
        "weekly": {"mon": ["08:00-12:00", "13:00-17:30"], "fri": ["08:00-24:00"]},
        "holidays": ["2026-12-25"],
    }
)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-23T07:00", True),  # 08:00 in Berlin
        ("2026-11-23T06:59", False),
        ("2026-11-23T11:30", False),
        ("2026-11-23T16:29", True),
        ("2026-11-23T16:30", False),
        ("2026-11-24T10:00", False),  # a Tuesday
        ("2026-11-27T22:59", True),
        ("2026-12-25T10:00", False),  # a Friday, and a holiday
        ("2026-06-15T06:00", True),  # summer time
    ],
)
def test_a_queue_is_open_by_its_own_clock(at: str, expected: bool) -> None:
    assert is_open(OFFICE, datetime.fromisoformat(at).replace(tzinfo=UTC)) is expected


def test_no_hours_mean_always_but_on_holidays() -> None:
    hours = HoursSettings.model_validate({"holidays": ["2026-01-01"]})
    assert is_open(hours, datetime(2026, 1, 2, 3, tzinfo=UTC))
    assert not is_open(hours, datetime(2026, 1, 1, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekly": {"mon": ["8-12"]}},
        {"weekly": {"mon": ["17:00-08:00"]}},
        {"weekly": {"monday": ["08:00-12:00"]}},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"holidays": ["2026-02-30"]},
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        HoursSettings.model_validate(wrong)
