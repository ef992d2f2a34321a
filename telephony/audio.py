"""PCM as the gateway handles it: mixing, rate conversion, concealment of lost frames.

Everything is 16-bit little-endian mono PCM in ``bytes``; a *frame* is 20 ms at the media stream's
rate. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

import numpy as np
from numpy.typing import NDArray

from telephony.media_stream import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

Samples = NDArray[np.int16]

SILENCE = bytes(FRAME_BYTES)
"""One frame of silence."""

_FULL_SCALE = 32_767


def mixed(frames: Iterable[bytes]) -> bytes:
    """The sum of frames of one length, saturated at full scale; silence for none."""
    parts = [frame for frame in frames if frame is not SILENCE]
    if not parts:
        return SILENCE
    if len(parts) == 1:
        return parts[0]
    total = np.zeros(len(parts[0]) // 2, dtype=np.int32)
    for part in parts:
        total += np.frombuffer(part, dtype="<i2")
    return np.clip(total, -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes()


def in_frames(audio: bytes) -> list[bytes]:
    """``audio`` cut into frames, the last one filled up with silence."""
    return [
        audio[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        for start in range(0, len(audio), FRAME_BYTES)
    ]


_RISE = np.sin(np.linspace(0.0, np.pi / 2, FRAME_SAMPLES)) ** 2


def faded_in(frame: bytes) -> bytes:
    """One frame that rises from nothing."""
    return _shaped(frame, _RISE)


def faded_out(frame: bytes) -> bytes:
    """One frame that falls to nothing."""
    return _shaped(frame, _RISE[::-1])


def _shaped(frame: bytes, shape: NDArray[np.float64]) -> bytes:
    if frame is SILENCE:
        return SILENCE
    return np.rint(np.frombuffer(frame, dtype="<i2") * shape).astype("<i2").tobytes()


_SPLICE_SAMPLES = SAMPLE_RATE_HZ * 4 // 1000


def spliced(left: bytes, frame: bytes) -> bytes:
    """``frame``, cross-faded over its first 4 ms with what would have been heard in its place.

    ``left``: as long as the cross-fade or longer; of a shorter one, or of a shorter frame, the
    cross-fade is shorter, and of none there is none.
    """
    length = min(_SPLICE_SAMPLES, len(left) // 2, len(frame) // 2)
    if not length:
        return frame
    samples = np.frombuffer(frame, dtype="<i2").copy()
    rise = np.linspace(0.0, 1.0, length)
    ends = np.frombuffer(left, dtype="<i2", count=length)
    samples[:length] = np.rint(samples[:length] * rise + ends * (1.0 - rise))
    return samples.tobytes()


class Resampler:
    """Streaming rate conversion with a short delay.

    A polyphase windowed-sinc filter (Kaiser window, about 60 dB), long enough for speech and 2 ms
    late between 8 and 16 kHz, where a general-purpose stream resampler lags 64 ms or more.
    Chunks may have any whole number of samples; over a whole stream no sample is lost but the
    delay of the filter.
    """

    _ZERO_CROSSINGS = 16
    _KAISER_BETA = 6.0

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """
        Raises:
            ValueError: a rate that is not positive.
        """
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError("sample rates must be positive")
        divisor = gcd(from_hz, to_hz)
        self._up = to_hz // divisor
        self._down = from_hz // divisor
        longest = max(self._up, self._down)
        half = self._ZERO_CROSSINGS * longest
        position = np.arange(-half, half + 1)
        taps = np.sinc(position / longest) * np.kaiser(2 * half + 1, self._KAISER_BETA)
        taps *= self._up / taps.sum()
        per_phase = -(-len(taps) // self._up)
        taps = np.pad(taps, (0, per_phase * self._up - len(taps)))
        # Row p: the taps for output phase p, newest input sample last.
        self._phases = taps.reshape(per_phase, self._up).T[:, ::-1].astype(np.float32)
        self._history = np.zeros(per_phase - 1, dtype=np.float32)
        self._ahead = 0
        """Next output's position on the up-sampled grid, from the first sample of the next feed."""
        self.delay_ms = 1000 * half / (self._up * from_hz)

    def forget(self) -> None:
        """What comes next does not continue what came before."""
        self._history = np.zeros_like(self._history)
        self._ahead = 0

    def feed(self, audio: bytes) -> bytes:
        """The next chunk at the new rate."""
        if self._up == self._down or not audio:
            return audio
        fresh = np.frombuffer(audio, dtype="<i2").astype(np.float32)
        line = np.concatenate((self._history, fresh))
        grid = np.arange(self._ahead, len(fresh) * self._up, self._down)
        windows = np.lib.stride_tricks.sliding_window_view(line, self._phases.shape[1])
        out = np.einsum("ij,ij->i", windows[grid // self._up], self._phases[grid % self._up])
        last = int(grid[-1]) + self._down if len(grid) else self._ahead
        self._ahead = last - len(fresh) * self._up
        self._history = line[len(line) - len(self._history) :]
        return bytes(np.clip(np.rint(out), -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes())


class Concealer:
    """Fills what a party did not deliver in time, so that its clock never stops.

    A gap is covered by repeating the last pitch period with a fade to nothing over 60 ms, then by
    silence (after ITU-T G.711 Appendix I, simplified). The first frame after a gap is cross-faded
    with the repetition over 4 ms, so that neither edge clicks.
    """

    _FADE_FRAMES = 3
    _SHORTEST_PERIOD = SAMPLE_RATE_HZ // 400
    _LONGEST_PERIOD = SAMPLE_RATE_HZ // 66

    def __init__(self, *, rises: bool = False) -> None:
        """``rises``: sound that comes back after silence rises over 4 ms as well, for a party that
        others take for the line itself."""
        self._rises = rises
        self.concealed = 0
        """Frames made up from what came before."""
        self.silenced = 0
        """Frames filled with silence because the gap was too long to conceal."""
        self._history: Samples = np.zeros(2 * FRAME_SAMPLES, dtype=np.int16)
        self._period: Samples = self._history[:0]
        self._gap_frames = 0
        self._heard = False

    def next_frame(self, frame: bytes | None) -> bytes:
        """The frame to use for this tick: ``frame``, or what stands in for it."""
        if frame is not None and len(frame) == FRAME_BYTES:
            return self._accept(frame)
        return self._conceal()

    def _accept(self, frame: bytes) -> bytes:
        if 0 < self._gap_frames < self._FADE_FRAMES and len(self._period):
            frame = spliced(self._repetition(), frame)
        elif self._gap_frames and self._rises:
            frame = spliced(SILENCE, frame)
        self._gap_frames = 0
        self._period = self._history[:0]
        self._heard = True
        samples = np.frombuffer(frame, dtype="<i2")
        self._history = np.concatenate((self._history[FRAME_SAMPLES:], samples))
        return frame

    def _conceal(self) -> bytes:
        if not self._heard or self._gap_frames >= self._FADE_FRAMES:
            self._gap_frames += 1
            self.silenced += 1
            return SILENCE
        if not len(self._period):
            self._period = self._history[-self._pitch_period() :].copy()
        repetition = self._repetition()
        self._gap_frames += 1
        self.concealed += 1
        return repetition

    def _repetition(self) -> bytes:
        """One frame of the repeated period, at the place and loudness of this gap frame."""
        start = self._gap_frames * FRAME_SAMPLES
        place = np.arange(start, start + FRAME_SAMPLES)
        fade = 1.0 - place / (self._FADE_FRAMES * FRAME_SAMPLES)
        return (self._period[place % len(self._period)] * fade).astype("<i2").tobytes()

    def _pitch_period(self) -> int:
        """The lag, in samples, at which the end of what was heard resembles itself most."""
        history = self._history.astype(np.float64)
        span = len(history) - self._LONGEST_PERIOD
        recent = history[-span:]
        windows = np.lib.stride_tricks.sliding_window_view(history, span)
        # windows[j] begins LONGEST_PERIOD - j samples before ``recent``.
        earlier = windows[: self._LONGEST_PERIOD - self._SHORTEST_PERIOD + 1]
        energy = np.sqrt((earlier * earlier).sum(axis=1)) + 1.0
        likeness = earlier @ recent / energy
        return self._LONGEST_PERIOD - int(np.argmax(likeness))
