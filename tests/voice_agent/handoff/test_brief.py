"""What the person who takes over is told."""

from __future__ import annotations

from voice_agent.handoff.brief import brief


def test_the_brief_says_why_and_what_was_asked() -> None:
    said = brief([("Where is my order A1042?", "I don't know.")], "A person please", "asked")
    assert "asked for a person" in said
    assert "A1042" in said


def test_a_caller_who_only_asked_for_a_person_is_described_so() -> None:
    assert "have not said yet" in brief([("", "Hello")], "A person please", "asked")


def test_long_words_are_cut_at_a_word() -> None:
    said = brief([("please help me " * 40, "")], "", "failed")
    assert len(said) < 300
    assert said.endswith(".")


def test_who_is_put_through_for_another_reason_is_quoted() -> None:
    said = brief([("How much is delivery?", "It costs $4.95.")], "I will sue you.", "legal")
    assert "legal matter" in said
    assert "I will sue you." in said
    assert "delivery" not in said
