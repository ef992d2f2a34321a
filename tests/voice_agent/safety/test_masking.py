"""Masked text says what was there, and no more of it."""

from __future__ import annotations

from voice_agent.safety.masking import mask_identifiers, mask_within, masked
from voice_agent.safety.personal_data_kinds import Finding, Kind

ALL = frozenset(Kind)


def test_a_card_number_is_replaced_by_its_kind() -> None:
    mask = mask_identifiers(ALL)
    said = "my card is four one one one, one one one one, one one one one, one one one one thanks"
    assert mask(said) == "my card is [card] thanks"


def test_only_the_chosen_kinds_are_masked() -> None:
    mask = mask_identifiers({Kind.CARD})
    assert mask("jo@example.com, 4111111111111111") == "jo@example.com, [card]"


def test_one_thing_found_in_two_pieces_is_one_mark() -> None:
    findings = [Finding(Kind.PERSON, 0, 4), Finding(Kind.PERSON, 5, 9)]
    assert masked("Anna Berg rang", findings, ALL) == "[person] rang"


def test_strings_are_masked_however_deep_they_are() -> None:
    mask = mask_identifiers(ALL)
    value = {"args": ["jo@example.com", 7], "nested": {"said": "card 4111111111111111"}}
    assert mask_within(value, mask) == {
        "args": ["[e-mail]", 7],
        "nested": {"said": "card [card]"},
    }
