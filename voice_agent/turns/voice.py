"""Is this a voice? webrtcvad as a cheap gate, Silero's network to confirm."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import onnxruntime
import webrtcvad
from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telephony.media_stream import FRAME_MS, SAMPLE_RATE_HZ
from voice_agent.frames import CallerAudio, CallerVoice

WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
GATE_HANGOVER_MS = 320
"""Silero is asked for this long after webrtcvad last heard anything like a voice."""


class VoiceModel:
    """Silero VAD (the copy that comes with pipecat), loaded once and shared by all calls."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        model = resources.files("pipecat.audio.vad.data").joinpath("silero_vad.onnx")
        self._session = onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice")
        VoiceProbability(self).measure(np.zeros(WINDOW_SAMPLES, np.int16))

    def run(
        self, window: np.ndarray[tuple[int], np.dtype[np.float32]], state: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Voice probability of ``window`` (context and 512 samples, -1..1) and the new state."""
        inputs = {"input": window[None, :], "state": state, "sr": np.array(SAMPLE_RATE_HZ)}
        probability, state = self._session.run(None, inputs)
        return float(probability[0][0]), state


class VoiceProbability:
    """The voice probability along one call's audio."""

    def __init__(self, model: VoiceModel) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: long non-speech leaves the network deaf to what follows."""
        self._state: np.ndarray = np.zeros((2, 1, 128), np.float32)
        self._context: np.ndarray = np.zeros(CONTEXT_SAMPLES, np.float32)

    def measure(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        """Probability that the next 512 samples at 16 kHz hold a voice."""
        window = samples.astype(np.float32) / 32768
        probability, self._state = self._model.run(
            np.concatenate((self._context, window)), self._state
        )
        self._context = window[-CONTEXT_SAMPLES:]
        return probability


class VoiceDetector(FrameProcessor):
    """Turns the caller's audio into audio with a voice probability, frame by frame."""

    def __init__(self, model: VoiceModel) -> None:
        super().__init__()
        self._model = model
        self._gate = webrtcvad.Vad(1)
        self._voice = VoiceProbability(model)
        self._pending = b""
        self._probability = 0.0
        self._gate_open_ms = 0
        self._idle = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Measure caller audio; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, CallerAudio):
            await self._measure(frame.audio)
            frame = CallerVoice(frame.audio, frame.at_ms, self._probability)
        await self.push_frame(frame, direction)

    async def _measure(self, audio: bytes) -> None:
        if self._gate.is_speech(audio, SAMPLE_RATE_HZ):
            self._gate_open_ms = GATE_HANGOVER_MS
        else:
            self._gate_open_ms = max(0, self._gate_open_ms - FRAME_MS)
        self._pending += audio
        if not self._gate_open_ms:
            # Nothing like a voice: keep one window, so that the next onset is heard whole.
            self._pending = self._pending[-2 * WINDOW_SAMPLES :]
            self._probability = 0.0
            if not self._idle:
                self._voice.reset()
                self._idle = True
            return
        self._idle = False
        loop = asyncio.get_running_loop()
        while len(self._pending) >= 2 * WINDOW_SAMPLES:
            window = np.frombuffer(self._pending[: 2 * WINDOW_SAMPLES], np.int16)
            self._pending = self._pending[2 * WINDOW_SAMPLES :]
            self._probability = await loop.run_in_executor(
                self._model.executor, self._voice.measure, window
            )
