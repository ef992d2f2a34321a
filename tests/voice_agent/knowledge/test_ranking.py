from __future__ import annotations

import numpy as np

from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.ranking import (
    answering,
    best_rows,
    join_parts,
    relevance,
    without_repeats,
)


def passage(passage_id: str, text: str, title: str) -> Passage:
    return Passage(passage_id, passage_id, title, "", text, "")


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_meaning_words_and_subject_each_decide_when_the_others_are_equal() -> None:
    flat = floats(0.5, 0.5)
    none = floats(0, 0)
    for meaning, terms, subject in (
        (floats(0.5, 0.6), none, none),
        (flat, floats(1, 3), none),
        (flat, none, floats(0, 1)),
    ):
        assert best_rows(relevance(meaning, terms, subject), 1).tolist() == [1]


def test_a_named_subject_outweighs_a_nearer_passage_about_another() -> None:
    scores = relevance(floats(0.8, 0.3), floats(0, 0), floats(0, 1))
    assert best_rows(scores, 2).tolist() == [1, 0]


def test_one_part_well_answered_beats_all_parts_half_answered() -> None:
    joined = join_parts(np.array([[0.9, 0.5], [0.1, 0.45]], dtype=np.float32))
    assert joined[0] > joined[1]


def test_ties_go_to_the_earlier_row_and_left_out_rows_never_come() -> None:
    assert best_rows(floats(1, 2, 2, -np.inf), 2).tolist() == [1, 2]
    assert best_rows(floats(1, -np.inf), 5).tolist() == [0]
    assert best_rows(floats(), 5).tolist() == []


def test_a_surely_named_subject_vouches_for_a_passage_that_is_a_little_far() -> None:
    near, subject = floats(0.2, 0.2, 0.05), floats(0, 1, 1)
    assert answering(near, subject, 0.25).tolist() == [False, True, False]


def test_a_passage_said_again_is_dropped_but_not_another_subjects() -> None:
    first = passage("a", "Pets are welcome in every room.", title="Blue Heron Inn")
    again = passage("b", "Pets are welcome in every room", title="Blue Heron Inn")
    other = passage("c", "Pets are welcome in every room.", title="HedgeHop")
    kept = without_repeats(iter([first, again, other]), 3)
    assert [each.passage_id for each in kept] == ["a", "c"]
    assert len(without_repeats(iter([first, other]), 1)) == 1
