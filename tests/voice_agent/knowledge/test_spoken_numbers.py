from __future__ import annotations

import pytest

from voice_agent.knowledge.spoken_numbers import number_terms, read_numbers


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("order oh seven four two please", "order 0742 please"),
        ("nineteen oh six mission", "1906 mission"),
        ("nineteen 06 mission", "1906 mission"),
        ("forty two", "42"),
        ("double five one", "551"),
        ("oh it is broken", "oh it is broken"),
        ("it is oh five", "it is 05"),
        ("3 lamps", "3 lamps"),
        ("from 9 30 on", "from 9 30 on"),
        ("twenty zero", "200"),
        ("", ""),
    ],
)
def test_runs_of_number_words_are_written_as_one_code(said: str, written: str) -> None:
    assert " ".join(read_numbers(said.split())) == written


def test_only_numbers_that_are_not_written_already_are_new_terms() -> None:
    assert number_terms("seats two or 3".split()) == ["2"]
