"""Whole calls over the media stream with fake engines: what the caller hears, come what may."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from telephony.media_stream import (
    Caption,
    Clear,
    Cleared,
    Dtmf,
    Message,
    Playout,
    Resume,
    Start,
    Stop,
    Transfer,
    encode,
    parse,
)
from tests.voice_agent.fakes import (
    FRAME,
    MS,
    FakeEars,
    FakeJudgement,
    FakeLibrary,
    FakeModel,
    FakeMouth,
    FakeRecords,
    FakeVoiceModel,
    voice,
)
from tests.voice_agent.passages import passage
from voice_agent.agent import AgentServer
from voice_agent.answering import phrases
from voice_agent.answering.language_model_errors import Unreachable
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import Settings
from voice_agent.engines import Engines
from voice_agent.speech.fillers import FILLERS
from voice_agent.speech.synthesiser import SynthesiserUnreachable
from voice_agent.speech.transcriber import TranscriberError

GREETING = Settings().answering.greeting


@dataclass
class FakeGateway:
    """A gateway whose clock is as fast as the agent can follow: 20 ms of audio a step."""

    socket: aiohttp.ClientWebSocketResponse
    frames: int = 0
    buffered: bytearray = field(default_factory=bytearray)
    played_ms: int = 0
    received: list[Message] = field(default_factory=list)
    heard_ms: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.buffered += message.data
                continue
            parsed = parse(message.data)
            assert parsed is not None
            self.received.append(parsed)
            if isinstance(parsed, Clear):
                dropped_ms = len(self.buffered) // MS
                self.buffered.clear()
                await self.tell(Cleared(self.played_ms, dropped_ms, self.frames * 20))
        self.closed.set()

    async def tell(self, message: Message) -> None:
        await self.socket.send_str(encode(message))

    async def step(self, audio: bytes = b"") -> None:
        """20 ms of call."""
        self.frames += 1
        await self.socket.send_bytes(audio.ljust(FRAME, b"\0"))
        if self.buffered:
            del self.buffered[:FRAME]
            self.played_ms += 20
            if self.frames % 5 == 0 or not self.buffered:
                buffered_ms = len(self.buffered) // MS
                await self.tell(Playout(self.played_ms, buffered_ms, self.frames * 20))
        # Let the agent work: its engines are fakes that only need the loop (and a thread).
        await asyncio.sleep(0.001)

    async def speak(self, ms: int = 1000) -> None:
        sound = voice(ms)
        for begin in range(0, len(sound), FRAME):
            await self.step(sound[begin : begin + FRAME])

    async def until(self, condition: Callable[[], bool], limit_ms: int = 30_000) -> None:
        """Silence until something is so."""
        for _ in range(limit_ms // 20):
            if condition():
                return
            await self.step()
        raise AssertionError(f"did not happen in {limit_ms} ms; received {self.received[-5:]}")

    async def until_closed(self) -> None:
        """Wait for the agent to close the stream."""
        async with asyncio.timeout(10):
            await self.closed.wait()

    async def until_said(self, text: str) -> None:
        """Silence until the agent has said a sentence to its end."""
        await self.until(lambda: any(text in said for said in self.said()))
        await self.until(lambda: not self.buffered)

    def said(self) -> list[str]:
        """What the agent's captions show, one entry a reply."""
        latest: dict[str, str] = {}
        for message in self.received:
            if isinstance(message, Caption) and message.speaker == "agent":
                latest[message.caption_id] = message.text
        return list(latest.values())

    def got(self, kind: type) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]


