"""Fillers are rare and never the same."""

from __future__ import annotations

from voice_agent.speech.fillers import FILLERS, Fillers


def test_none_is_said_twice_in_a_call() -> None:
    fillers = Fillers()
    said = [fillers.next(reply) for reply in range(0, 40, 2)]
    assert [text for text in said if text] == list(FILLERS)


def test_two_replies_one_after_the_other_are_not_both_filled() -> None:
    fillers = Fillers()
    assert fillers.next(4)
    assert fillers.next(5) is None
    assert fillers.next(6)
