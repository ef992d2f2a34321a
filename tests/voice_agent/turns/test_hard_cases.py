"""What callers do to turn-taking: every case here once went, or could go, wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.voice_agent.turns.line import LOUD_DB, PAUSE_MS, SETTINGS, Line, ask
from voice_agent.turns import events as e
from voice_agent.turns.endpointing import FAINT_DB
from voice_agent.turns.engine import (
    BACKCHANNEL_MS,
    BACKGROUND_DB,
    PART_AFTER_MS,
    USUAL_LEVEL_DB,
)

FIRST, SECOND = "I want to send back a sofa.", "And a lamp, if that is possible."


def pause_with_words(line: Line, text: str = FIRST) -> int:
    """Speech and the beginning of a silence, its words known; gives the silence so far in ms."""
    line.speak()
    line.silence(PAUSE_MS)
    line.words(text)
    return PAUSE_MS


def answered_aloud(line: Line) -> int:
    """A question whose answer the caller is hearing."""
    reply = ask(line)
    line.tell(e.AgentHeard(True))
    line.silence(200)
    return reply


@pytest.mark.parametrize("early_ms", [60, 20, 0, -40, -60])
def test_resuming_around_the_commit_makes_one_question_and_one_answer(early_ms: int) -> None:
    line = Line()
    silent_ms = pause_with_words(line)
    line.silence(SETTINGS.end_silence_ms - silent_ms - early_ms)
    line.speak(800)
    line.silence(PAUSE_MS)
    line.words(SECOND if line.of(e.CommitReply) else f"{FIRST} {SECOND}")
    line.silence(SETTINGS.max_silence_ms)
    alive = {d.reply for d in line.of(e.CommitReply)} - {d.reply for d in line.of(e.DropReply)}
    assert len(alive) == 1
    (question,) = {d.text for d in line.of(e.Speculate) if d.reply in alive}
    assert question == f"{FIRST} {SECOND}"


def test_a_turn_is_not_ended_while_a_sound_may_become_a_word() -> None:
    line = Line()
    silent_ms = pause_with_words(line)
    line.silence(SETTINGS.end_silence_ms - silent_ms - 20)
    line.speak(40)
    assert not line.of(e.CommitReply)
    line.silence(40)
    assert line.of(e.CommitReply)


def test_an_interruption_in_the_first_instant_of_an_answer_stops_it() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    line.speak(SETTINGS.interrupt_ms + 20)
    assert len(line.of(e.StopAgent)) == 1


def test_an_interruption_over_the_last_word_is_the_next_question() -> None:
    line = Line()
    reply = answered_aloud(line)
    line.speak(SETTINGS.interrupt_ms - 20)
    line.tell(e.AgentHeard(False))
    line.tell(e.ReplyOver(reply))
    line.speak(600)
    line.silence(PAUSE_MS)
    line.words("And express?")
    line.silence(SETTINGS.max_silence_ms)
    assert line.of(e.StopAgent) == []
    assert [d.text for d in line.of(e.Speculate)][-1] == "And express?"
    assert len(line.of(e.CommitReply)) == 2


def test_two_interruptions_in_a_second_stop_the_agent_twice_and_it_goes_on_twice() -> None:
    line = Line()
    answered_aloud(line)
    for _ in range(2):
        line.speak(SETTINGS.interrupt_ms + 40)
        line.tell(e.AgentHeard(False))
        line.silence(PAUSE_MS)
        line.words("")
        line.silence(60)
        line.tell(e.AgentHeard(True))
        line.silence(120)
    kinds = [type(d) for d in line.decisions if isinstance(d, e.StopAgent | e.ResumeAgent)]
    assert kinds == [e.StopAgent, e.ResumeAgent] * 2


def test_a_caller_who_talks_over_the_whole_answer_is_answered_once_they_stop() -> None:
    line = Line()
    answered_aloud(line)
    line.speak(9000)
    line.tell(e.AgentHeard(False))
    line.silence(PAUSE_MS)
    line.words("No, listen, I do not want delivery at all, I want my money back.")
    line.silence(SETTINGS.end_silence_ms)
    assert len(line.of(e.StopAgent)) == len(line.of(e.EndInterruption)) == 1
    assert len(line.of(e.CommitReply)) == 2


def test_transcription_slower_than_the_silence_ends_the_turn_when_it_comes() -> None:
    line = Line()
    line.speak()
    line.silence(SETTINGS.max_silence_ms + 500)
    assert not line.of(e.CommitReply)
    line.words(FIRST)
    line.silence(20)
    assert len(line.of(e.CommitReply)) == 1


def test_a_final_text_that_contradicts_the_interim_is_the_one_that_counts() -> None:
    line = Line()
    line.speak(900)
    line.tell(e.InterimHeard("how much is the bill"))
    line.speak(300)
    line.silence(PAUSE_MS)
    line.words("How much is the pillow?")
    line.silence(SETTINGS.end_silence_ms)
    assert [d.text for d in line.of(e.Prepare)] == ["how much is the bill"]
    assert [d.text for d in line.of(e.Speculate)] == ["How much is the pillow?"]


def test_a_long_monologue_is_heard_whole_and_never_transcribed_from_its_start_again() -> None:
    line = Line()
    parts = [f"This is part {number} of what I have to say," for number in range(9)]
    for part in parts:
        line.speak(5000)
        line.silence(PAUSE_MS)
        settled = [d for d in line.of(e.BeginUtterance) if d.settled]
        before = 3 * (len(settled))
        line.words(" ".join(parts[before : parts.index(part) + 1]), completeness=0.1)
    line.silence(SETTINGS.max_silence_ms)
    begins = [d.at_ms for d in line.of(e.BeginUtterance)]
    assert all(later - earlier >= PART_AFTER_MS for earlier, later in pairwise(begins))
    assert len(begins) == 3
    assert line.of(e.Speculate)[-1].text == " ".join(parts)
    assert len(line.of(e.CommitReply)) == 1


def test_keys_pressed_in_the_middle_of_speech_are_kept_and_the_speech_is_too() -> None:
    line = Line()
    line.speak(500)
    for digit in "12#":
        line.tell(e.KeyPressed(line.now_ms, digit))
    line.speak(500)
    line.silence(PAUSE_MS)
    line.words(FIRST)
    line.silence(SETTINGS.end_silence_ms)
    assert [d.digits for d in line.of(e.TakeKeys)] == ["12"]
    assert len(line.of(e.CommitReply)) == 1


def test_the_agents_own_echo_does_not_stop_it_even_before_the_caller_has_spoken() -> None:
    line = Line()
    line.engine.new_reply()
    line.tell(e.AgentHeard(True))
    agent_db = -20.0
    line.speak(3000, level_db=agent_db - 20)
    assert line.of(e.StopAgent) == []


def test_somebody_talking_in_the_background_does_not_stop_the_agent() -> None:
    line = Line()
    answered_aloud(line)
    line.speak(3000, level_db=LOUD_DB - BACKGROUND_DB - 3)
    assert line.of(e.StopAgent) == []
    line.speak(SETTINGS.interrupt_ms + 20)
    assert len(line.of(e.StopAgent)) == 1


def test_somebody_in_the_background_is_held_against_the_callers_loud_sounds() -> None:
    line = Line()
    for _ in range(25):
        line.speak(40, level_db=LOUD_DB)
        line.speak(40, level_db=LOUD_DB - 20)
    line.silence(PAUSE_MS)
    line.words("How much is delivery?")
    line.silence(400)
    line.tell(e.AgentHeard(True))
    line.silence(200)
    line.speak(3000, level_db=LOUD_DB - BACKGROUND_DB - 5)
    assert line.of(e.StopAgent) == []
    line.speak(SETTINGS.interrupt_ms + 20)
    assert len(line.of(e.StopAgent)) == 1


def test_a_soft_caller_is_heard_when_the_agent_is_silent() -> None:
    line = Line()
    line.speak(1000, level_db=USUAL_LEVEL_DB - BACKGROUND_DB - 10)
    assert line.of(e.BeginUtterance)


def test_mm_hm_lets_the_agent_go_on_as_soon_as_it_is_known_to_be_that() -> None:
    line = Line()
    answered_aloud(line)
    line.speak(240)
    line.silence(PAUSE_MS)
    line.words("Mm-hm.", completeness=0.0)
    line.silence(BACKCHANNEL_MS - PAUSE_MS)
    assert len(line.of(e.ResumeAgent)) == 1


def test_words_that_are_only_guessed_at_do_not_stop_the_agent_but_answer_its_silence() -> None:
    line = Line()
    answered_aloud(line)
    line.speak(240)
    line.silence(PAUSE_MS)
    line.tell(e.PauseTranscribed(line.of(e.ExaminePause)[-1].pause, "and the nation", False))
    line.silence(20)
    assert len(line.of(e.ResumeAgent)) == 1
    quiet = Line()
    quiet.speak(600)
    quiet.silence(PAUSE_MS)
    quiet.tell(e.PauseTranscribed(quiet.of(e.ExaminePause)[-1].pause, "a nation", False))
    assert quiet.of(e.Speculate)


def test_a_cough_lets_the_agent_go_on_at_once() -> None:
    line = Line()
    answered_aloud(line)
    line.speak(200)
    line.silence(PAUSE_MS)
    line.words("")
    line.silence(20)
    assert len(line.of(e.ResumeAgent)) == 1


def test_a_late_reply_is_filled_once_and_one_that_is_heard_never() -> None:
    line = Line()
    ask(line)
    line.silence(SETTINGS.filler_after_ms + 3000)
    assert len(line.of(e.SayFiller)) == 1
    prompt = Line()
    ask(prompt)
    prompt.tell(e.AgentHeard(True))
    prompt.silence(SETTINGS.filler_after_ms + 3000)
    assert prompt.of(e.SayFiller) == []


def test_the_time_an_interrupted_reply_was_silent_is_not_the_next_ones_delay() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    line.silence(1000)
    line.speak(200)
    line.tell(e.AgentHeard(False))
    line.speak(1800)
    line.silence(PAUSE_MS)
    line.words("No, what does it cost to return a sofa?")
    line.silence(SETTINGS.filler_after_ms - 100)
    assert len(line.of(e.CommitReply)) == 2
    assert line.of(e.SayFiller) == []
    line.silence(SETTINGS.filler_after_ms)
    assert len(line.of(e.SayFiller)) == 1


def test_completeness_is_judged_again_once_as_the_silence_grows() -> None:
    line = Line()
    line.speak()
    line.silence(PAUSE_MS)
    line.words("I would like to know about the", completeness=0.1)
    line.silence(1000)
    (again,) = line.of(e.JudgeAgain)
    assert again.pause == line.of(e.ExaminePause)[-1].pause
    assert again.through_ms - line.of(e.ExaminePause)[-1].through_ms >= 60


def test_doubt_is_put_to_the_recogniser_once_when_the_sound_has_been_judged_twice() -> None:
    def asked(completeness: float, trailing: float) -> int:
        line = Line()
        line.speak()
        line.silence(PAUSE_MS)
        line.words("I want to return a sofa", completeness)
        line.silence(SETTINGS.end_silence_ms - PAUSE_MS - 40)
        pause = line.of(e.JudgeAgain)[-1].pause
        assert line.of(e.JudgeTrailing) == []
        line.tell(e.CompletenessJudged(pause, completeness))
        line.silence(40)
        for judged in line.of(e.JudgeTrailing):
            line.tell(e.TrailingJudged(judged.pause + 1, 0.0))
            line.tell(e.TrailingJudged(judged.pause, trailing))
        line.silence(SETTINGS.max_silence_ms)
        (commit,) = line.of(e.CommitReply)
        assert len(line.of(e.JudgeTrailing)) == (completeness < 0.9)
        return commit.silence_ms

    assert asked(0.995, 0.0) <= SETTINGS.end_silence_ms + 20
    assert asked(0.85, -8.0) < asked(0.85, -4.5) < asked(0.85, -1.0)


def test_a_caller_who_pauses_in_mid_turn_is_given_more_time_from_then_on() -> None:
    def silence_before_answer_ms(line: Line) -> int:
        line.speak(1800)
        line.silence(PAUSE_MS)
        line.words("I want to return a sofa", completeness=SETTINGS.complete_threshold)
        line.silence(SETTINGS.max_silence_ms)
        return line.of(e.CommitReply)[-1].silence_ms

    fluent, halting = Line(), Line()
    for _ in range(2):
        halting.speak(1800)
        halting.silence(600)
        halting.words(FIRST)
        halting.speak(200)
        halting.silence(PAUSE_MS)
        halting.words(FIRST)
        halting.silence(SETTINGS.max_silence_ms)
    assert silence_before_answer_ms(halting) > silence_before_answer_ms(fluent)


def test_the_fading_end_of_a_word_is_silence_although_the_detector_lags() -> None:
    line = Line()
    line.speak()
    line.speak(SETTINGS.speculate_ms + 40, level_db=LOUD_DB - FAINT_DB - 6)
    assert line.of(e.ExaminePause)


def test_transcription_begins_with_the_first_silence_and_once_in_each() -> None:
    line = Line()
    for _ in range(2):
        line.speak(200)
        line.silence(PAUSE_MS - 40)
    endings = [d.through_ms for d in line.of(e.TranscribeInterim) if d.ending]
    assert endings == [240, 200 + PAUSE_MS - 40 + 240]
