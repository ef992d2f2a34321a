"""A call's recording as the law of the caller's place wants it: what is heard first, what the
caller and the agent say to it, and what a supervisor does about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from telephony import media_stream
from telephony.call_media import CallMedia
from telephony.clock import Clock
from telephony.errors import NotRecorded
from telephony.law import CallLaw, Disclosure, RecordingRule
from telephony.opening import Opening, Permission
from telephony.prompts import PromptName, Prompts
from telephony.recorder import Recorder

log = structlog.get_logger(__name__)

_SAID_FIRST = {
    RecordingRule.NOTICE: PromptName.NOTICE,
    RecordingRule.CONSENT: PromptName.CONSENT,
}


class CallRecording:
    """Joins the opening, the recorder and whoever speaks with the caller."""

    def __init__(
        self,
        law: CallLaw,
        answer_s: float,
        *,
        media: CallMedia,
        recorder: Recorder,
        prompts: Prompts,
        clock: Clock,
        alarm: Callable[[str, str], None],
    ) -> None:
        """
        Args:
            law: what holds for this call.
            answer_s: how long an answer to the question is waited for.
            media: the call's audio.
            recorder: the call's.
            prompts: the notice and the question, among others.
            clock: the call's clock.
            alarm: tells whoever watches, by a code and a sentence.
        """
        self._law = law
        self._answer_s = answer_s
        self._media = media
        self._recorder = recorder
        self._prompts = prompts
        self._clock = clock
        self._alarm = alarm
        self._permission: Permission | None = None
        self._asked = self._disclosed = False
        self.opened = asyncio.Event()
        """The caller is whoever answers's: there is nothing to hear first, or it has been heard."""
        self.opened.set()
        self.opened_s = clock.now_s()

    @property
    def discloses(self) -> bool:
        """An agent's first words have to say that it is a machine: no caller has heard it yet."""
        return self._law.ai_disclosure is Disclosure.AT_START and not self._disclosed

    def note_disclosed(self) -> None:
        """The caller has heard it to its end."""
        self._disclosed = True

    @property
    def recorded(self) -> bool:
        """The caller is being recorded, or would be without a pause."""
        return self._recorder.state in ("on", "paused")

    @property
    def paused_for_payment(self) -> bool:
        """An agent had the recording paused, and none has ended it."""
        return "payment" in self._recorder.paused_by

    def begin(self) -> None:
        """The call is taken: what the caller has to hear first is played once they are answered."""
        if not self._recorder.wants_permission:
            return
        said = _SAID_FIRST.get(self._law.recording)
        if said is None:
            self._recorder.begin()
            return
        if not self._prompts.spoken.get(said):
            log.error("recording_not_announced", prompt=said.value)
            self._alarm("recording_not_announced", f"No sound of `{said}`: this is not recorded.")
            self._recorder.settle(Permission.NOT_HEARD)
            return
        self.opened.clear()
        asks = self._law.recording is RecordingRule.CONSENT
        self._media.opening = Opening(
            self._prompts.once(said),
            answer_s=self._answer_s if asks else None,
            on_asked=self._tell_asked,
            on_over=self._settle,
        )

    def catch_up(self) -> None:
        """Tell an agent that has come just now how the opening went."""
        if self._permission is not None:
            self._tell_over(self._permission)
        elif self._asked:
            self._media.tell(media_stream.Opening("asked"))

    def hear_answer(self, said: media_stream.Consent) -> None:
        """What the agent understood of the caller's answer, or of a later wish."""
        if not self.opened.is_set() and self._media.opening:
            self._media.opening.answer(yes={"yes": True, "no": False}.get(said.answer))
        elif said.answer == "no":
            self._recorder.refuse()

    def heed_pause(self, wish: media_stream.Pause) -> None:
        """The agent hears, or asks for, what no recording may hold; or it is over."""
        try:
            if wish.on:
                self._recorder.pause("payment", "payment data", back_ms=max(0, wish.back_ms))
            else:
                self._recorder.resume("payment")
        except NotRecorded:
            log.debug("nothing_to_pause")

    def supervise(self, *, paused: bool, reason: str, by: str) -> bool:
        """A supervisor pauses the recording, or ends every pause; false where it is so already.

        Raises:
            NotRecorded: there is no recording.
        """
        if paused:
            return self._recorder.pause("supervisor", reason, by)
        return self._recorder.resume(None)

    def note_bridged(self) -> None:
        """A person has the caller. A pause for payment lasts, for the caller may go on with it; but
        no agent hears when it is over."""
        if self.paused_for_payment:
            self._alarm(
                "recording_paused_with_person",
                "The recording is paused for payment data; resume it once that is over.",
            )

    def _tell_asked(self) -> None:
        self._asked = True
        self._media.tell(media_stream.Opening("asked"))

    def _settle(self, permission: Permission) -> None:
        self._permission = permission
        self.opened_s = self._clock.now_s()
        self.opened.set()
        self._recorder.settle(permission)
        self._tell_over(permission)

    def _tell_over(self, permission: Permission) -> None:
        over = media_stream.Opening("over", permission.value, recorded=self.recorded)
        self._media.tell(over)