@dataclass
class Bench:
    """An agent with fake engines, and calls to it."""

    ears: FakeEars = field(default_factory=FakeEars)
    judgement: FakeJudgement = field(default_factory=FakeJudgement)
    library: FakeLibrary = field(default_factory=FakeLibrary)
    model: FakeModel = field(default_factory=FakeModel)
    mouth: FakeMouth = field(default_factory=FakeMouth)
    records: FakeRecords = field(default_factory=FakeRecords)
    settings: Settings = field(default_factory=Settings)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[TestClient[Any, Any]]:
        engines = Engines(
            voice=FakeVoiceModel(),  # type: ignore[arg-type]
            completeness=self.judgement,  # type: ignore[arg-type]
            transcriber=self.ears,  # type: ignore[arg-type]
            knowledge=self.library,  # type: ignore[arg-type]
            model=self.model,  # type: ignore[arg-type]
            synthesiser=self.mouth,  # type: ignore[arg-type]
            records=self.records,  # type: ignore[arg-type]
            prompt=AnswerPrompt("Answer for {company}.", "Fernhill Home"),
            warm=True,
        )
        async with TestClient(TestServer(AgentServer(self.settings, engines).app)) as client:
            yield client

    @asynccontextmanager
    async def call(self, *, resumed: bool = False) -> AsyncIterator[FakeGateway]:
        async with self.agent() as client:
            socket = await client.ws_connect("/media", max_msg_size=0)
            gateway = FakeGateway(socket)
            listening = asyncio.create_task(gateway.listen())
            await gateway.tell(Start("call-1", "sip:caller@example.com", resumed=resumed))
            try:
                yield gateway
            finally:
                await socket.close()
                await listening

    @asynccontextmanager
    async def greeted(self) -> AsyncIterator[FakeGateway]:
        async with self.call() as gateway:
            await gateway.until_said(GREETING)
            yield gateway


async def test_the_agent_greets_and_answers_from_the_passages() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    facts = bench.model.asked[0][-1]["content"]
    assert "Standard delivery costs $4.95." in facts
    assert facts.endswith("How much is standard delivery?")
    turn = bench.records.turns[1]
    assert turn.heard == "How much is standard delivery?"
    assert turn.heard_by_caller == "Standard delivery costs $4.95."
    assert turn.end_reason == "completed"
    assert turn.passages[0]["document_id"] == "doc-p1"
    assert {"end_of_turn", "transcribe", "retrieve", "first_token", "first_sentence"} <= set(
        turn.stages_ms
    )


async def test_the_second_question_carries_the_first_turn() -> None:
    bench = Bench(ears=FakeEars("How much is delivery to Hawaii?", "And how long does it take?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 3)
    contents = [message["content"] for message in bench.model.asked[-1]]
    assert "How much is delivery to Hawaii?" in contents
    assert "Standard delivery costs $4.95." in contents
    assert "Hawaii" in bench.library.queries[-1]


async def test_a_long_conversation_is_summarised_not_cut() -> None:
    settings = Settings.model_validate({"answering": {"history_turns": 1}})
    bench = Bench(ears=FakeEars("How much is standard delivery?"), settings=settings)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.until(lambda: len(bench.model.asked) == 2)
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 3)
    summary, answer = bench.model.asked[1:3]
    assert GREETING in summary[-1]["content"]
    assert "Earlier in this call: Standard delivery costs $4.95." in answer[0]["content"]
    assert GREETING not in str(answer[1:])


async def test_an_interruption_silences_the_agent_and_the_record_holds_what_was_heard() -> None:
    long = "The sofa is delivered within nine days and the crew calls you before it comes to you."
    bench = Bench(ears=FakeEars("When does my sofa come?", "No, the table."))
    bench.library.passages = (passage("p1", f"{long} The table comes on Monday."),)
    bench.model.answer = long
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3200 and bool(gateway.buffered))
        bench.ears.next()
        bench.model.answer = "The table comes on Monday."
        await gateway.speak(700)
        assert gateway.got(Clear)
        await gateway.until_said("The table comes on Monday.")
        await gateway.until(lambda: len(bench.records.turns) == 3)
    interrupted = bench.records.turns[1]
    assert interrupted.end_reason == "interrupted"
    assert long.startswith(interrupted.heard_by_caller)
    assert interrupted.heard_by_caller != long


async def test_mm_hm_does_not_end_the_agents_sentence() -> None:
    long = "The sofa is delivered within nine days and the crew calls you before it comes to you."
    bench = Bench(ears=FakeEars("When does my sofa come?", "Mm-hm."))
    bench.library.passages = (passage("p1", long),)
    bench.model.answer = long
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3200 and bool(gateway.buffered))
        bench.ears.next()
        await gateway.speak(400)
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.records.turns[1].heard_by_caller == long
    assert bench.records.turns[1].end_reason == "completed"


async def test_a_caller_who_asks_for_a_person_is_transferred_with_a_brief() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        (transfer,) = gateway.got(Transfer)
        assert len(base64.b64decode(transfer.announcement)) > 1000
        assert "asked for a person" in transfer.reason
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.speak(2000)
        await gateway.until(lambda: True)
        assert phrases.TRANSFERRING in gateway.said()
    assert len(bench.records.turns) == 2, "what is said to the person is not the agent's"


