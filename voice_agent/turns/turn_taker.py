"""The stage that listens: runs the turn engine, and makes its decisions happen."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Protocol

import structlog
from pipecat.frames.frames import CancelFrame, EndFrame, Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telephony import media_stream
from voice_agent.answering import phrases
from voice_agent.answering.conversation import Conversation
from voice_agent.background import Background
from voice_agent.config import TurnSettings
from voice_agent.errors import as_logged, code_of
from voice_agent.frames import (
    AgentHeard,
    CallerVoice,
    LineOrdered,
    LineReported,
    QuestionForeseen,
    ReplyAsked,
    ReplyCommitted,
    ReplyDelayed,
    ReplyDropped,
    ReplyOver,
    ReplyResumed,
    ReplyStopped,
)
from voice_agent.records import metrics
from voice_agent.reply import AfterReply, Reply, Road
from voice_agent.safety.personal_data_rules import is_card_number
from voice_agent.speech.transcriber import TranscriberError, Transcript
from voice_agent.turns import events
from voice_agent.turns.engine import TurnEngine
from voice_agent.turns.utterance import (
    PRE_ROLL_MS,
    RecentAudio,
    Samples,
    last_voiced_ms,
    level_db,
)

log = structlog.get_logger(__name__)

VOICED_ENOUGH_MS = 600
"""A wordless sound shorter than this is a cough or a click, not words that were missed."""
TRANSCRIBE_TIMEOUT_S = 15.0
"""Ears that hang are treated as deaf."""
KEYS_WITHHELD = "(a number was keyed in)"
"""Stands for a PIN or a code wherever words are kept or shown."""
LANGUAGE_NEEDS_WORDS = 4
"""With fewer words the recogniser's guess at the language is worth nothing."""


GUESSED_WORDS, GUESSED_LOG_PROBABILITY = 3, -0.9
"""So few words, so improbable: what Whisper makes of a sound that is not meant as words."""


class Ears(Protocol):
    """Speech to text (see ``speech.transcriber``)."""

    async def transcribe(
        self,
        samples: Samples,
        *,
        final: bool = True,
        so_far: Transcript | None = None,
    ) -> Transcript:
        """What was said in 16 kHz mono samples; ``so_far``: what is known of their beginning."""

    async def trailing(self, samples: Samples, heard: Transcript) -> float | None:
        """Log probability that the words heard in these samples trail off; ``None``: unknown."""


class Judgement(Protocol):
    """Whether the caller sounds done (see ``turns.completeness``)."""

    async def judge(self, samples: Samples) -> float:
        """Probability that the speech is complete."""


