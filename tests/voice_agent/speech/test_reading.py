"""Reading on: an utterance transcribed while it grows, at an engine that does as it is told."""

from __future__ import annotations

import numpy as np

from tests.voice_agent.speech.fake_whisper import (
    VOCABULARY,
    FakeWhisper,
    Reading,
    ids,
    transcriber_that_reads,
)
from voice_agent.speech.transcriber import Transcriber, Transcript

RATE_HZ = 16_000
TEXT = "yes no thank you order oak desk please two grey red blue green chair table bed"
"""Sixteen words: with the fake engine's half a second for each, eight seconds of speech."""


def _spoken(words: int) -> np.ndarray:
    """Half a second for each word, the last tenth of it quiet."""
    noise = np.random.default_rng(1).normal(0, 3_000, words * RATE_HZ // 2)
    noise[np.arange(len(noise)) % 8_000 >= 6_400] *= 0.005
    return noise.astype(np.int16)


async def _after_an_interim(
    *readings: Reading | Exception,
) -> tuple[Transcriber, FakeWhisper, Transcript]:
    """The words heard twice the same way by interims; then come ``readings``."""
    transcriber, engine = transcriber_that_reads(Reading(TEXT), Reading(TEXT), *readings)
    first = await transcriber.transcribe(_spoken(16)[:-800], final=False)
    return (
        transcriber,
        engine,
        await transcriber.transcribe(_spoken(16), final=False, so_far=first),
    )


def _lead(engine: FakeWhisper, so_far: Transcript) -> str:
    """The words the engine was last given to begin with."""
    words = {number: token for token, number in VOCABULARY.items()}
    assert engine.prompts[-1][-len(so_far.progress.settled.lead) :] == [
        *so_far.progress.settled.lead
    ]
    return " ".join(words[token].strip("Ġ") for token in so_far.progress.settled.lead)


async def test_only_what_follows_the_settled_words_is_read() -> None:
    transcriber, engine, so_far = await _after_an_interim(Reading("lamp yes"))
    settled = so_far.progress.settled
    final = await transcriber.transcribe(_spoken(20), so_far=so_far)
    settled_words = TEXT.split()[: len(settled.tokens)]
    given = _lead(engine, so_far)
    assert settled_words
    assert given
    assert final.text == f"{' '.join(settled_words)} {given} lamp yes"
    rest_s = 10.0 - settled.samples / RATE_HZ
    assert engine.windows[-1] < 100 * (rest_s + 1.1)


async def test_the_engine_is_told_what_was_said_before_the_window() -> None:
    transcriber, engine, so_far = await _after_an_interim(Reading("lamp yes"))
    await transcriber.transcribe(_spoken(20), so_far=so_far)
    told = [VOCABULARY["<|startofprev|>"], *so_far.progress.settled.tokens]
    assert engine.prompts[-1][: len(told)] == told
    assert engine.prompts[-1][len(told)] == VOCABULARY["<|startoftranscript|>"]


async def test_settled_words_after_which_the_rest_makes_no_sense_are_read_again() -> None:
    transcriber, engine, so_far = await _after_an_interim(
        Reading("no no no no no"), Reading("oak desk please")
    )
    final = await transcriber.transcribe(_spoken(20), so_far=so_far)
    assert final.text == "oak desk please"
    assert engine.windows[-1] == 1100
    assert VOCABULARY["<|startofprev|>"] not in engine.prompts[-1]
    assert not final.progress.settled.tokens


async def test_an_improbable_rest_makes_the_whole_be_read_again() -> None:
    transcriber, _, so_far = await _after_an_interim(
        Reading("two two", score=-3.0, no_speech=0.0), Reading("oak desk please")
    )
    assert (await transcriber.transcribe(_spoken(20), so_far=so_far)).text == "oak desk please"


async def test_an_interim_in_doubt_unsettles_and_the_next_reads_all() -> None:
    transcriber, engine, so_far = await _after_an_interim(
        Reading("no no no no no"), Reading("oak desk please")
    )
    doubtful = await transcriber.transcribe(_spoken(18), final=False, so_far=so_far)
    passes = len(engine.windows)
    assert passes == 3
    final = await transcriber.transcribe(_spoken(20), so_far=doubtful)
    assert final.text == "oak desk please"
    assert engine.windows[-1] == 1100


async def test_words_heard_differently_are_not_settled() -> None:
    transcriber, _ = transcriber_that_reads(Reading("oak desk"), Reading(TEXT))
    first = await transcriber.transcribe(_spoken(16)[:-800], final=False)
    second = await transcriber.transcribe(_spoken(16), final=False, so_far=first)
    assert not second.progress.settled.tokens


async def test_another_utterance_is_read_from_its_start() -> None:
    for other in (_spoken(18)[800:], _spoken(4), _spoken(18)[::-1].copy()):
        transcriber, engine, so_far = await _after_an_interim(Reading("two grey"))
        assert (await transcriber.transcribe(other, so_far=so_far)).text == "two grey"
        assert VOCABULARY["<|startofprev|>"] not in engine.prompts[-1]


async def test_nothing_said_since_costs_no_further_reading() -> None:
    transcriber, engine = transcriber_that_reads(Reading("oak desk"), RuntimeError("not again"))
    said = _spoken(4)
    early = await transcriber.transcribe(said, final=False)
    final = await transcriber.transcribe(np.concatenate([said, said[-1_600:]]), so_far=early)
    assert (final.text, len(engine.windows)) == ("oak desk", 1)


async def test_a_looping_text_is_read_again_though_nothing_was_said_since() -> None:
    transcriber, _ = transcriber_that_reads(Reading("no no no no no"), Reading("no"))
    said = _spoken(4)
    early = await transcriber.transcribe(said, final=False)
    assert (await transcriber.transcribe(said, so_far=early)).text == "no"


async def test_an_interim_is_not_answered_with_an_older_one() -> None:
    transcriber, engine = transcriber_that_reads(Reading("oak"), Reading("oak desk"))
    early = await transcriber.transcribe(_spoken(2), final=False)
    later = await transcriber.transcribe(_spoken(3), final=False, so_far=early)
    assert (later.text, len(engine.windows)) == ("oak desk", 2)


async def test_a_language_judged_on_the_way_is_not_judged_again_at_the_end() -> None:
    transcriber, engine = transcriber_that_reads(Reading("oak desk"), language=("<|fr|>", 0.95))
    interim = await transcriber.transcribe(_spoken(5), final=False)
    final = await transcriber.transcribe(_spoken(6), so_far=interim)
    assert (interim.language, final.language, engine.languages_asked) == ("fr", "fr", 1)


async def test_trusted_words_that_are_no_longer_heard_are_looked_for_again() -> None:
    transcriber, _, so_far = await _after_an_interim(
        Reading("thank you", no_speech=0.9, score=-1.5), Reading(TEXT)
    )
    assert (await transcriber.transcribe(_spoken(18), so_far=so_far)).text == TEXT


async def test_speech_longer_than_a_window_is_read_whole_after_the_settled_words() -> None:
    transcriber, _, so_far = await _after_an_interim(Reading("oak"), Reading("desk"))
    final = await transcriber.transcribe(_spoken(80), so_far=so_far)
    assert final.text.endswith("oak desk")
    assert final.text.startswith("yes no")


async def test_a_transcript_prints_without_what_it_remembers() -> None:
    transcriber, _ = transcriber_that_reads(Reading("oak"))
    assert "progress" not in repr(await transcriber.transcribe(_spoken(2)))


def test_the_fakes_words_are_known() -> None:
    assert ids(*(f"Ġ{word}" for word in TEXT.split()))