async def test_when_nobody_answers_the_agent_says_so_and_goes_on() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?", "How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="failed", reason="busy"))
        await gateway.until_said(phrases.TRANSFER_FAILED)
        bench.ears.next()
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")


async def test_a_caller_who_comes_back_from_a_person_is_welcomed() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.tell(Resume("human_hung_up"))
        await gateway.until_said(phrases.TRANSFER_OVER)


async def test_zero_on_the_keypad_asks_for_a_person() -> None:
    bench = Bench()
    async with bench.greeted() as gateway:
        await gateway.tell(Dtmf("0"))
        await gateway.until(lambda: bool(gateway.got(Transfer)))


async def test_goodbye_ends_the_call_after_the_agents_own() -> None:
    bench = Bench(ears=FakeEars("Okay, thank you, goodbye."))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Stop)))
        assert phrases.GOODBYE in gateway.said()


async def test_a_silent_caller_is_asked_twice_and_then_the_call_ends() -> None:
    bench = Bench()
    async with bench.greeted() as gateway:
        await gateway.until(lambda: bool(gateway.got(Stop)), limit_ms=60_000)
        assert gateway.said()[1:] == [
            phrases.STILL_THERE,
            phrases.STILL_THERE_AGAIN,
            phrases.SILENT_GOODBYE,
        ]


async def test_without_a_language_model_the_passage_itself_is_the_answer() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.model.error = Unreachable("gone")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.records.turns[1].sources == ("doc-p1",)


async def test_a_model_that_is_late_is_stopped_and_the_passage_is_the_answer() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    bench.model.late = True
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
    assert bench.model.cancelled == 1


async def test_a_late_answer_is_preceded_by_a_filler_that_is_no_part_of_it() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    patient = bench.settings.answering.model_copy(update={"quote_after_ms": 60_000})
    bench.settings = bench.settings.model_copy(update={"answering": patient})
    async with bench.greeted() as gateway:
        bench.model.late = True
        await gateway.speak()
        await gateway.until(lambda: any(FILLERS[0] in said for said in gateway.said()))
        bench.model.release.set()
        await gateway.until_said("Standard delivery costs $4.95.")
    (turn,) = (turn for turn in bench.records.turns if turn.heard)
    assert turn.filler == FILLERS[0]
    assert turn.answer == "Standard delivery costs $4.95."


async def test_an_answer_that_breaks_off_is_excused_then_a_person_is_rung() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.model.answer = "Standard delivery costs $4.95, and it takes a few days."
    bench.model.error, bench.model.error_after = Unreachable("gone"), 6
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE_TRANSFER)
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        assert "technical" in gateway.got(Transfer)[0].reason


async def test_a_broken_index_is_excused() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.library.error = RuntimeError("disk")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)


async def test_a_mute_synthesiser_hands_the_caller_to_a_person() -> None:
    bench = Bench(mouth=FakeMouth(SynthesiserUnreachable("gone")))
    async with bench.call() as gateway:
        await gateway.until(lambda: bool(gateway.got(Transfer)))


async def test_a_synthesiser_lost_in_mid_answer_is_excused_with_what_is_kept() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        bench.mouth.fails_except = (phrases.TROUBLE,)
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)


async def test_zero_is_no_way_to_a_person_where_there_is_none() -> None:
    settings = Settings.model_validate({"handoff": {"enabled": False}})
    bench = Bench(settings=settings)
    async with bench.greeted() as gateway:
        await gateway.tell(Dtmf("0"))
        await gateway.until_said(phrases.TRANSFER_FAILED)
        assert gateway.got(Transfer) == []


async def test_a_deaf_transcriber_is_excused() -> None:
    bench = Bench(ears=FakeEars(TranscriberError("broken")))
    async with bench.greeted() as gateway:
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD)


async def test_noise_without_words_is_asked_about_then_a_person_is_offered() -> None:
    bench = Bench(ears=FakeEars(""))
    async with bench.greeted() as gateway:
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD_TWICE)


async def test_nonsense_is_not_sent_to_the_model() -> None:
    bench = Bench(ears=FakeEars("xqzt wvbn kkrt " * 14))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.NOT_UNDERSTOOD)
    assert bench.model.asked == []


