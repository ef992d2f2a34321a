"""A Piper voice that is heard while it still speaks. Only the synthesiser's process imports this.

Where the voice can be cut in two (``cut_voice``), a sentence's first 0.2 s are there after a
quarter of the work or less; otherwise each sentence comes in one piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import soxr
import structlog
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from voice_agent.speech.clauses import LONGEST, ClauseSplitter
from voice_agent.speech.cut_voice import CutVoice, cut
from voice_agent.speech.silence import Trimmer, tail_after

log = structlog.get_logger(__name__)

Audio = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
PEAK = 0.7
"""Telephone codecs clip at full scale, and sentences differ by some decibels."""
FIRST_FRAMES, MOST_FRAMES = 20, 96
"""Of some 12 ms each: the first piece is short because somebody waits for it, later ones have less
overhead."""
CONTEXT_FRAMES = 12
"""On each side; with so many the pieces differ from the whole by less than a 16-bit step."""
_WARM_UP = ("Yes.", "How can I help you with your order today?", "It costs ninety pounds.")


class VoiceUnusable(Exception):
    """The voice cannot be loaded; the message is one line."""

    code = "voice_unusable"
    retryable = False


class Piper:
    """One Piper voice, loaded and warmed up."""

    def __init__(self, model: Path) -> None:
        """Load ``model`` (``.onnx``, its configuration beside it as ``.onnx.json``). Blocking.

        Raises:
            VoiceUnusable: a file is missing or is not a Piper voice.
        """
        try:
            self._config = PiperConfig.from_dict(
                json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
            )
            parts = cut(model)
            if parts is None:
                log.warning("voice_speaks_sentence_by_sentence", voice=model.stem)
            # For an uncut voice Piper runs the whole model; for a cut one it only reads the text.
            session = _session(parts.front if parts else str(model))
        except OSError as error:
            raise VoiceUnusable(f"{error.filename}: {error.strerror}") from error
        except Exception as error:  # onnx and onnxruntime raise types of their own
            reason = " ".join(str(error).split())
            raise VoiceUnusable(f"{model}: is not a Piper voice: {reason}") from error
        self._voice = PiperVoice(session=session, config=self._config)
        self._cut = _CutSpeech(session, parts) if parts else None
        self._gain = 1.0
        loudest = max(
            float(np.abs(piece).max(initial=0.0))
            for text in _WARM_UP
            for ids in self._sentences(text)
            for piece in self._sound(ids, 1.0)
        )
        self._gain = PEAK / max(loudest, 1e-3)

    def say(self, text: str, rate: float) -> Iterator[bytes]:
        """16 kHz PCM16 mono as it is made, silence trimmed around each sentence. Blocking."""
        for part in parts_of(text):
            for phonemes in self._voice.phonemize(part):
                if phonemes:
                    yield from self._say(phonemes, rate)

    def _say(self, phonemes: list[str], rate: float) -> Iterator[bytes]:
        ids = self._voice.phonemes_to_ids(phonemes)
        ending = next((mark for mark in reversed(phonemes) if mark.strip()), "")
        trimmer = Trimmer(self._config.sample_rate)
        resampler = soxr.ResampleStream(
            self._config.sample_rate, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ"
        )
        for piece in self._sound(ids, rate):
            kept = trimmer.feed(piece * self._gain)
            if pcm := _as_pcm(resampler.resample_chunk(kept)):
                yield pcm
        tail = trimmer.finish(tail_after(ending))
        yield _as_pcm(resampler.resample_chunk(tail, last=True))

    def _sentences(self, text: str) -> Iterator[list[int]]:
        for phonemes in self._voice.phonemize(text):
            yield self._voice.phonemes_to_ids(phonemes)

    def _sound(self, ids: list[int], rate: float) -> Iterator[Audio]:
        """The voice's own samples, -1 to 1, in pieces."""
        length_scale = self._config.length_scale / rate
        if self._cut is None:
            how = SynthesisConfig(length_scale=length_scale)
            made = self._voice.phoneme_ids_to_audio(ids, how)
            yield made[0] if isinstance(made, tuple) else made
        else:
            scales = (self._config.noise_scale, length_scale, self._config.noise_w_scale)
            yield from self._cut.sound(ids, scales)


class _CutSpeech:
    """Sound in pieces from a voice cut in two."""

    def __init__(self, front: onnxruntime.InferenceSession, parts: CutVoice) -> None:
        self._front = front
        self._decoder = _session(parts.decoder)
        self._frames = parts.frames

    def sound(self, ids: list[int], scales: tuple[float, float, float]) -> Iterator[Audio]:
        """Samples for phoneme ids, piece after piece without a seam."""
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        (frames,) = self._front.run(None, inputs)
        count = frames.shape[2]
        begin, size = 0, FIRST_FRAMES
        while begin < count:
            end = min(count, begin + size)
            yield self._decoded(frames, begin, end)
            begin, size = end, min(2 * size, MOST_FRAMES)

    def _decoded(self, frames: npt.NDArray[np.float32], begin: int, end: int) -> Audio:
        first = max(0, begin - CONTEXT_FRAMES)
        last = min(frames.shape[2], end + CONTEXT_FRAMES)
        (made,) = self._decoder.run(None, {self._frames: frames[:, :, first:last]})
        samples: Audio = made.reshape(-1)
        a_frame = len(samples) // (last - first)
        return samples[(begin - first) * a_frame : (end - first) * a_frame]


def _session(model: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # every sentence has another shape: an arena would only grow (1.3 GB after a long one)
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )


def parts_of(text: str) -> list[str]:
    """``text`` in pieces the voice can make within bounded time and memory; usually one."""
    if len(text) <= LONGEST:
        return [text]
    splitter = ClauseSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def _as_pcm(audio: Audio) -> bytes:
    scaled = np.clip(np.rint(audio * 32767.0), -32768, 32767)
    pcm: bytes = scaled.astype("<i2").tobytes()
    return pcm
