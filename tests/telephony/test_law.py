"""Which rule holds for which caller, and files of rules that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from telephony.law import (
    Disclosure,
    Law,
    LawInvalid,
    RecordingRule,
    for_call_back,
    law_for,
    read_law,
)

SHIPPED = Path(__file__).parents[2] / "configs" / "law.yaml"

LAW = Law.model_validate(
    {
        "otherwise": {"recording": "consent", "ai_disclosure": "at_start"},
        "rules": [
            {
                "name": "country",
                "numbers": ["+1"],
                "recording": "notice",
                "ai_disclosure": "when_asked",
                "sources": ["a statute"],
            },
            {
                "name": "city",
                "numbers": ["+1415"],
                "recording": "consent",
                "ai_disclosure": "when_asked",
                "sources": ["another"],
            },
            {
                "name": "staff",
                "routes": ["Internal"],
                "recording": "unannounced",
                "ai_disclosure": "when_asked",
                "sources": ["works agreement"],
            },
            {
                "name": "clinic",
                "routes": ["clinic"],
                "recording": "never",
                "ai_disclosure": "at_start",
                "sources": ["a duty of secrecy"],
            },
        ],
    }
)


@pytest.mark.parametrize(
    ("caller", "dialled", "recording", "disclosure", "rules"),
    [
        ("sip:+12125550100@x", "sip:agent@x", "notice", "when_asked", ("country",)),
        ("sip:+14155550100@x", "sip:agent@x", "consent", "when_asked", ("city",)),
        ("sip:0012125550100@x", "sip:agent@x", "notice", "when_asked", ("country",)),
        ("sip:+33123456789@x", "sip:agent@x", "consent", "at_start", ("otherwise",)),
        ("sip:2125550100@x", "sip:agent@x", "consent", "at_start", ("otherwise",)),
        ("sip:anonymous@anonymous.invalid", "sip:agent@x", "consent", "at_start", ("otherwise",)),
        ("web:4711", "sip:internal@x", "unannounced", "when_asked", ("staff",)),
        ("sip:+33123456789@x", "sip:internal@x", "consent", "at_start", ("staff", "otherwise")),
        ("sip:+12125550100@x", "sip:internal@x", "notice", "when_asked", ("country", "staff")),
        ("sip:+12125550100@x", "sip:clinic@x", "never", "at_start", ("country", "clinic")),
        ("", "", "consent", "at_start", ("otherwise",)),
    ],
)
def test_the_longest_number_and_the_route_choose_and_the_stricter_holds(
    caller: str, dialled: str, recording: str, disclosure: str, rules: tuple[str, ...]
) -> None:
    held = law_for(LAW, caller, dialled)
    assert (held.recording, held.ai_disclosure) == (recording, disclosure)
    assert held.rules == rules


def test_national_numbers_are_of_the_home_country() -> None:
    at_home = LAW.model_copy(update={"home": "+1"})
    assert law_for(at_home, "sip:4155550100@x", "sip:agent@x").rules == ("city",)
    assert law_for(at_home, "sip:0033123456789@x", "sip:agent@x").rules == ("otherwise",)


def test_without_a_file_everybody_is_asked_and_told() -> None:
    held = law_for(Law(), "sip:+12125550100@x", "sip:agent@x")
    assert held.recording is RecordingRule.CONSENT
    assert held.ai_disclosure is Disclosure.AT_START


def test_a_call_back_is_held_to_the_law_of_both_calls() -> None:
    clinic = law_for(LAW, "sip:+12125550100@x", "sip:clinic@x")
    back = law_for(LAW, "sip:+12125550100@x", "sip:+12125550100@x")
    assert back.recording is RecordingRule.NOTICE
    held = for_call_back(LAW, back, clinic)
    assert (held.recording, held.ai_disclosure) == ("never", "at_start")
    assert held.rules == ("country", "clinic")
    assert for_call_back(LAW, clinic, back).recording is RecordingRule.NEVER


def test_a_call_back_of_a_call_whose_law_is_not_known_is_held_to_the_rest() -> None:
    back = law_for(LAW, "sip:+12125550100@x", "sip:+12125550100@x")
    held = for_call_back(LAW, back, None)
    assert (held.recording, held.rules) == ("consent", ("country", "otherwise"))


def test_the_shipped_rules_can_be_read_and_the_unknown_get_the_strictest_of_them() -> None:
    law = read_law(SHIPPED)
    unknown = law_for(law, "sip:+999123456@x", "sip:agent@x")
    assert unknown.rules == ("otherwise",)
    assert unknown.recording is RecordingRule.CONSENT
    assert unknown.ai_disclosure is Disclosure.AT_START
    assert all(rule.sources for rule in law.rules)


RULE = {"name": "here", "numbers": ["+1"], "sources": ["a statute"]}


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"rules": [{**RULE, "recording": "none"}]}, "rules.0.recording"),
        ({"rules": [{**RULE, "numbers": ["1"]}]}, "rules.0.numbers.0"),
        ({"rules": [{**RULE, "numbers": []}]}, "neither numbers nor routes"),
        ({"rules": [{**RULE, "sources": []}]}, "rules.0.sources"),
        ({"rules": [RULE, {**RULE, "name": "there"}]}, "`+1` is in two rules"),
        ({"rules": [RULE, {**RULE, "numbers": ["+2"]}]}, "`here` is in two rules"),
        ({"otherwise": {"recording": "consent", "loudly": True}}, "otherwise.loudly"),
        ({"answer_s": 0}, "answer_s"),
        ([], "dictionary"),
        (None, "dictionary"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, tree: object, said: str) -> None:
    path = tmp_path / "law.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(LawInvalid) as caught:
        read_law(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(LawInvalid, match="cannot be read"):
        read_law(tmp_path / "none.yaml")
    (tmp_path / "law.yaml").write_text("rules: [")
    with pytest.raises(LawInvalid, match="not valid YAML"):
        read_law(tmp_path / "law.yaml")
