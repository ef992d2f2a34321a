"""The parts of a turn's wait follow one another and add up."""

from __future__ import annotations

import pytest

from voice_agent.records.waterfall import transcribed_after_ms, voice_to_voice_ms, waterfall_ms
from voice_agent.reply import Clause, Reply


def reply(heard_from_ms: int | None = 5460, **marks_ms: float) -> Reply:
    """Speech ended at 100 s of wall clock and 5,000 ms of audio; marks are ms after that."""
    made = Reply(1, "t", "How much?")
    made.speech_end, made.speech_end_ms = 100.0, 5000
    made.silence_enough = 100.28
    made.heard_from_ms = heard_from_ms
    made.marks = {name: 100.0 + ms / 1000 for name, ms in marks_ms.items()}
    return made


def test_work_done_during_the_silence_costs_nothing() -> None:
    parts = waterfall_ms(
        reply(transcribed=200, retrieved=210, first_token=212, first_clause=212, first_audio=220,
              sent=285)
    )  # fmt: skip
    assert parts["silence"] == 280
    assert parts["gate"] == 5
    assert parts["playout"] == 175
    assert not any(parts[name] for name in ("transcription", "retrieval", "synthesis"))


def test_a_slow_stage_shows_what_it_added() -> None:
    parts = waterfall_ms(
        reply(900, transcribed=400, retrieved=430, first_token=600, first_clause=640,
              first_audio=800, sent=801)
    )  # fmt: skip
    assert (parts["transcription"], parts["retrieval"]) == (120, 30)
    assert (parts["first_token"], parts["first_clause"], parts["synthesis"]) == (170, 40, 160)


@pytest.mark.parametrize("heard_from_ms", [5300, 5460, 7000])
def test_the_parts_add_up_to_what_the_caller_waited(heard_from_ms: int) -> None:
    made = reply(heard_from_ms, transcribed=300, first_audio=350, sent=360)
    parts = waterfall_ms(made)
    assert sum(parts.values()) == pytest.approx(voice_to_voice_ms(made), abs=0.5)
    assert min(parts.values()) >= 0


def test_a_filler_ends_the_wait_in_the_stage_that_was_late() -> None:
    made = reply(1250, transcribed=300, first_clause=310, first_audio=2300, sent=1230)
    made.heard_from_ms = made.speech_end_ms + 1250
    made.filler = Clause("One moment, please.")
    parts = waterfall_ms(made)
    assert sum(parts.values()) == pytest.approx(1250, abs=0.5)
    assert min(parts.values()) >= 0
    assert parts["synthesis"] == 940


def test_what_was_never_heard_has_no_waterfall() -> None:
    assert waterfall_ms(reply(None, sent=300)) == {}
    assert voice_to_voice_ms(Reply(1, "t", "")) is None


def test_transcription_is_timed_from_the_last_sound() -> None:
    assert transcribed_after_ms(reply(transcribed=118)) == 118
    assert transcribed_after_ms(Reply(1, "t", "")) is None
