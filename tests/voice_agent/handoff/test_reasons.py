"""Why callers come to a person; and who asks the same thing again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.config import ConfigError
from voice_agent.handoff.reasons import KNOWN, default_reasons, read_reasons
from voice_agent.handoff.repeated import is_repeated


def test_every_reason_has_a_sentence_a_why_and_a_next_step() -> None:
    reasons = default_reasons()
    assert set(reasons.reasons) == set(KNOWN)
    assert all(reason.next_step for reason in reasons.reasons.values())
    assert len(reasons.sentences()) > 10
    assert reasons.of("nonsense").why == "asked for a person"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("reasons: {}", "`asked` is missing"),
        ("reasons: {bored: {says: Bye now., why: are bored}}", "`bored` is no reason"),
        ("reasons: [", "is not valid YAML"),
        ("nothing: {}", "reasons"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "handoff.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        read_reasons(path)


ANSWERED = [
    ("How much is delivery to Ohio?", "It costs $4.95."),
    ("What is the delivery to Ohio, how much?", "It costs $4.95."),
]


def test_the_third_time_counts_and_only_of_what_was_answered() -> None:
    assert is_repeated("So how much is the delivery to Ohio again?", ANSWERED)
    assert not is_repeated("How much is delivery to Ohio?", ANSWERED[:1])
    unheard = [(question, "") for question, _ in ANSWERED]
    assert not is_repeated("How much is delivery to Ohio?", unheard)


@pytest.mark.parametrize("question", ["Yes", "And how much is delivery to Texas?", "Thank you", ""])
def test_another_question_is_no_repetition(question: str) -> None:
    assert not is_repeated(question, ANSWERED * 2)
