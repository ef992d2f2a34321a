"""Answers are cut into pieces that can be spoken while the rest is still being written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.speech.clauses import LONGEST, ClauseSplitter

_LIKE_A_TOKENISER = re.compile(r"[^\w\s]?[^\W\d_]+|\d|\s+|[^\w\s]+|.", re.DOTALL)


def _split(text: str, pieces: list[str] | None = None) -> list[str]:
    splitter = ClauseSplitter()
    released = [clause for piece in pieces or [text] for clause in splitter.feed(piece)]
    return released + splitter.finish()


def _bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Yes. We ship on Mondays.", ["Yes.", "We ship on Mondays."]),
        ("No. We do not.", ["No.", "We do not."]),
        ("Is it no. 5 or no. 6?", ["Is it no. 5 or no. 6?"]),
        ("It costs $4.95 today. Shall I?", ["It costs $4.95 today.", "Shall I?"]),
        ("Ask Dr. Jones about it. Bye!", ["Ask Dr. Jones about it.", "Bye!"]),
        ("Use fruit, e.g. apples. Done.", ["Use fruit, e.g. apples.", "Done."]),
        ("Go to www.x.com now. Bye.", ["Go to www.x.com now.", "Bye."]),
        ("Order A-1042 is late. Sorry.", ["Order A-1042 is late.", "Sorry."]),
        ("We close at 5 p.m. on Monday.", ["We close at 5 p.m. on Monday."]),
        ("We close at 5 p.m. Goodbye.", ["We close at 5 p.m.", "Goodbye."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        ("1. Open it.\n2. Tap Send\n3. Done", ["1. Open it.", "2. Tap Send", "3. Done"]),
        ("It is J. Smith who rang. Right.", ["It is J. Smith who rang.", "Right."]),
        ("   \n ", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_stop(text: str, clauses: list[str]) -> None:
    assert _split(text) == clauses
    assert _split(text, _LIKE_A_TOKENISER.findall(text)) == clauses


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Standard delivery is in three days, it is free.", "Standard delivery is in three days,"),
        ("You can return it within 30 days; keep the box.", "You can return it within 30 days;"),
        ("You can change it all and keep the deal.", "You can change it all and keep the deal."),
        ("The desk can be delivered today but only late.", "The desk can be delivered today"),
        ("Sure, it is ready.", "Sure, it is ready."),
        ("The price of the set is 1,299 dollars.", "The price of the set is 1,299 dollars."),
        ("Please call this number 0800 123, 456.", "Please call this number 0800 123, 456."),
    ],
)
def test_the_first_clause_is_short_but_never_cuts_a_number(text: str, first: str) -> None:
    assert _split(text)[0] == first
    assert _split(text, _LIKE_A_TOKENISER.findall(text))[0] == first


def test_only_the_first_clause_ends_before_its_sentence() -> None:
    text = "Yes, of course. Standard delivery takes three days, and it is free, as always."
    assert _split(text) == [
        "Yes, of course.",
        "Standard delivery takes three days, and it is free, as always.",
    ]


def test_a_sentence_is_released_with_its_full_stop() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("It ships") == []
    assert splitter.feed(" today") == []
    assert splitter.feed(".") == ["It ships today."]


@pytest.mark.parametrize("text", ["It costs 4.", "Visit www.", "Ask Dr.", "At 5 p.m.", "Use e.g."])
def test_a_full_stop_that_may_go_on_waits(text: str) -> None:
    splitter = ClauseSplitter()
    assert splitter.feed(text) == []
    assert splitter.finish() == [text]


def test_a_splitter_can_be_used_again_after_finish() -> None:
    splitter = ClauseSplitter()
    splitter.feed("One two three four five, six")
    splitter.finish()
    assert splitter.feed("Seven eight nine ten eleven, twelve") == ["Seven eight nine ten eleven,"]


@given(st.text(alphabet=st.sampled_from("ab1 .,!?;:—-\n\"'()$é…"), max_size=400), st.data())
def test_pieces_are_the_text_however_it_arrives(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    clauses = _split(text, pieces)
    assert _bare("".join(clauses)) == _bare(text)
    assert all(clause == clause.strip() and clause for clause in clauses)


@given(st.text(max_size=2000))
def test_no_piece_is_longer_than_the_bound(text: str) -> None:
    clauses = _split(text)
    assert _bare("".join(clauses)) == _bare(text)
    assert all(len(clause) <= LONGEST for clause in clauses)
