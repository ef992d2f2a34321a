"""The transcriber around an engine that does as it is told, and around the real small one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.voice_agent.speech.fake_whisper import (
    VOCABULARY,
    Reading,
    ids,
    transcriber_that_reads,
    voice,
)
from voice_agent.config import TranscriberSettings
from voice_agent.models import ModelMissing
from voice_agent.speech.continuing import Progress, Settled
from voice_agent.speech.hearing import Decoding
from voice_agent.speech.transcriber import (
    Transcriber,
    TranscriberError,
    TranscriberUnusable,
    Transcript,
)

MODELS = Path("var/models")


async def test_an_utterance_is_read_in_a_window_of_its_own_length() -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"))
    transcript = await transcriber.transcribe(voice(9.0))
    assert transcript.text == "yes"
    assert engine.windows == [1000]
    assert transcript.took_ms > 0


async def test_a_final_that_loops_is_read_again_with_more_room() -> None:
    transcriber, engine = transcriber_that_reads(Reading("no no no no no no"), Reading("no"))
    assert (await transcriber.transcribe(voice(1.0))).text == "no"
    assert engine.windows[1] > engine.windows[0]


async def test_what_one_guess_is_unsure_of_is_searched_wider_in_the_same_window() -> None:
    searched = Reading("oak desk", score=-0.4)
    transcriber, engine = transcriber_that_reads(Reading("no desk", score=-1.2, searched=searched))
    assert (await transcriber.transcribe(voice(1.0))).text == "oak desk"
    assert (engine.searches, len(engine.windows)) == (1, 1)


async def test_what_one_guess_is_sure_of_is_not_searched_wider() -> None:
    searched = Reading("no desk", score=-0.2)
    transcriber, engine = transcriber_that_reads(Reading("oak desk", searched=searched))
    assert (await transcriber.transcribe(voice(1.0))).text == "oak desk"
    assert engine.searches == 0


async def test_an_interim_is_read_once() -> None:
    transcriber, engine = transcriber_that_reads(Reading("no no no no no no"), Reading("no"))
    await transcriber.transcribe(voice(1.0), final=False)
    assert len(engine.windows) == 1


async def test_a_weak_second_reading_does_not_replace_a_better_first() -> None:
    transcriber, _ = transcriber_that_reads(Reading("desk", score=-2.4), Reading("oak", score=-3.5))
    assert (await transcriber.transcribe(voice(1.0))).text == "desk"


@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.int16), np.zeros(48_000, np.int16), voice(0.02)]
)
async def test_silence_is_not_even_given_to_the_engine(samples: np.ndarray) -> None:
    transcriber, engine = transcriber_that_reads(RuntimeError("must not run"))
    transcript = await transcriber.transcribe(samples)
    assert (transcript.text, transcript.no_speech_probability) == ("", 1.0)
    assert engine.windows == []


async def test_an_invention_over_noise_is_nothing_heard() -> None:
    transcriber, _ = transcriber_that_reads(Reading("thank you", no_speech=0.8, score=-0.4))
    transcript = await transcriber.transcribe(voice(2.0))
    assert (transcript.text, transcript.language) == ("", "en")


@pytest.mark.parametrize(
    ("found", "seconds", "language"),
    [
        (("<|fr|>", 0.95), 3.0, "fr"),
        (("<|fr|>", 0.6), 3.0, "en"),
        (("<|fr|>", 0.95), 0.8, "en"),
        (("<|en|>", 0.95), 3.0, "en"),
    ],
)
async def test_another_language_is_noticed_when_it_is_nearly_certain(
    found: tuple[str, float], seconds: float, language: str
) -> None:
    transcriber, _ = transcriber_that_reads(Reading("yes"), language=found)
    assert (await transcriber.transcribe(voice(seconds))).language == language


async def test_an_english_only_model_is_not_asked_for_the_language() -> None:
    transcriber, _ = transcriber_that_reads(
        Reading("yes"), language=("<|fr|>", 0.95), multilingual=False
    )
    assert (await transcriber.transcribe(voice(3.0))).language == "en"


async def test_expected_words_are_given_to_the_engine() -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"), prompt="oak desk")
    await transcriber.transcribe(voice(1.0))
    prompt = engine.prompts[0]
    assert prompt[:3] == ids("<|startofprev|>", "Ġoak", "Ġdesk")
    assert VOCABULARY["<|startoftranscript|>"] in prompt


@pytest.mark.parametrize(("seconds", "timed"), [(0.6, False), (6.0, True)])
async def test_longer_speech_is_read_with_time_marks(seconds: float, timed: bool) -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"))
    await transcriber.transcribe(voice(seconds))
    assert (VOCABULARY["<|notimestamps|>"] not in engine.prompts[0]) is timed


async def test_words_that_begin_after_the_speech_are_not_heard() -> None:
    transcriber, _ = transcriber_that_reads(
        Reading("@0.0 oak desk @3.9 @3.9 yes no yes no yes no @4.0")
    )
    assert (await transcriber.transcribe(voice(4.0))).text == "oak desk"


async def test_speech_longer_than_whisper_reads_is_heard_in_pieces() -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"), Reading("no"), Reading("desk"))
    assert (await transcriber.transcribe(voice(70.0))).text == "yes no desk"
    assert max(engine.windows) <= 3000


async def test_a_broken_engine_is_a_transcriber_error_and_the_next_call_works() -> None:
    transcriber, _ = transcriber_that_reads(RuntimeError("CUDA out of memory"), Reading("yes"))
    with pytest.raises(TranscriberError):
        await transcriber.transcribe(voice(1.0))
    assert (await transcriber.transcribe(voice(1.0))).text == "yes"


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 100), np.int16), np.zeros(100, np.float32), np.zeros(9, np.int32)]
)
async def test_audio_of_another_shape_is_refused(samples: Any) -> None:
    transcriber, _ = transcriber_that_reads(Reading("yes"))
    with pytest.raises(ValueError, match="int16"):
        await transcriber.transcribe(samples)


async def test_cancelling_returns_at_once_and_drops_what_has_not_begun() -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"))
    engine.hold.clear()
    running = asyncio.create_task(transcriber.transcribe(voice(1.0), final=False))
    await asyncio.to_thread(engine.began.wait, 5)
    queued = asyncio.create_task(transcriber.transcribe(voice(1.0)))
    await asyncio.sleep(0)
    for task in (running, queued):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    engine.hold.set()
    assert (await transcriber.transcribe(voice(1.0))).text == "yes"
    assert len(engine.windows) == 2, "the queued one must never have been read"
    assert len(engine.prompts) == 1, "the running one must have stopped after its window"


async def test_an_interim_does_not_wait_for_a_busy_engine_nor_keep_a_final_waiting() -> None:
    transcriber, engine = transcriber_that_reads(Reading("yes"))
    known = await transcriber.transcribe(voice(1.0), final=False)
    engine.began.clear()
    engine.hold.clear()
    running = asyncio.create_task(transcriber.transcribe(voice(1.0)))
    await asyncio.to_thread(engine.began.wait, 5)
    assert await transcriber.transcribe(voice(2.0), final=False, so_far=known) is known
    assert (await transcriber.transcribe(voice(2.0), final=False)).text == ""
    engine.hold.set()
    assert (await running).text == "yes"


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        Transcriber.load(TranscriberSettings(), tmp_path)


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nonsense")
    with pytest.raises(TranscriberUnusable) as caught:
        Transcriber.load(TranscriberSettings(model=str(tmp_path)), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.models
async def test_the_small_model_hears_nothing_in_noise_and_survives_any_length() -> None:
    transcriber = Transcriber.load(TranscriberSettings(model="whisper-tiny.en"), MODELS)
    noise = np.random.default_rng(0).normal(0, 300, 32_000).astype(np.int16)
    assert (await transcriber.transcribe(noise)).text == ""
    for seconds in (0.1, 0.3, 31.0):
        loud = np.random.default_rng(0).integers(-32_768, 32_767, int(16_000 * seconds))
        await transcriber.transcribe(loud.astype(np.int16))
    transcriber.close()


def heard(text: str) -> Transcript:
    return Transcript(text, 0.0, -0.2, "en", 1.0)


async def test_words_that_the_engine_would_end_with_an_ellipsis_trail_off() -> None:
    transcriber, engine = transcriber_that_reads(
        Reading("", trailing=-3.0), Reading("", trailing=0.0), Reading("", trailing=3.0)
    )
    judged = [await transcriber.trailing(voice(2.0), heard("order oak desk.")) for _ in range(3)]
    assert None not in judged
    low, middle, high = (value or 0.0 for value in judged)
    assert low < middle < high < 0
    assert engine.prompts[0][-3:] == ids("Ġorder", "Ġoak", "Ġdesk")


async def test_of_a_long_utterance_only_what_is_not_settled_is_judged() -> None:
    transcriber, engine = transcriber_that_reads(Reading("", trailing=1.0))
    settled = Settled(samples=32_000, decoding=Decoding("yes no", 0.0, -0.2))
    known = replace(heard("yes no order"), progress=Progress(settled=settled))
    assert await transcriber.trailing(voice(4.0), known) is not None
    assert engine.prompts[0][-1:] == ids("Ġorder")
    assert VOCABULARY["Ġno"] not in engine.prompts[0]


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (voice(1.0), ""),
        (np.zeros(16_000, np.int16), "order"),
        (voice(31.0), "order"),
        (voice(2.0), "order " * 300),
    ],
)
async def test_nothing_is_said_of_what_cannot_be_judged(samples: np.ndarray, text: str) -> None:
    transcriber, _ = transcriber_that_reads(Reading(""))
    assert await transcriber.trailing(samples, heard(text)) is None


async def test_judging_the_words_never_keeps_words_waiting() -> None:
    transcriber, engine = transcriber_that_reads(Reading("oak"))
    engine.hold.clear()
    busy = asyncio.create_task(transcriber.transcribe(voice(1.0)))
    await asyncio.sleep(0)
    assert await transcriber.trailing(voice(1.0), heard("oak")) is None
    engine.hold.set()
    assert (await busy).text == "oak"


async def test_an_engine_that_fails_to_judge_is_a_transcriber_error() -> None:
    transcriber, _ = transcriber_that_reads(RuntimeError("broken"))
    with pytest.raises(TranscriberError):
        await transcriber.trailing(voice(1.0), heard("oak"))
