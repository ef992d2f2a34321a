from __future__ import annotations

import pytest

from voice_agent.knowledge.word_forms import LEAST_SIMILAR, WordForms, rarity

FORMS = WordForms(["souvla", "dragoneats", "hotel", "415", "451"])


def likest(word: str) -> list[str]:
    found = sorted(FORMS.similar(word), key=lambda pair: -pair[1])
    return [FORMS.words[number] for number, _ in found]


@pytest.mark.parametrize(
    ("heard", "meant"),
    [("souvia", "souvla"), ("dragoneat", "dragoneats"), ("hotel", "hotel"), ("hottel", "hotel")],
)
def test_a_misheard_word_is_like_the_one_that_was_said(heard: str, meant: str) -> None:
    assert likest(heard)[0] == meant


def test_other_words_and_other_numbers_are_not_alike() -> None:
    assert likest("total") == []
    assert likest("415") == ["415"]
    assert likest("") == []


def test_likeness_is_one_for_the_word_itself_and_never_below_the_least() -> None:
    assert max(likeness for _, likeness in FORMS.similar("souvla")) == 1.0
    assert all(likeness >= LEAST_SIMILAR for _, likeness in FORMS.similar("souvia"))


def test_a_word_of_every_text_tells_less_than_a_word_of_one() -> None:
    weights = rarity([["lamp", "blue"], ["lamp", "lamp"], ["lamp"]])
    assert weights["blue"] > weights["lamp"] > 0
