"""What is buffered, what has been heard, what a mark means, and what is said about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.media_stream import FRAME_BYTES, Cleared
from telephony.media_stream import Playout as Report
from telephony.playout import MAX_MARKS, Playout, Prompt

FRAME = b"\1" * FRAME_BYTES


def test_an_empty_buffer_gives_nothing() -> None:
    assert Playout().pop_frame() is None


def test_odd_lengths_are_joined_and_only_the_end_is_padded() -> None:
    playout = Playout()
    for part in (b"\1" * 300, b"\2" * 400, b"\3" * 100):
        playout.add(part)
    assert playout.pop_frame() == b"\1" * 300 + b"\2" * 340
    assert playout.pop_frame() == (b"\2" * 60 + b"\3" * 100).ljust(FRAME_BYTES, b"\0")
    assert playout.pop_frame() is None


def test_a_full_buffer_refuses_the_newest_audio() -> None:
    playout = Playout(limit_ms=40)
    assert playout.add(FRAME) == 0
    assert playout.add(FRAME * 3) == 40
    assert playout.buffered_ms == 40
    assert playout.add(FRAME) == 20


def test_played_is_what_was_popped_less_what_the_leg_still_holds() -> None:
    playout = Playout()
    playout.add(FRAME * 4)
    for _ in range(3):
        playout.pop_frame()
    assert playout.played_ms(unsent_ms=40) == 20
    assert playout.played_ms(unsent_ms=0) == 60


def test_silence_in_the_leg_is_not_taken_for_agent_audio() -> None:
    playout = Playout()
    playout.add(FRAME)
    playout.pop_frame()
    playout.note_other_frame()
    assert playout.played_ms(unsent_ms=20) == 20
    assert playout.all_heard(unsent_ms=20)
    assert not playout.all_heard(unsent_ms=40)


def test_the_padding_of_a_last_frame_is_not_counted() -> None:
    playout = Playout()
    playout.add(b"\1" * 320)
    playout.pop_frame()
    assert playout.played_ms(unsent_ms=10) == 10
    assert playout.played_ms(unsent_ms=0) == 10


def test_played_never_goes_back() -> None:
    playout = Playout()
    playout.add(FRAME * 2)
    playout.pop_frame()
    playout.pop_frame()
    assert playout.played_ms(unsent_ms=0) == 40
    assert playout.played_ms(unsent_ms=40) == 40


def test_marks_come_in_order_once_their_audio_is_on_the_wire() -> None:
    playout = Playout()
    playout.add_mark("before")
    playout.add(FRAME)
    playout.add_mark("one")
    playout.add(FRAME)
    playout.add_mark("two")
    assert playout.marks_reached(0) == ["before"]
    playout.pop_frame()
    assert playout.marks_reached(20) == []
    assert playout.marks_reached(0) == ["one"]
    playout.pop_frame()
    assert playout.marks_reached(0) == ["two"]
    assert playout.marks_reached(0) == []


def test_marks_are_bounded() -> None:
    playout = Playout()
    assert all(playout.add_mark("m") for _ in range(MAX_MARKS))
    assert not playout.add_mark("m")


def test_clear_says_what_was_heard_and_what_was_dropped_and_settles_marks() -> None:
    playout = Playout()
    playout.add(FRAME * 5)
    playout.add_mark("end")
    for _ in range(3):
        playout.pop_frame()
    cleared, marks = playout.clear(at_ms=200, unsent_ms=40)
    assert cleared == Cleared(played_ms=20, dropped_ms=80, at_ms=200)
    assert marks == ["end"]
    assert playout.pop_frame() is None
    playout.add(FRAME)
    playout.add_mark("next")
    playout.pop_frame()
    assert playout.marks_reached(0) == ["next"]
    assert playout.played_ms(0) == 40


def test_clearing_nothing_is_answered_too() -> None:
    assert Playout().clear(at_ms=0, unsent_ms=500) == (Cleared(0, 0, 0), [])


def test_reports_come_with_the_first_packet_every_100_ms_and_once_when_dry() -> None:
    playout = Playout()
    playout.add(FRAME * 7)
    reports = []
    for tick in range(1, 13):
        if playout.pop_frame() is None:
            playout.note_other_frame()
        reports.append(playout.report(tick * 20, unsent_ms=20))
    said = [report for report in reports if report]
    # The first packet is seen to have left at 40 ms and lasts until 60.
    assert said == [Report(20, 120, 60), Report(120, 20, 140), Report(140, 0, 160)]


def test_a_single_frame_is_reported_too() -> None:
    playout = Playout()
    playout.add(FRAME)
    playout.pop_frame()
    assert playout.report(20, unsent_ms=0) == Report(20, 0, 40)
    assert playout.report(40, unsent_ms=0) == Report(20, 0, 40)
    assert playout.report(60, unsent_ms=0) is None


def test_the_first_report_of_a_reply_dates_its_beginning() -> None:
    playout = Playout()
    for begins_at_ms in (205, 333):
        before_ms = playout.played_ms(0)
        playout.note_leg_dry()
        playout.add(FRAME * 4)
        playout.pop_frame()
        playout.pop_frame()
        assert playout.begins
        assert playout.first_report(begins_at_ms - 3, unsent_ms=40) is None
        report = playout.first_report(begins_at_ms, unsent_ms=20)
        assert report
        assert report.at_ms - (report.played_ms - before_ms) == begins_at_ms
        assert playout.first_report(begins_at_ms + 3, unsent_ms=20) is None
        while playout.pop_frame():
            pass
        assert playout.report(begins_at_ms + 100, unsent_ms=0)


def test_a_reply_cleared_before_its_first_packet_never_began() -> None:
    playout = Playout()
    playout.add(FRAME * 3)
    playout.pop_frame()
    assert playout.begins
    playout.clear(at_ms=20, unsent_ms=20)
    assert playout.first_report(40, unsent_ms=0) is None


def test_nothing_is_reported_before_anything_was_said() -> None:
    assert Playout().report(20, unsent_ms=200) is None


@given(
    st.lists(
        st.one_of(
            st.integers(0, 3 * FRAME_BYTES // 2).map(lambda n: ("add", 2 * n)),
            st.integers(0, 15).map(lambda n: ("tick", n * 20)),
            st.integers(0, 15).map(lambda n: ("clear", n * 20)),
        ),
        max_size=60,
    )
)
def test_nothing_is_heard_twice_lost_silently_or_unheard(steps: list[tuple[str, int]]) -> None:
    playout = Playout()
    taken = dropped = last = 0
    for action, amount in steps:
        if action == "add":
            playout.add(bytes(amount))
            taken += amount
        elif action == "tick":
            if playout.pop_frame() is None:
                playout.note_other_frame()
            assert playout.played_ms(amount) >= last
            last = playout.played_ms(amount)
        else:
            cleared, _ = playout.clear(0, amount)
            dropped += cleared.dropped_ms
            assert cleared.played_ms >= last
            last = cleared.played_ms
    while playout.pop_frame() is not None:
        pass
    heard = playout.played_ms(0)
    assert heard <= taken // 32
    # An interrupted stretch may lose the last fraction of a millisecond to rounding.
    assert heard + dropped >= taken // 32 - len(steps) - 1


@pytest.mark.parametrize(
    ("repeat_from", "expected"),
    [
        (None, [b"a", b"b", None, None]),
        (0, [b"a", b"b", b"a", b"b"]),
        (1, [b"a", b"b", b"b", b"b"]),
    ],
)
def test_a_prompt_is_said_once_or_repeated_from_a_point(
    repeat_from: int | None, expected: list[bytes | None]
) -> None:
    prompt = Prompt([b"a", b"b"], repeat_from=repeat_from)
    assert [prompt.pop_frame() for _ in expected] == expected
