"""One call: build its pipeline, run it, decide what follows each reply, tear it down."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import WSMsgType, web
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from telephony import media_stream
from telephony.media_stream import MediaStreamError, Message
from voice_agent.answering.chat_protocol import Token
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.prompt import summary_messages
from voice_agent.background import Background
from voice_agent.config import Settings
from voice_agent.engines import Engines
from voice_agent.frames import ReplyBegun, ReplyOver
from voice_agent.pipeline import build_pipeline
from voice_agent.records import metrics, tracing
from voice_agent.records.outcomes import outcome_fields
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.turns import call_record, trace_turn, turn_record
from voice_agent.reply import AfterReply, Reply
from voice_agent.safety.masking import mask_identifiers
from voice_agent.supervised import SupervisorDesk

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 5.0
PIPELINE_TIMEOUT_S = 10.0
CONTRACT_BREACHES_ALLOWED = 5
SEND_TIMEOUT_S = 5.0
"""A gateway that takes nothing for so long is gone."""


class CallSession:
    """Serves one media stream from ``start`` to ``stop``."""

    def __init__(self, settings: Settings, engines: Engines, socket: web.WebSocketResponse) -> None:
        self._settings = settings
        self._engines = engines
        self._socket = socket
        self._conversation = Conversation(
            settings.answering.history_turns, mask_identifiers(engines.policy.mask.prompts)
        )
        self._tasks = Background()
        self._call = build_pipeline(
            settings, engines, self._conversation, self._send_audio, self._send_message
        )
        self._supervisors = SupervisorDesk(
            settings,
            engines,
            self._conversation,
            self._call.turn_taker,
            self._send_message,
            self._tasks.start,
        )
        self._started = asyncio.Event()
        self._turns = self._questions = 0
        self._began_at = time.time()
        """When the caller was answered, perhaps by an earlier agent; seconds since 1970."""
        self._end_reason = "hung_up"
        self._summary: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._summary.set_result(None)

    async def run(self) -> None:
        """Serve the call; returns when it is over. Raises nothing but cancellation."""
        start = await self._receive_start()
        if start is None:
            await self._socket.close(code=1002, message=b"a stream begins with start")
            return
        structlog.contextvars.bind_contextvars(call_id=start.call_id)
        self._start = start
        self._began_at = time.time() - start.elapsed_ms / 1000
        self._turns = start.turns
        with tracing.call_span(start.call_id, start.line) as self._span:
            await self._serve()
        structlog.contextvars.clear_contextvars()

    async def _serve(self) -> None:
        start, call = self._start, self._call
        call.handoffs.open(start, call.turn_taker, call.desk, self._send_message, self._tasks.start)
        call.first_words.open(start, call.turn_taker)
        call.payment_watch.open(start)
        log.info("call_began", line=start.line, resumed=start.resumed, pii={"caller": start.caller})
        metrics.live_calls.inc()
        self._record_call(over=False)
        if self._call.desk is not None:
            await self._call.desk.resume(start.call_id)
        worker = self._build_worker()
        runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        try:
            # A runner that is cancelled before it runs forgets about it.
            async with asyncio.timeout(PIPELINE_TIMEOUT_S):
                await self._started.wait()
            receiving = self._tasks.start(self._receive())
            await asyncio.wait({receiving, running}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                log.error("pipeline_ended", exc_info=running.exception())
                self._end_reason = "pipeline_ended"
        except TimeoutError:
            log.error("pipeline_not_started")
            self._end_reason = "pipeline_not_started"
        finally:
            self._record_unfinished()
            await self._call.handoffs.close()
            await self._supervisors.close()
            await runner.cancel()
            await asyncio.wait({running}, timeout=PIPELINE_TIMEOUT_S)
            running.cancel()
            self._tasks.cancel()
            metrics.live_calls.dec()
            self._record_call(over=True)
            await self._send_outcome()
            log.info("call_ended", reason=self._end_reason, turns=self._turns)

    def _build_worker(self) -> PipelineWorker:
        worker = PipelineWorker(
            self._call.pipeline,
            params=PipelineParams(
                audio_in_sample_rate=media_stream.SAMPLE_RATE_HZ,
                audio_out_sample_rate=media_stream.SAMPLE_RATE_HZ,
            ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,  # the turn engine looks after silent callers
        )
        worker.set_reached_upstream_filter((ReplyBegun, ReplyOver))

        @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
        async def on_started(_worker: PipelineWorker, _frame: object) -> None:
            self._started.set()
            await self._call.first_words.begin()

        @worker.event_handler("on_frame_reached_upstream")  # type: ignore[untyped-decorator]
        async def on_reply(_worker: PipelineWorker, frame: ReplyBegun | ReplyOver) -> None:
            if isinstance(frame, ReplyBegun):
                self._supervisors.begun(frame.reply, self._turns + 1, self._began_at)
                await self._call.handoffs.begun(frame.reply)
            else:
                await self._follow_up(frame.reply)

        return worker

    async def _receive_start(self) -> media_stream.Start | None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                message = await self._socket.receive()
            if message.type is not WSMsgType.TEXT:
                return None
            start = media_stream.parse(message.data)
        except (TimeoutError, MediaStreamError):
            return None
        if not isinstance(start, media_stream.Start):
            return None
        return start if start.sample_rate_hz == media_stream.SAMPLE_RATE_HZ else None

    async def _receive(self) -> None:
        breaches = 0
        async for message in self._socket:
            try:
                if message.type is WSMsgType.BINARY:
                    audio = media_stream.check_audio(message.data)
                    self._call.handoffs.heard_audio(audio)
                    heard = self._call.first_words.hear(self._supervisors.hear(audio))
                    await self._call.line_input.take_audio(heard)
                elif message.type is WSMsgType.TEXT:
                    parsed = media_stream.parse(message.data)
                    if isinstance(parsed, media_stream.Stop):
                        if self._end_reason != "transferred":  # hung up on a person, not on us
                            self._end_reason = parsed.reason or "hung_up"
                        return
                    if parsed is not None:
                        await self._take(parsed)
            except MediaStreamError as error:
                breaches += 1
                log.warning("contract_broken", reason=str(error), breaches=breaches)
                if breaches > CONTRACT_BREACHES_ALLOWED:
                    self._end_reason = "contract_broken"
                    await self._socket.close(code=1002, message=b"contract broken")
                    return
        if self._end_reason == "hung_up":  # without a word: the gateway has parted with this agent
            self._end_reason = "stream_lost"

    async def _take(self, message: Message) -> None:
        handoffs = self._call.handoffs
        if isinstance(message, media_stream.Start):
            raise MediaStreamError("a second start: a stream is one call's")
        if isinstance(message, media_stream.Resume):
            self._end_reason = "hung_up"
            await self._supervisors.has_caller()
            await handoffs.resume(message.reason, message.note)
        elif await self._supervisors.take(message) or await self._call.first_words.take(message):
            pass
        elif not await handoffs.take(message):
            await self._call.line_input.take_message(message)
        elif handoffs.bridged:
            self._end_reason = "transferred"

    async def _follow_up(self, reply: Reply) -> None:
        """A reply has ended: keep it as evidence, and do what it announced."""
        record = self._record_turn(reply)
        self._tasks.start(self._engines.knowledge.reload_if_changed())
        await self._call.handoffs.over(reply)
        self._supervisors.mood_is(self._call.handoffs.mood)
        await self._supervisors.over(reply, record, self._began_at)
        await self._call.first_words.over(reply)
        if reply.end_reason in ("completed", "failed") and reply.after is AfterReply.HANG_UP:
            self._end_reason = "agent_hung_up"
            await self._send_message(media_stream.Stop(reply.road.value))
        elif (old := self._conversation.overdue()) and self._summary.done():
            self._summary = self._tasks.start(self._summarise(old))

    async def _summarise(self, old: tuple[Any, ...]) -> None:
        turns = [(turn.caller, turn.agent) for turn in old]
        messages = summary_messages(self._conversation.summary, turns)
        words = ""
        try:
            async with aclosing(self._engines.model.stream(messages, priority=1)) as items:
                async for item in items:
                    if isinstance(item, Token):
                        words += item.text
        except LanguageModelError as error:  # nothing is lost: it is tried after the next turn
            log.warning("summary_failed", code=error.code)
            return
        if words.strip():
            self._conversation.summarise(old, " ".join(words.split()))

    def _record_unfinished(self) -> None:
        """The caller left in the middle of a reply: that turn is evidence too."""
        reply = self._call.turn_taker.unfinished
        if reply is not None and not reply.end_reason:
            reply.end_reason = "transferred" if self._end_reason == "transferred" else "hung_up"
            self._record_turn(reply)

    def _record_turn(self, reply: Reply) -> TurnRecord | None:
        """The turn as it is on record; ``None`` where the reply was never begun."""
        if not reply.committed:
            return None
        self._turns += 1
        self._questions += bool(reply.question) and not reply.is_consent
        metrics.observe_turn(reply)
        trace_turn(self._span, reply)
        record = turn_record(self._start.call_id, self._turns, reply)
        self._engines.records.record_turn(record)
        log.info(
            "turn_ended",
            turn_id=reply.turn_id,
            road=reply.road.value,
            reason=reply.end_reason,
            stages_ms=reply.stages_ms(),
            pii={"heard": reply.question, "answer": reply.text, "heard_by_caller": reply.heard},
        )
        return record

    async def _send_outcome(self) -> None:
        """Keep what a CRM is told of the call; a fault of it is no fault of the call."""
        if self._engines.webhook is None:
            return
        settings = self._settings
        own = f"http://{settings.media.host}:{settings.media.port}/calls/{{call_id}}"
        fields = outcome_fields(
            call_record(self._start, self._began_at, self._end_reason, settings),
            turns=self._questions,
            done=self._call.desk.done if self._call.desk else (),
            brief=self._call.handoffs.spoken_brief,
            handoff=self._call.handoffs.attempt,
            transcript_url=settings.actions.transcript_url or own,
        )
        try:
            await asyncio.to_thread(self._engines.webhook.outbox.put, fields)
        except Exception as error:  # a full disk, say
            log.error("outcome_not_kept", exc_info=error)

    def _record_call(self, *, over: bool) -> None:
        record = call_record(self._start, self._began_at, self._end_reason, self._settings)
        if not over:
            record = replace(record, ended_at=None, end_reason="", outcome="")
        self._engines.records.record_call(record)

    async def _send_audio(self, audio: bytes) -> None:
        await self._send(self._socket.send_bytes(audio))

    async def _send_message(self, message: Message) -> None:
        await self._send(self._socket.send_str(media_stream.encode(message)))

    async def _send(self, sending: Any) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await sending
        except (ConnectionError, TimeoutError, RuntimeError) as error:
            log.warning("gateway_unreachable", reason=type(error).__name__)
