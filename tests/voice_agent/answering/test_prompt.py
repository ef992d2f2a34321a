"""The prompt: facts before the question, a stable beginning, bounded length."""

from __future__ import annotations

from tests.voice_agent.passages import passage
from voice_agent.answering.prompt import MAX_QUESTION_CHARS, AnswerPrompt, ask


def test_only_the_question_changes_at_the_end() -> None:
    prompt = AnswerPrompt("You answer for {company}.", "Fernhill Home")
    facts = [passage("a", "Delivery costs $4.95.")]
    history = [("Hi", "Hello")]
    first = prompt.messages("How much", facts, history)
    second = prompt.messages("How much is delivery?", facts, history)
    assert first[:-1] == second[:-1]
    assert second[-1]["content"].startswith(first[-1]["content"])
    assert "Fernhill Home" in first[0]["content"]


def test_a_summary_stands_in_the_system_message() -> None:
    messages = AnswerPrompt("x", "y").messages("q", summary="They moved house.")
    assert "They moved house." in messages[0]["content"]


def test_a_very_long_question_is_cut() -> None:
    assert len(ask("word " * 1000, [])) < MAX_QUESTION_CHARS + 20


def test_the_prompt_has_an_identity() -> None:
    assert AnswerPrompt("a", "b").prompt_id == AnswerPrompt("a", "b").prompt_id
    assert AnswerPrompt("a", "b").prompt_id != AnswerPrompt("c", "b").prompt_id
