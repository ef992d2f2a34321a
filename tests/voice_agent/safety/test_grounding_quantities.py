"""One value, however it is written or said."""

from __future__ import annotations

import pytest

from voice_agent.safety.quantities import Quantity, quantities


@pytest.mark.parametrize(
    ("texts", "value", "unit"),
    [
        (("$4.95", "4.95 dollars", "four dollars and ninety-five cents"), "4.95", "money"),
        (("$1,149", "one thousand one hundred forty-nine dollars"), "1149", "money"),
        (("260 dollars", "two hundred sixty dollars", "two sixty dollars"), "260", "money"),
        (("14:45", "2:45 p.m.", "two forty-five PM", "two forty-five P M"), "885", "time"),
        (("10:05 am", "ten oh five a.m."), "605", "time"),
        (("8 a.m.", "eight in the morning", "eight o'clock in the morning"), "480", "time"),
        (("noon", "12 p.m."), "720", "time"),
        (("2026-06-10", "June tenth", "June 10th"), "6-10", "date"),
        (("2026-05-25", "May twenty-fifth", "May 25"), "5-25", "date"),
        (("B5ODZX", "B five O D Z X", "B 5 O D Z X"), "b5odzx", "code"),
        (("1-800-555-0142",), "18005550142", "code"),
        (("a two-year warranty", "two years"), "2", "year"),
        (("30 minutes", "half an hour", "thirty minutes"), "30", "minute"),
        (("5 business days", "five working days"), "5", "business day"),
        (("20 %", "20 percent", "twenty percent"), "20", "percent"),
    ],
)
def test_ways_to_say_one_value(texts: tuple[str, ...], value: str, unit: str) -> None:
    for text in texts:
        assert Quantity(value, unit) in quantities(text), text


def test_both_ends_of_a_range_have_its_unit() -> None:
    found = quantities("three to five business days")
    assert found == [Quantity("3", "business day"), Quantity("5", "business day")]


def test_a_pronoun_is_no_number() -> None:
    assert quantities("one of them") == []


def test_what_is_only_meant_counts_as_evidence() -> None:
    assert quantities("within an hour") == []
    assert quantities("within an hour", implied=True) == [Quantity("1", "hour")]
    assert Quantity("monday", "weekday") in quantities("2026-05-25", implied=True)


@pytest.mark.parametrize("text", ["", "-", "$", "12:99 pm", "9999-99-99", "$" * 50, "a" * 5000])
def test_odd_text_has_no_quantity_and_does_no_harm(text: str) -> None:
    assert all(isinstance(each, Quantity) for each in quantities(text))
