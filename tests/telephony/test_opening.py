"""The notice and the question, counted in frames."""

from __future__ import annotations

import pytest

from telephony.opening import Opening, Permission
from telephony.playout import Prompt

FRAME = b"\1\0" * 320
TAIL_FRAMES = 11


class Heard:
    """What an opening told."""

    def __init__(self, *, answer_s: float | None) -> None:
        self.asked = 0
        self.over: list[Permission] = []
        self.opening = Opening(
            Prompt([FRAME] * 3),
            answer_s=answer_s,
            on_asked=self.ask,
            on_over=self.over.append,
        )

    def ask(self) -> None:
        self.asked += 1

    def play(self, frames: int) -> int:
        """So many frames later; how many of them held sound."""
        return sum(self.opening.next_frame(0) is not None for _ in range(frames))


def test_a_notice_is_over_once_it_has_been_sent() -> None:
    heard = Heard(answer_s=None)
    assert heard.play(3) == 3
    assert heard.over == []
    heard.play(TAIL_FRAMES)
    assert heard.over == [Permission.NOTICE_HEARD]
    assert heard.asked == 0


def test_what_the_leg_still_holds_has_not_been_heard() -> None:
    heard = Heard(answer_s=None)
    heard.play(3)
    for _ in range(20):
        heard.opening.next_frame(1_000)
    assert heard.over == []


def test_silence_is_no_consent() -> None:
    heard = Heard(answer_s=1.0)
    heard.play(3 + TAIL_FRAMES)
    assert (heard.asked, heard.over) == (1, [])
    heard.play(49)
    assert heard.over == []
    heard.play(1)
    assert heard.over == [Permission.UNANSWERED]


@pytest.mark.parametrize(
    ("yes", "permission"),
    [
        (True, Permission.AGREED_BY_WORD),
        (False, Permission.REFUSED),
        (None, Permission.UNANSWERED),
    ],
)
def test_an_answer_in_words_counts_after_the_question(
    yes: bool | None, permission: Permission
) -> None:
    heard = Heard(answer_s=5.0)
    heard.play(3 + TAIL_FRAMES)
    heard.opening.answer(yes=yes)
    assert heard.over == [permission]


def test_a_yes_before_the_question_was_heard_is_none_but_a_no_is() -> None:
    early = Heard(answer_s=5.0)
    early.play(2)
    early.opening.answer(yes=True)
    early.opening.answer(yes=None)
    assert early.over == []
    early.opening.answer(yes=False)
    assert early.over == [Permission.REFUSED]
    assert early.play(5) == 0


@pytest.mark.parametrize(
    ("key", "permission"), [("1", Permission.AGREED_BY_KEY), ("2", Permission.REFUSED)]
)
def test_a_key_answers_at_any_time(key: str, permission: Permission) -> None:
    heard = Heard(answer_s=5.0)
    heard.play(1)
    assert not heard.opening.press("5")
    assert heard.opening.press(key)
    assert heard.over == [permission]
    assert not heard.opening.press(key), "the next key is for whoever answers"


def test_a_notice_takes_no_answer() -> None:
    heard = Heard(answer_s=None)
    assert not heard.opening.press("1")
    heard.opening.answer(yes=True)
    assert heard.over == []


def test_only_the_first_end_counts() -> None:
    heard = Heard(answer_s=5.0)
    heard.opening.abandon()
    heard.opening.abandon()
    heard.opening.answer(yes=True)
    assert heard.over == [Permission.NOT_HEARD]
    assert [each.given for each in Permission] == [True, True, True, False, False, False]
