"""Something to say in tests: a tone, as samples and as an utterance."""

from __future__ import annotations

import numpy as np

from evals.wire_audio import RATE_HZ, WIDE_HZ, Samples, Span, Utterance


def tone(ms: int, hz: float = 400.0, rate_hz: int = RATE_HZ) -> Samples:
    wave = np.sin(2 * np.pi * hz * np.arange(rate_hz * ms // 1000) / rate_hz)
    return np.rint(8_000 * wave).astype(np.int16)


def spoken(ms: int = 400, hz: float = 400.0) -> Utterance:
    speech = Span(0, RATE_HZ * ms // 1000)
    return Utterance("tone", tone(ms, hz), speech, wide=tone(ms, hz, WIDE_HZ))
