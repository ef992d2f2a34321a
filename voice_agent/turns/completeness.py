"""Does the caller sound done? smart-turn v3, the copy that comes with pipecat."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from telephony.media_stream import SAMPLE_RATE_HZ

LISTEN_SECONDS = 8


class CompletenessModel:
    """One model for all calls; a judgement costs about 30 ms of one thread."""

    def __init__(self) -> None:
        self._analyzer = LocalSmartTurnAnalyzerV3(cpu_count=1)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completeness")
        self._judge(np.zeros(SAMPLE_RATE_HZ, np.int16))

    async def judge(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        """Probability that the speech in ``samples`` (16 kHz, the last 8 s count) is complete."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._judge, samples)

    def _judge(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        recent = samples[-LISTEN_SECONDS * SAMPLE_RATE_HZ :].astype(np.float32) / 32768
        # The public way in buffers by wall clock; here the audio itself is the clock.
        return float(self._analyzer._predict_endpoint(recent)["probability"])
