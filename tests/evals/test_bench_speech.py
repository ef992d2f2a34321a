"""Recorded speech with known end points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evals.latency.recorded import Recorded, background, utterances_of, voiced, word_gap
from evals.latency.speech import SpeechError, load, main, prepare, with_noise, with_pause
from evals.wire_audio import RATE_HZ, Samples, Span


def sound(ms: int, level: int = 5_000) -> Samples:
    at = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.rint(level * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


def hush(ms: int) -> Samples:
    """A room in which nobody speaks."""
    rng = np.random.default_rng(1)
    return rng.integers(-12, 13, RATE_HZ * ms // 1000).astype(np.int16)


def at_ms(*values: int) -> list[int]:
    return [RATE_HZ * value // 1000 for value in values]


def write(path: Path, *parts: Samples, rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, np.concatenate(parts), rate_hz)
    return path


def recorded(*parts: Samples, pauses: tuple[Span, ...] = ()) -> Recorded:
    samples = np.concatenate(parts)
    spans = voiced(samples)
    return Recorded("r", samples, spans[0].start, spans[-1].end, pauses)


def test_clicks_and_short_silences_are_no_ends() -> None:
    line = np.concatenate(
        (hush(300), sound(20), hush(400), sound(300), hush(100), sound(300), hush(400), sound(300))
    )
    found = [(span.start, span.end) for span in voiced(line)]
    assert found == [tuple(at_ms(720, 1420)), tuple(at_ms(1820, 2120))]


def test_a_quiet_sentence_is_found_beside_a_loud_one() -> None:
    line = np.concatenate((sound(500, 20_000), hush(3000), sound(500, 400)))
    assert [(s.start, s.end) for s in voiced(line)] == [
        tuple(at_ms(0, 500)),
        tuple(at_ms(3500, 4000)),
    ]


def test_the_other_party_ends_an_utterance_and_so_does_a_long_silence() -> None:
    spans = [Span(*at_ms(*pair)) for pair in ((0, 500), (1000, 1500), (2500, 3000), (6000, 6500))]
    alone = utterances_of(spans)
    assert [(s.start, s.end) for s in alone] == [tuple(at_ms(0, 3000)), tuple(at_ms(6000, 6500))]
    answered = utterances_of(spans, [Span(*at_ms(1600, 2000))])
    assert [(s.start, s.end) for s in answered][:2] == [
        tuple(at_ms(0, 1500)),
        tuple(at_ms(2500, 3000)),
    ]


def test_prepared_and_loaded_again_with_texts_and_without_the_agents_channel(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    write(folder / "a.wav", hush(500), sound(500), hush(700), sound(500), hush(500))
    write(folder / "one_caller.wav", sound(500), hush(1000), sound(500))
    write(folder / "one_agent.wav", hush(600), sound(300), hush(1100))
    write(folder / "nothing.wav", hush(500))
    label = {"file": "a.wav", "text": "hello there"}
    (folder / "labels.jsonl").write_text(json.dumps(label) + "\n", encoding="utf-8")
    out = tmp_path / "out" / "speech.json"
    assert main(["prepare", str(folder), "--out", str(out)]) == 0
    found = {each.name.rpartition("/")[2]: each for each in load(out)}
    assert list(found) == ["a.wav", "one_caller.wav#0", "one_caller.wav#1"]
    first = found["a.wav"]
    assert first.text == "hello there"
    assert [(p.start - first.begin, p.end - first.begin) for p in first.pauses] == [
        tuple(at_ms(500, 1200))
    ]
    assert first.end - first.begin == at_ms(1700)[0]
    assert len(first.samples) - first.end == at_ms(200)[0]
    assert len(load(folder)) == 3


def test_other_rates_are_read_at_8_khz(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.repeat(hush(250), 2), np.repeat(sound(500), 2), rate_hz=16_000)
    (only,) = load(tmp_path)
    assert (only.end - only.begin) / RATE_HZ == pytest.approx(0.5, abs=0.01)


def test_a_spliced_pause_has_its_length_and_moves_what_comes_after() -> None:
    pause = Span(*at_ms(1540, 1800))
    before = recorded(
        hush(100), sound(700), hush(40), sound(700), hush(260), sound(300), hush(100),
        pauses=(pause,),
    )  # fmt: skip
    after = with_pause(before, 800)
    assert after.end - before.end == len(after.samples) - len(before.samples) == at_ms(800)[0]
    new, moved = after.pauses
    assert at_ms(800)[0] <= new.start <= at_ms(840)[0]
    assert new.length_ms == 800
    assert (moved.start, moved.end) == (pause.start + at_ms(800)[0], pause.end + at_ms(800)[0])
    silence = after.samples[new.start : new.end]
    assert 0 < np.abs(silence).max() <= 12
    assert (before.begin, len(before.samples)) == (after.begin, at_ms(2200)[0])


def test_a_pause_must_lie_inside() -> None:
    with pytest.raises(ValueError, match="inside"):
        with_pause(recorded(sound(500)), 500, 0)


def test_the_word_gap_is_not_in_a_pause_that_is_there_already() -> None:
    pause = Span(*at_ms(500, 900))
    gap = word_gap(
        recorded(sound(500), hush(400), sound(100), hush(60), sound(500), pauses=(pause,))
    )
    assert at_ms(1000)[0] <= gap <= at_ms(1060)[0]


def test_background_of_a_recording_shorter_than_a_piece_of_it() -> None:
    short = Recorded("s", np.array([1, 2, 3], np.int16), 0, 3)
    assert background(short, 8).tolist() == [1, 2, 3, 3, 2, 1, 1, 2]


def test_noise_is_mixed_by_the_level_of_the_speech_alone() -> None:
    clean = Recorded("c", np.concatenate((sound(500), sound(500, 0))), 0, at_ms(500)[0])
    noise = np.random.default_rng(2).normal(0, 500, RATE_HZ // 3).astype(np.int16)
    added = with_noise(clean, noise, 10).samples.astype(float) - clean.samples
    speech_rms = np.sqrt(np.mean(clean.samples[: clean.end].astype(float) ** 2))
    assert 20 * np.log10(speech_rms / np.sqrt(np.mean(added**2))) == pytest.approx(10, abs=0.2)
    with pytest.raises(SpeechError, match="silent"):
        with_noise(clean, noise * 0, 10)


GOOD = {"file": "a.wav", "utterances": [{"begin_s": 0.1, "end_s": 0.9, "pauses": [[0.3, 0.5]]}]}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("{}", "is not a list"),
        ("[]", "is not a list"),
        ('["a"]', "recording 1: is malformed"),
        ('[{"file": "a.wav"}]', "`utterances` is missing"),
        ('[{"file": "a.wav", "utterances": [{"begin_s": 0}]}]', "`end_s` is missing"),
        (json.dumps([GOOD]).replace("0.9", "1.5"), "outside the recording"),
        (json.dumps([GOOD]).replace("0.1", "-1"), "outside the recording"),
        (json.dumps([GOOD]).replace("0.5", "0.95"), "pauses are not in order"),
        (json.dumps([GOOD]).replace("0.5", '"x"'), "recording 1: is malformed"),
        (json.dumps([GOOD]).replace("0.9", "1e999"), "recording 1: is malformed"),
        (json.dumps([GOOD]).replace("0.9", "NaN"), "recording 1: is malformed"),
        (json.dumps([GOOD]).replace("a.wav", "b.wav"), "cannot be read as audio"),
        (json.dumps([GOOD]).replace("a.wav", "empty.wav"), "is empty"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_used_gives_one_line(
    tmp_path: Path, content: str, complaint: str
) -> None:
    write(tmp_path / "a.wav", sound(1000))
    write(tmp_path / "empty.wav", sound(0))
    (tmp_path / "speech.json").write_text(content, encoding="utf-8")
    with pytest.raises(SpeechError, match=complaint) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_speech(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SpeechError, match="no WAV or FLAC"):
        prepare(tmp_path)
    (tmp_path / "a.wav").write_text("no audio")
    assert main(["prepare", str(tmp_path)]) == 2
    assert main(["prepare", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    (tmp_path / "labels.jsonl").write_text("nonsense")
    with pytest.raises(SpeechError, match=r"labels\.jsonl"):
        prepare(tmp_path)
