from __future__ import annotations

import pytest

from voice_agent.knowledge.subjects import Subjects
from voice_agent.knowledge.terms import weigh_passage

TEXTS = [
    ("Kestrel Grill - Harbour", "Kestrel Grill takes cards."),
    ("Kestrel Grill - Old Town", "Kestrel Grill has a terrace."),
    ("Blue Heron Inn", "The inn has rooms and a pool."),
    ("HedgeHop", "HedgeHop has a bar."),
    ("Pavilion 1906", "The pavilion opens at ten."),
    ("Opening hours", "The opening hours of the pool and the bar."),
    ("Is there parking?", "There is parking."),
    *(
        (f"Place {number}", "Opening hours are long here and parking is free.")
        for number in range(80)
    ),
]


def subjects() -> Subjects:
    return Subjects.learn(
        (title, weigh_passage(f"{title}. {text}").indices) for title, text in TEXTS
    )


def first_named(*said: str) -> str:
    named = subjects().named_in(said)
    return max(named, key=lambda title: named[title]) if named else ""


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("i found the blue heron inn for you", "Blue Heron Inn"),
        ("does the blue herron inn have a pool", "Blue Heron Inn"),
        ("is hedge hop open", "HedgeHop"),
        ("how about nineteen oh six pavilion", "Pavilion 1906"),
        ("a castle on a hill", ""),
        ("thanks a lot", ""),
        ("", ""),
    ],
)
def test_a_title_is_recognised_as_it_is_heard(said: str, title: str) -> None:
    assert first_named(said) == title


def test_the_subject_named_last_is_the_one_talked_about() -> None:
    assert first_named("the blue heron inn", "and hedge hop") == "HedgeHop"
    assert first_named("hedge hop", "the blue heron inn", "is there a pool") == "Blue Heron Inn"


def test_the_rest_of_a_title_tells_those_of_one_name_apart() -> None:
    assert first_named("something in the old town", "there is kestrel grill") == (
        "Kestrel Grill - Old Town"
    )


def test_titles_of_common_words_and_questions_are_hardly_names() -> None:
    named = subjects().named_in(["what are your opening hours", "is there parking"])
    assert named.get("Opening hours", 0.0) < 0.1
    assert "Is there parking?" not in named


def test_surety_is_between_nothing_and_one_and_fades() -> None:
    now = subjects().named_in(["blue heron inn"])["Blue Heron Inn"]
    later = subjects().named_in(["blue heron inn", "how much is it", "and then"])["Blue Heron Inn"]
    assert 0 < later < now <= 1


def test_no_passages_and_endless_speech_do_no_harm() -> None:
    assert Subjects.learn([]).named_in(["hello"]) == {}
    assert subjects().named_in(["heron " * 5000]) == {}
