"""Who spoke when: cut-ins, overlap, interruptions between words, torn sound, sounds that stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evals.call_report import CallReport, SoundMade, Spoken
from evals.exchange import (
    CutIn,
    cut_ins,
    overlap_ms,
    reply_to,
    running_at,
    stopped_after_ms,
    torn,
)
from evals.wire_audio import RATE_HZ, Samples, Span


def at(*pairs: tuple[int, int]) -> list[Span]:
    return [Span(a * RATE_HZ // 1000, b * RATE_HZ // 1000) for a, b in pairs]


def line(length_ms: int, *sounding: tuple[int, int], level: int = 5_000) -> Samples:
    samples = np.zeros(RATE_HZ * length_ms // 1000, dtype=np.int16)
    for span in at(*sounding):
        wave = np.sin(2 * np.pi * 300 * np.arange(span.end - span.start) / RATE_HZ)
        samples[span.start : span.end] = np.rint(level * wave).astype(np.int16)
    return samples


(SAID,) = at((1_000, 3_000))
PAUSES = at((1_500, 2_100), (2_500, 2_700))


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([], []),
        ([(3_300, 4_000)], []),
        ([(1_900, 2_200)], [CutIn(0, 400.0, 300.0)]),
        ([(2_200, 2_300)], [CutIn(0, 700.0, 100.0)]),
        ([(1_600, 1_700), (1_900, 2_000)], [CutIn(0, 100.0, 100.0)]),
        ([(1_600, 1_700), (2_650, 4_000)], [CutIn(0, 100.0, 100.0), CutIn(1, 150.0, 1_350.0)]),
        ([(1_300, 1_400)], [CutIn(-1, 300.0, 100.0)]),
        ([(200, 1_200)], []),
        ([(200, 900), (1_050, 1_300)], []),
    ],
    ids=[
        "silent",
        "polite",
        "into a pause",
        "just after a pause",
        "counted once a pause",
        "two pauses",
        "before any pause",
        "was speaking before",
        "was speaking before, between two words",
    ],
)
def test_the_agent_that_begins_before_the_caller_has_finished_cuts_in(
    heard: list[tuple[int, int]], expected: list[CutIn]
) -> None:
    assert cut_ins(SAID, PAUSES, at(*heard)) == expected


def test_a_cut_in_that_is_over_before_the_caller_has_finished_is_not_the_reply() -> None:
    reply = reply_to(SAID, at((1_600, 1_900), (3_400, 5_000)), until=RATE_HZ * 9)
    assert reply is not None
    assert reply.voice_to_voice_ms == 400


def test_the_rest_of_what_was_interrupted_is_not_the_reply() -> None:
    heard = at((200, 900), (1_050, 3_200), (3_800, 5_000))
    reply = reply_to(SAID, heard, until=RATE_HZ * 9)
    assert reply is not None
    assert reply.voice_to_voice_ms == 800


@pytest.mark.parametrize(
    ("heard", "stopped_ms"),
    [
        ([(0, 900), (1_100, 1_250)], 250),
        ([(0, 900), (1_100, 1_250), (1_500, 1_600)], 600),
        ([(0, 1_200), (1_700, 1_900)], 200),
        ([(0, 500), (1_100, 1_250)], None),
        ([(0, 900)], None),
    ],
    ids=["between words", "goes on", "stops, then cuts in", "long silent", "had just finished"],
)
def test_an_interruption_may_begin_between_two_words(
    heard: list[tuple[int, int]], stopped_ms: float | None
) -> None:
    assert stopped_after_ms(SAID, at(*heard)) == stopped_ms


def test_nothing_runs_in_silence() -> None:
    assert running_at(100, [], 1_000) == []


def test_overlap_counts_where_the_caller_really_speaks() -> None:
    spoken = Spoken("a", SAID, False, tuple(PAUSES))
    assert [(v.start, v.end) for v in spoken.voiced] == [
        (s.start, s.end) for s in at((1_000, 1_500), (2_100, 2_500), (2_700, 3_000))
    ]
    assert overlap_ms(spoken.voiced, at((1_400, 2_200), (2_950, 4_000))) == 100 + 100 + 50


def test_sound_that_breaks_off_and_goes_on_is_torn_and_a_pause_is_not() -> None:
    samples = line(2_000, (100, 500), (590, 900))
    assert torn(samples, Span(0, len(samples))) == at((500, 590))
    fading = samples.astype(np.float64)
    fade = np.linspace(1, 0.005, RATE_HZ // 10)
    fading[RATE_HZ * 4 // 10 : RATE_HZ // 2] *= fade
    assert torn(fading.astype(np.int16), Span(0, len(samples))) == []
    assert torn(line(2_000, (100, 500), (512, 900)), Span(0, len(samples))) == []
    assert torn(samples, Span(0, 10)) == []


def sounded(*heard: tuple[int, int]) -> SoundMade:
    report = CallReport("sip:a@b")
    (made,) = at((3_000, 3_400))
    report.measure(
        [Spoken("q", at((500, 1_000))[0], False)],
        line(12_000, *heard),
        sounds=[Spoken("cough", made, False)],
    )
    return report.sounds[0]


@pytest.mark.parametrize(
    ("heard", "ran", "silent_for_ms", "for_good"),
    [
        ([(1_500, 6_000)], True, 0, False),
        ([(1_500, 3_200), (3_900, 8_000)], True, 700, False),
        ([(1_500, 3_250)], True, 8_750, True),
        ([(1_500, 3_250), (7_000, 8_000)], True, 3_750, True),
        ([(1_500, 2_000)], False, 0, False),
        ([], False, 0, False),
    ],
    ids=["goes on", "resumes", "stops", "comes back too late", "had finished", "silent"],
)
def test_what_a_sound_does_to_the_agent(
    heard: list[tuple[int, int]], ran: bool, silent_for_ms: float, for_good: bool
) -> None:
    sound = sounded(*heard)
    assert sound.agent_ran is ran
    assert sound.stopped_for_good is for_good
    if ran:
        assert sound.silent_for_ms == silent_for_ms


def test_an_agent_that_answers_a_sound_has_left_its_reply() -> None:
    sound = sounded((1_500, 3_200), (3_900, 8_000))
    sound.heard = "cough"
    assert sound.stopped_for_good
    assert sound.as_json()["stopped_for_good"] is True


@pytest.mark.parametrize(
    ("said_all", "heard", "for_good"),
    [(True, None, False), (True, "cough", True), (False, None, True)],
)
def test_a_reply_that_ended_by_itself_was_not_stopped(
    said_all: bool, heard: str | None, for_good: bool
) -> None:
    sound = sounded((1_500, 3_250))
    sound.said_all, sound.heard = said_all, heard
    assert sound.stopped_for_good is for_good
    assert SoundMade.from_json(sound.as_json()) == sound


def measured(gaps: list[Span] | None, *heard: tuple[int, int]) -> dict[str, Any]:
    report = CallReport("sip:a@b")
    report.measure([Spoken("q", at((500, 1_000))[0], False)], line(9_000, *heard), gaps=gaps)
    turn: dict[str, Any] = report.as_json()["turns"][0]
    return turn


def test_a_gap_of_missing_packets_is_starved_and_a_pause_between_sentences_is_not() -> None:
    turn = measured(
        at((2_000, 2_090), (4_500, 4_900)), (1_500, 2_000), (2_090, 3_000), (3_500, 4_000)
    )
    assert turn["starved_gap_ms"] == 90
    assert turn["torn_gap_ms"] == 500
    assert turn["longest_gap_ms"] == 500


def test_silence_torn_into_packets_that_came_is_told_apart() -> None:
    turn = measured([], (1_500, 2_000), (2_090, 3_000))
    assert (turn["starved_gap_ms"], turn["torn_gap_ms"]) == (0, 90)
    assert measured(None, (1_500, 2_000))["starved_gap_ms"] is None


def test_the_report_lists_pauses_and_cut_ins() -> None:
    report = CallReport("sip:a@b")
    spoken = Spoken("a", SAID, False, tuple(PAUSES))
    report.measure([spoken], line(8_000, (1_800, 2_000), (3_500, 5_000)))
    turn = report.as_json()["turns"][0]
    assert turn["pauses"] == [(0.5, 1.1), (1.5, 1.7)]
    assert [(cut["pause"], cut["after_ms"]) for cut in turn["cut_ins"]] == [(0, 300.0)]
    assert turn["voice_to_voice_ms"] == 500