class TurnTaker(FrameProcessor):
    """Keeps the caller's audio, feeds the engine, and turns its decisions into frames."""

    def __init__(
        self,
        settings: TurnSettings,
        language: str,
        ears: Ears,
        judgement: Judgement,
        conversation: Conversation,
        keys_are_secret: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._keys_are_secret = keys_are_secret
        self._language = language
        self._ears = ears
        self._judgement = judgement
        self._conversation = conversation
        self._engine = TurnEngine(settings)
        self._audio = RecentAudio(round(settings.max_utterance_s * 1000) + 5000)
        self._began_ms = 0
        self._now_ms = 0
        self._transcript: Transcript | None = None
        """The latest of this utterance, interim or final."""
        self._speculation: Reply | None = None
        self._spoken: Reply | None = None
        self._failures_to_understand = 0
        self._tasks = Background()
        self._interim: asyncio.Task[None] | None = None
        self._examining: tuple[asyncio.Task[None], ...] = ()
        self._interims = 0
        self._dropped = 0
        self._speech_end_ms = 0
        self._pause_ms = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Caller audio ends here; the rest is noted and passed on."""
        await super().process_frame(frame, direction)
        match frame:
            case CallerVoice(audio=audio, at_ms=at_ms, probability=probability):
                self._now_ms = at_ms
                self._audio.append(audio, at_ms, time.perf_counter())
                await self._react(events.VoiceMeasured(at_ms, probability, level_db(audio)))
                return
            case LineReported(message=media_stream.Dtmf(digit=digit)):
                await self._react(events.KeyPressed(self._now_ms, digit))
            case AgentHeard(audible=audible, asking=asking):
                await self._react(events.AgentHeard(audible, asking))
                return
            case ReplyOver(reply=reply):
                self._note_over(reply)
                await self._react(events.ReplyOver(reply.reply_id))
            case EndFrame() | CancelFrame():
                self._tasks.cancel()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop listening; the call is over."""
        self._tasks.cancel()
        await super().cleanup()

    async def say(
        self, text: str, *, road: Road = Road.PHRASE, after: AfterReply = AfterReply.LISTEN
    ) -> None:
        """Speak a known sentence now, as a turn of its own."""
        reply = Reply(self._engine.new_reply(), _turn_id(), "", road=road, after=after)
        await self._say(reply, text)

    @property
    def unfinished(self) -> Reply | None:
        """The reply being spoken now, if any."""
        return self._spoken

    @property
    def utterance_ms(self) -> int:
        """How long ago the caller's latest utterance began."""
        return max(0, self._now_ms - self._began_ms)

    async def wait_for_person(self) -> None:
        """A person is being rung: the caller need not speak."""
        await self._react(events.PersonRung(True))

    async def change_line(self, ours: bool) -> None:
        """The caller now talks to a person (``ours`` false) or to the agent again."""
        await self._react(events.LineChanged(ours))

    async def _say(self, reply: Reply, text: str) -> None:
        await self._push_drop(self._spoken)
        self._spoken = reply
        await self._push_phrase(reply, text)
        reply.commit()
        await self.push_frame(ReplyCommitted(reply))

    async def _push_phrase(self, reply: Reply, text: str) -> None:
        reply.fixed_text = text
        reply.mark("asked")
        await self.push_frame(ReplyAsked(reply))

    async def _react(self, event: events.TurnEvent) -> None:
        for decision in self._engine.react(event):
            await self._act(decision)

    async def _act(self, decision: events.Decision) -> None:
        match decision:
            case events.BeginUtterance(at_ms, settled):
                self._began_ms = at_ms if settled else max(0, at_ms - PRE_ROLL_MS)
                self._transcript = None
                if not settled:
                    self._interims = self._dropped = 0
            case events.TranscribeInterim(through_ms, ending):
                self._transcribe_interim(through_ms, ending=ending)
            case events.ExaminePause(pause, through_ms):
                self._examine(pause, through_ms)
            case events.JudgeAgain(pause, through_ms):
                self._tasks.start(
                    self._judge(pause, self._audio.between(self._began_ms, through_ms))
                )
            case events.JudgeTrailing(pause):
                self._tasks.start(self._judge_trailing(pause))
            case events.Prepare(text):
                await self.push_frame(QuestionForeseen(text, self._history()))
            case events.Speculate(number, text):
                await self._speculate(number, text)
            case events.DropReply(number):
                await self._drop(number)
            case events.CommitReply(_, silence_ms, needed_ms):
                await self._commit(silence_ms, needed_ms)
            case events.StopAgent():
                if self._spoken:
                    metrics.interruptions.inc()
                    await self.push_frame(ReplyStopped(self._spoken))
            case events.ResumeAgent():
                if self._spoken:
                    metrics.false_interruptions.inc()
                    await self.push_frame(ReplyResumed(self._spoken))
            case events.EndInterruption():
                await self._push_drop(self._spoken)
            case events.DiscardUtterance(voiced_ms):
                await self._discard(voiced_ms)
            case events.SayFiller():
                if self._spoken:
                    await self.push_frame(ReplyDelayed(self._spoken))
            case events.AskIfThere(times):
                await self.say(phrases.STILL_THERE_AGAIN if times else phrases.STILL_THERE)
            case events.SayGoodbye():
                await self.say(phrases.SILENT_GOODBYE, after=AfterReply.HANG_UP)
            case events.TakeKeys(digits):
                await self._take_keys(digits)

    def _history(self) -> tuple[tuple[str, str], ...]:
        history = self._conversation.history()
        stopped = self._spoken
        if stopped is not None and stopped.heard:
            history += ((stopped.question, stopped.heard),)
        return history

    def _transcribe_interim(self, through_ms: int, *, ending: bool) -> None:
        if self._interim is not None and not self._interim.done():
            if not ending:
                return
            self._interim.cancel()  # without what may be the last word it is of no use
        self._interim = self._tasks.start(
            self._hear_interim(self._began_ms, through_ms, ending=ending)
        )

    async def _hear_interim(self, began_ms: int, through_ms: int, *, ending: bool) -> None:
        samples = self._audio.between(began_ms, through_ms)
        try:
            transcript = await self._ears.transcribe(samples, final=ending, so_far=self._transcript)
        except Exception as error:  # an interim is optional; the final one reports the fault
            log.warning("interim_failed", **as_logged(error))
            return
        if began_ms != self._began_ms:
            return
        self._transcript = transcript
        self._interims += 1
        if transcript.text:
            await self._caption(transcript.text, final=False)
            await self._react(events.InterimHeard(transcript.text))

    def _examine(self, pause: int, through_ms: int) -> None:
        for stale in self._examining:
            stale.cancel()
        self._pause_ms = through_ms
        samples = self._audio.between(self._began_ms, through_ms)
        self._speech_end_ms = self._began_ms + last_voiced_ms(samples)
        self._examining = (
            self._tasks.start(self._hear(pause, samples)),
            self._tasks.start(self._judge(pause, samples)),
        )

    async def _judge(self, pause: int, samples: Samples) -> None:
        probability = await self._judgement.judge(samples)
        await self._react(events.CompletenessJudged(pause, probability))

    async def _judge_trailing(self, pause: int) -> None:
        if self._transcript is None:
            return
        samples = self._audio.between(self._began_ms, self._pause_ms)
        try:
            judged = await self._ears.trailing(samples, self._transcript)
        except TranscriberError as error:  # one witness less; the turn ends without it
            log.warning("trailing_failed", code=error.code)
            return
        if judged is not None:
            await self._react(events.TrailingJudged(pause, judged))

    async def _hear(self, pause: int, samples: Samples) -> None:
        try:
            async with asyncio.timeout(TRANSCRIBE_TIMEOUT_S):
                if self._interim is not None:
                    await asyncio.wait({self._interim})  # it may have the last word already
                transcript = await self._ears.transcribe(
                    samples, final=True, so_far=self._transcript
                )
        except Exception as error:  # no words: the caller is asked to say it again
            log.error("transcription_failed", **as_logged(error))
            metrics.errors.labels(code=code_of(error) or "unexpected").inc()
            await self._react(events.PauseTranscribed(pause, ""))
            return
        self._transcript = transcript
        sure = transcript.average_log_probability > GUESSED_LOG_PROBABILITY
        believed = sure or len(transcript.text.split()) > GUESSED_WORDS
        await self._react(events.PauseTranscribed(pause, transcript.text, believed))

    async def _speculate(self, number: int, text: str) -> None:
        reply = Reply(number, _turn_id(), text)
        reply.language = self._language_of(text)
        reply.speech_end_ms = self._speech_end_ms
        reply.speech_end = self._audio.arrived_at(self._speech_end_ms)
        reply.mark("transcribed")
        reply.mark("asked")
        if self._transcript:
            reply.transcribe_ms = self._transcript.took_ms
        self._speculation = reply
        metrics.speculations.inc()
        await self.push_frame(ReplyAsked(reply, self._history()))

    def _language_of(self, text: str) -> str:
        enough = len(text.split()) >= LANGUAGE_NEEDS_WORDS
        known = self._transcript.language if self._transcript else self._language
        return known if enough else self._language

    async def _drop(self, number: int) -> None:
        for reply in (self._speculation, self._spoken):
            if reply is not None and reply.reply_id == number:
                metrics.dropped_speculations.inc()
                self._dropped += 1
                await self._push_drop(reply)
        if self._speculation is not None and self._speculation.reply_id == number:
            self._speculation = None

    async def _push_drop(self, reply: Reply | None) -> None:
        if reply is not None:
            reply.dropped = True
            await self.push_frame(ReplyDropped(reply))

    async def _commit(self, silence_ms: int, needed_ms: int) -> None:
        reply, self._speculation = self._speculation, None
        if reply is None:
            return
        reply.silence_ms = silence_ms
        reply.silence_enough = self._audio.arrived_at(self._now_ms - silence_ms + needed_ms)
        reply.interims, reply.speculations_dropped = self._interims, self._dropped
        reply.commit()
        self._failures_to_understand = 0
        self._spoken = reply
        await self._caption(reply.question, final=True)
        await self.push_frame(ReplyCommitted(reply))

    async def _caption(self, text: str, *, final: bool) -> None:
        caption = media_stream.Caption("caller", f"caller-{self._began_ms}", text, final)
        await self.push_frame(LineOrdered(caption))

    async def _discard(self, voiced_ms: int) -> None:
        if voiced_ms < VOICED_ENOUGH_MS or self._spoken is not None:
            return
        self._failures_to_understand += 1
        if self._failures_to_understand == 1:
            await self.say(phrases.NOT_UNDERSTOOD, road=Road.UNCLEAR)
        elif self._failures_to_understand == 2:
            await self.say(phrases.NOT_UNDERSTOOD_TWICE, road=Road.UNCLEAR)

    async def _take_keys(self, digits: str) -> None:
        reply = Reply(self._engine.new_reply(), _turn_id(), f"(keys {digits})", keys=digits)
        secret = self._keys_are_secret() or is_card_number(digits)
        if digits == "0" and not secret:
            reply.road, reply.after = Road.PERSON, AfterReply.TRANSFER
            await self._say(reply, phrases.TRANSFERRING)
            return
        reply.question = KEYS_WITHHELD if secret else f"The number is {' '.join(digits)}."
        await self._push_drop(self._spoken)
        self._spoken = reply
        reply.mark("asked")
        await self.push_frame(ReplyAsked(reply, self._history()))
        reply.commit()
        await self.push_frame(ReplyCommitted(reply))

    def _note_over(self, reply: Reply) -> None:
        if self._spoken is reply:
            self._spoken = None
        if reply.committed and reply.end_reason != "dropped":
            self._conversation.add("" if reply.is_consent else reply.question, reply.heard)


def _turn_id() -> str:
    return uuid.uuid4().hex[:12]
