from __future__ import annotations

import pytest

from voice_agent.knowledge.terms import terms_of, weigh_passage, weigh_query


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("How much are the deliveries?", ["much", "delivery"]),
        ("error E 18 on my W7", ["error", "e18", "w7"]),
        ("It costs $1,299.", ["cost", "1299"]),
        ("The sofa’s legs don't fit", ["sofa", "leg", "fit"]),
        ("glass bus", ["glass", "bus"]),
        ("", []),
        ("🎉 — !", []),
    ],
)
def test_words_and_codes_are_reduced_to_what_identifies_them(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


def test_a_repeated_word_weighs_more_in_a_passage_and_once_in_a_query() -> None:
    once, thrice = weigh_passage("sofa lamp"), weigh_passage("sofa sofa sofa lamp")
    sofa = weigh_query("sofa sofa").indices[0]
    assert weigh_query("sofa sofa").values == [1.0]
    assert thrice.values[thrice.indices.index(sofa)] > once.values[once.indices.index(sofa)]


def test_indices_are_sorted_and_unique() -> None:
    weights = weigh_passage("the quick brown fox jumps over the lazy dog again and again")
    assert weights.indices == sorted(set(weights.indices))
    assert len(weights.values) == len(weights.indices)
