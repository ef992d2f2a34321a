"""How much silence ends a turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.config import TurnSettings
from voice_agent.turns.endpointing import (
    Rhythm,
    is_backchannel,
    is_faint,
    silence_needed_ms,
    together,
)

SETTINGS = TurnSettings(end_silence_ms=240, max_silence_ms=1600, complete_threshold=0.7)
SHORTEST, LONGEST = SETTINGS.end_silence_ms, SETTINGS.max_silence_ms


@pytest.mark.parametrize(
    "text",
    [
        "Can I change my address?",
        "That's my number?",
        "I'd like that.",
        "I want that one as well.",
        "Yes.",
        "Model S",
        "We moved there in 2018.",
        "I bought it two years ago.",
    ],
)
def test_a_whole_sentence_that_sounds_whole_ends_soon(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.95) == SHORTEST
    assert silence_needed_ms(SETTINGS, text, 0.01) == LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "How much is delivery?",
        "What are you looking for?",
        "Who is it for?",
        "Can you ship to Hawaii?",
        "Where can I see where my order is",
        "How long do you keep it.",
        "Goodbye.",
    ],
)
def test_a_whole_question_ends_before_long_however_it_sounds(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.95) == SHORTEST
    assert SHORTEST < silence_needed_ms(SETTINGS, text, 0.001, 300) <= LONGEST / 2


@pytest.mark.parametrize(
    "text",
    [
        "When I got the parcel",
        "What I would like to know",
        "When the parcel is brought to me",
        "Where my sofa should have been put",
        "Can I have a coffee?",
        "Can you",
    ],
)
def test_what_only_begins_like_a_question_is_waited_for(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.001, 300) == LONGEST


def test_words_that_trail_off_need_more_silence() -> None:
    def needed_ms(trailing: float | None) -> int:
        return silence_needed_ms(SETTINGS, "A small sofa", 0.6, trailing=trailing)

    assert SHORTEST < needed_ms(-5.0) < needed_ms(None) < needed_ms(-4.0) < LONGEST
    assert needed_ms(-1.0) == needed_ms(0.0), "one witness does not decide alone"


@pytest.mark.parametrize(
    "text",
    [
        "I bought a sofa and",
        "I bought a sofa, and...",
        "I wanted to ask about the",
        "Can I get a",
        "May I have a?",
        "Could I get?",
        "I'd like",
        "I would like.",
        "It comes with",
        "Um",
        "Well, I'm",
        "My last name",
        "My name is",
        "As far as",
        "I thought it was,",
        "My order number is",
        "It's four two seven",
        "4 2 7 1",
        "2018",
        "555 0123 88",
        "B-R-O",
        "It is b r o w n.",
        "That's fine. L.",
    ],
)
def test_words_that_ask_for_more_get_all_the_time(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.99) == LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "I need a large",
        "A table with three",
        "It's a twelve inch.",
        "Can I have 16 ounce?",
        "I want",
    ],
)
def test_words_that_often_go_on_get_more_time(text: str) -> None:
    assert SHORTEST < silence_needed_ms(SETTINGS, text, 0.9) < LONGEST
    assert silence_needed_ms(SETTINGS, text, 0.95) > silence_needed_ms(SETTINGS, "A sofa.", 0.95)


@pytest.mark.parametrize(
    ("whole", "grows"),
    [
        ("Can I get a coffee with oat milk?", "Can I get a coffee?"),
        ("I'd like to change the address on my order.", "I'd like to change the address."),
        ("Can I have a table for tonight?", "Can I have a table?"),
        ("Cancel my order from last week.", "Cancel my order."),
        ("A coffee with milk.", "A coffee."),
        ("with oat milk", "Oat milk."),
    ],
)
def test_a_thing_that_is_told_more_of_is_whole_however_it_sounds(whole: str, grows: str) -> None:
    assert silence_needed_ms(SETTINGS, whole, 0.3) < 2 * SHORTEST
    assert silence_needed_ms(SETTINGS, grows, 0.3) == LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "Can I get a coffee with",
        "Can I get a coffee with a lot?",
        "Can I get a coffee with some?",
        "I'd like to change the address on my",
        "I bought a sofa. It came from you",
        "I'm calling about it.",
        "The sofa I bought from you",
        "And my order from last week",
    ],
)
def test_a_preposition_alone_makes_nothing_whole(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.3) == LONGEST


@pytest.mark.parametrize(
    "text", ["A sofa, please.", "No, that's all.", "And how long does it take?", "Thank you!"]
)
def test_words_that_round_off_need_less(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.7) < silence_needed_ms(SETTINGS, "A sofa.", 0.7)


@pytest.mark.parametrize(("text", "completeness"), [(None, 0.95), ("How much is it?", None)])
def test_what_is_not_known_yet_is_waited_for(text: str | None, completeness: float | None) -> None:
    assert silence_needed_ms(SETTINGS, text, completeness) == LONGEST


def test_doubt_costs_silence() -> None:
    needed = [silence_needed_ms(SETTINGS, "A sofa.", p / 20) for p in range(21)]
    assert needed == sorted(needed, reverse=True)
    assert SHORTEST < needed[15] < needed[10] < LONGEST
    assert (needed[19], needed[2]) == (SHORTEST, LONGEST)


@pytest.mark.parametrize("text", ["A small sofa.", "Can I get a table?"])
def test_a_turn_that_has_hardly_begun_is_given_more_time(text: str) -> None:
    needed = [silence_needed_ms(SETTINGS, text, 0.9, ms) for ms in (300, 900, 2000, 6000, 60_000)]
    assert needed == sorted(needed, reverse=True)
    assert needed[0] > 2 * needed[2]
    assert needed[3] == needed[4] == SHORTEST


@pytest.mark.parametrize("text", ["Sure.", "Okay.", "All right."])
def test_a_word_that_begins_more_often_than_it_ends_is_given_time(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.95, 300) > 1.9 * SHORTEST


@pytest.mark.parametrize("text", ["Yes.", "No, thanks.", "Hello?", "Yes please.", "Bye!"])
def test_a_short_answer_is_whole_however_short(text: str) -> None:
    assert silence_needed_ms(SETTINGS, text, 0.95, 300) == SHORTEST


def test_a_threshold_is_taken_as_it_is_set() -> None:
    def needed_ms(threshold: float) -> int:
        turned = SETTINGS.model_copy(update={"complete_threshold": threshold})
        return silence_needed_ms(turned, "A sofa.", 0.1)

    assert SHORTEST == needed_ms(0.01) < needed_ms(0.08) < needed_ms(0.1)


def test_how_long_a_story_is_says_nothing_of_its_end() -> None:
    def needed_ms(spoken_ms: int) -> int:
        return silence_needed_ms(SETTINGS, "It came on Monday.", 0.5, spoken_ms)

    assert needed_ms(4000) == SHORTEST
    assert needed_ms(4000) < needed_ms(6500) < needed_ms(9000) == needed_ms(2000)


def test_a_caller_who_pauses_in_turns_is_given_more_time_and_nobody_less() -> None:
    plain = silence_needed_ms(SETTINGS, "A sofa.", 0.75)
    paused = silence_needed_ms(SETTINGS, "A sofa.", 0.75, rhythm=Rhythm(turns=1, pauses=6))
    swift = silence_needed_ms(SETTINGS, "A sofa.", 0.75, rhythm=Rhythm(turns=9, pauses=0))
    assert SHORTEST < plain == swift < paused < LONGEST


@given(
    st.one_of(st.none(), st.text(max_size=80)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.integers(0, 100_000),
    st.builds(Rhythm, st.integers(0, 99), st.integers(0, 99)),
)
def test_never_less_than_the_shortest_nor_more_than_the_longest(
    text: str | None, completeness: float | None, spoken_ms: int, rhythm: Rhythm
) -> None:
    needed = silence_needed_ms(SETTINGS, text, completeness, spoken_ms, rhythm)
    assert SHORTEST <= needed <= LONGEST


def test_several_judgements_make_one_between_them() -> None:
    assert together([]) is None
    assert together([0.7]) == pytest.approx(0.7)
    assert together([0.5, 0.9]) == pytest.approx(0.75)
    assert together([0.3, 0.7]) == pytest.approx(0.5)


def test_no_judgement_is_taken_for_certain() -> None:
    assert together([0.0]) == together([0.05]) == pytest.approx(0.1)
    assert together([1.0]) == pytest.approx(0.995)


@pytest.mark.parametrize(
    ("level_db", "usual_db", "faint"),
    [(-30, -26, False), (-49, -26, False), (-51, -26, True), (-59, -45, False), (-61, -45, True)],
)
def test_far_below_the_callers_level_is_no_voice(
    level_db: float, usual_db: float, faint: bool
) -> None:
    assert is_faint(level_db, usual_db) is faint


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "Okay.", "Yeah, yeah.", "Uh-huh", "I see.", "Right, okay."]
)
def test_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["No.", "Okay, but how much?", "Wait", "Stop", "What?"])
def test_no_backchannels(text: str) -> None:
    assert not is_backchannel(text)
