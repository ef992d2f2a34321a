"""What a call remembers."""

from __future__ import annotations

from voice_agent.answering.conversation import Conversation


def test_short_conversations_are_kept_word_for_word() -> None:
    conversation = Conversation(keep=3)
    for number in range(5):
        conversation.add(f"question {number}", f"answer {number}")
    assert conversation.overdue() == ()
    assert len(conversation.history()) == 5


def test_long_conversations_are_summarised_not_cut() -> None:
    conversation = Conversation(keep=3)
    for number in range(6):
        conversation.add(f"question {number}", f"answer {number}")
    old = conversation.overdue()
    assert [turn.caller for turn in old] == ["question 0", "question 1", "question 2"]
    conversation.add("question 6", "answer 6")
    conversation.summarise(old, "They asked three things.")
    assert conversation.summary == "They asked three things."
    assert [caller for caller, _ in conversation.history()] == [
        "question 3",
        "question 4",
        "question 5",
        "question 6",
    ]


def test_a_summary_that_comes_too_late_changes_nothing() -> None:
    conversation = Conversation(keep=1)
    conversation.add("a", "b")
    conversation.add("c", "d")
    old = conversation.overdue()
    conversation.summarise(old, "first")
    conversation.summarise(old, "again")
    assert conversation.summary == "first"


def test_a_turn_in_which_nobody_was_heard_is_not_kept() -> None:
    conversation = Conversation(keep=1)
    conversation.add("", "")
    assert conversation.history() == ()
    assert conversation.last_heard == ""
