"""Names and addresses are found with the model; the company's own words are spared."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.models import locate
from voice_agent.safety.masking import mask_with
from voice_agent.safety.personal_data import NamesUnusable, PersonalData
from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.safety.policy import default_policy

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def finder() -> PersonalData:
    folder = locate(Path("var/models"), "spacy-en-small")
    return PersonalData.load(folder, frozenset({"fernhill", "home", "oakley"}))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("My name is Maria Lindqvist", Kind.PERSON, "Maria Lindqvist"),
        ("I live at 27 Park Road in Leeds", Kind.ADDRESS, "27 Park Road"),
        ("I was born on 3 May 1984", Kind.BIRTH, "3 May 1984"),
        ("I am 71 years old", Kind.AGE, "71"),
        ("the last name is ess em eye tea aitch", Kind.PERSON, "ess em eye"),
    ],
)
def test_people_are_found(finder: PersonalData, text: str, kind: Kind, value: str) -> None:
    found = [(one.kind, text[one.start : one.end]) for one in finder.find(text)]
    assert any(one is kind and value in said for one, said in found), found


def test_the_companys_own_words_are_nobodys_name(finder: PersonalData) -> None:
    assert finder.find("I bought the Oakley at Fernhill Home") == []


def test_records_keep_what_the_call_was_about(finder: PersonalData) -> None:
    mask = mask_with(finder.find, default_policy().mask.records)
    kept = mask("Hello, my name is Maria Lindqvist, where is order 4415229? I paid on Monday.")
    assert "4415229" in kept
    assert "Monday" in kept
    assert "Lindqvist" not in kept


@pytest.mark.parametrize("text", ["", " ", "...", "\n\n", "é" * 9_000, "1" * 9_000])
def test_any_text_can_be_searched(finder: PersonalData, text: str) -> None:
    for one in finder.find(text):
        assert 0 <= one.start < one.end <= len(text)


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NamesUnusable) as caught:
        PersonalData.load(tmp_path / "nothing")
    assert "\n" not in str(caught.value)