async def test_another_language_is_answered_with_the_offer_of_a_person() -> None:
    bench = Bench(ears=FakeEars("Wo ist denn meine Bestellung geblieben?", language="de"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.OTHER_LANGUAGE)


async def test_a_question_without_passages_is_declined_and_yes_brings_a_person() -> None:
    bench = Bench(ears=FakeEars("Who won the football match?", "Yes please."))
    bench.library.passages = ()
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.DECLINED)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    assert bench.model.asked == []


async def test_a_model_that_declines_is_put_into_our_words() -> None:
    bench = Bench(ears=FakeEars("How much is delivery to the moon?"))
    bench.model.answer = "I don't have that information."
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.DECLINED)


@pytest.mark.parametrize("invented", ["Standard delivery costs $9.95.", "Yes, it is free."])
async def test_what_no_passage_supports_is_not_said(invented: str) -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    bench.model.answer = invented
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert "9.95" not in bench.records.turns[1].spoken
    assert "free" not in bench.records.turns[1].spoken


async def test_an_agent_that_takes_over_a_call_says_so() -> None:
    bench = Bench()
    async with bench.call(resumed=True) as gateway:
        await gateway.until_said(phrases.BACK_AGAIN)
        assert GREETING not in gateway.said()


@pytest.mark.parametrize("stage_ms", [0, 300, 1100, 1500, 2500])
async def test_a_caller_who_hangs_up_at_any_stage_leaves_nothing_behind(stage_ms: int) -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.agent() as client:
        socket = await client.ws_connect("/media", max_msg_size=0)
        gateway = FakeGateway(socket)
        listening = asyncio.create_task(gateway.listen())
        await gateway.tell(Start("call-1"))
        sound = voice(stage_ms)
        for begin in range(0, len(sound), FRAME):
            await gateway.step(sound[begin : begin + FRAME])
        await gateway.tell(Stop("caller_hung_up"))
        await listening
        assert gateway.closed.is_set()
        assert [record.ended_at is None for record in bench.records.calls] == [True, False]


async def test_a_turn_that_the_caller_cuts_short_by_hanging_up_is_recorded() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3000 and bool(gateway.buffered))
        await gateway.tell(Stop("caller_hung_up"))
        await gateway.until_closed()
    turn = bench.records.turns[-1]
    assert turn.end_reason == "hung_up"
    assert turn.heard == "How much is delivery?"


async def test_a_stream_that_does_not_begin_with_start_is_closed() -> None:
    async with Bench().agent() as client:
        for first in ("not json", '{"event":"mark","name":"x"}', '{"event":"start"}'):
            socket = await client.ws_connect("/media")
            await socket.send_str(first)
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1002


async def test_a_stream_that_keeps_breaking_the_contract_is_closed() -> None:
    async with Bench().call() as gateway:
        for _ in range(3):
            await gateway.socket.send_str("this is where audio belongs")
            await gateway.socket.send_bytes(b"\0" * 641)
        await gateway.until(gateway.closed.is_set)
        assert gateway.socket.close_code == 1002


async def test_some_broken_messages_are_survived() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.socket.send_str("{")
        await gateway.socket.send_bytes(b"\0")
        await gateway.socket.send_str('{"event":"from_the_future","x":1}')
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")


async def test_without_the_token_nothing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "right")
    async with Bench().agent() as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect("/media", headers=headers)
            assert refused.value.status == 401
            assert (await client.get("/calls/x", headers=headers)).status == 401
        await (await client.ws_connect("/media", headers={"Authorization": "Bearer right"})).close()


async def test_more_calls_than_allowed_are_refused() -> None:
    settings = Settings.model_validate({"media": {"max_calls": 1}})
    async with Bench(settings=settings).agent() as client:
        first = await client.ws_connect("/media")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/media")
        assert refused.value.status == 503
        await first.close()


async def test_health_and_metrics_are_served() -> None:
    async with Bench().agent() as client:
        assert (await client.get("/healthz")).status == 200
        assert (await (await client.get("/readyz")).json())["ready"] is True
        assert "voice_agent" in await (await client.get("/metrics")).text()


async def test_a_missing_synthesiser_makes_the_agent_not_ready(tmp_path: Path) -> None:
    async with Bench(mouth=FakeMouth(SynthesiserUnreachable("gone"))).agent() as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert (await answer.json())["synthesiser"] is False
