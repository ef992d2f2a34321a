"""The first words of a call that may be recorded: a notice, or a question that wants an answer.

They are the gateway's own, so that they are heard whatever becomes of an agent, before anything an
agent says. Counted in frames of the call, never by a clock. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from telephony.media_stream import FRAME_MS
from telephony.playout import Prompt
from telephony.prompt_player import PromptPlayer

YES_KEY, NO_KEY = "1", "2"


class Permission(StrEnum):
    """How the opening ended: may the call be recorded, and why."""

    NOTICE_HEARD = "notice_heard"
    AGREED_BY_WORD = "agreed_by_word"
    AGREED_BY_KEY = "agreed_by_key"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    """Silence, or words that are neither yes nor no."""
    NOT_HEARD = "not_heard"
    """The sentence was not heard to its end, or there is no sound of it."""

    @property
    def given(self) -> bool:
        """Whether the call may be recorded."""
        return self in (self.NOTICE_HEARD, self.AGREED_BY_WORD, self.AGREED_BY_KEY)


class Opening:
    """Plays the sentence and, where it asks for consent, waits for the answer."""

    def __init__(
        self,
        sentence: Prompt,
        *,
        answer_s: float | None,
        on_asked: Callable[[], None],
        on_over: Callable[[Permission], None],
    ) -> None:
        """
        Args:
            sentence: the notice, or the question.
            answer_s: how long an answer is waited for; ``None``: it is a notice, which wants none.
            on_asked: the question has been heard to its end.
            on_over: the caller goes on to whoever answers.
        """
        self._player = PromptPlayer()
        self._player.play(sentence, 0)
        self._wants_answer = answer_s is not None
        self._left_ms = round((answer_s or 0) * 1000)
        self._on_asked = on_asked
        self._on_over = on_over
        self.over = False

    def next_frame(self, unsent_ms: int) -> bytes | None:
        """20 ms for the caller; ``None``: silence. ``unsent_ms`` is what the leg holds."""
        if self.over:
            return None
        if not self._player.finished.is_set():
            frame = self._player.next_frame(unsent_ms)
            if self._player.finished.is_set():
                if self._wants_answer:
                    self._on_asked()
                else:
                    self._end(Permission.NOTICE_HEARD)
            return frame
        self._left_ms -= FRAME_MS
        if self._left_ms <= 0:
            self._end(Permission.UNANSWERED)
        return None

    def press(self, key: str) -> bool:
        """A key of the caller's; false where it is no answer to the question."""
        if self.over or not self._wants_answer or key not in (YES_KEY, NO_KEY):
            return False
        self._end(Permission.AGREED_BY_KEY if key == YES_KEY else Permission.REFUSED)
        return True

    def answer(self, *, yes: bool | None) -> None:
        """What an agent understood of the caller's answer (``None``: neither yes nor no). A yes to
        a question that was not heard to its end is none."""
        if self.over or not self._wants_answer:
            return
        if yes is False:
            self._end(Permission.REFUSED)
        elif self._player.finished.is_set():
            self._end(Permission.AGREED_BY_WORD if yes else Permission.UNANSWERED)

    def abandon(self) -> None:
        """Somebody else speaks with the caller from now on: it was not heard to its end."""
        if not self.over:
            self._end(Permission.NOT_HEARD)

    def _end(self, permission: Permission) -> None:
        self.over = True
        self._on_over(permission)
