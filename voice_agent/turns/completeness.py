"""Does the caller sound done? smart-turn v3, the copy that comes with pipecat, and an earlier one.

The two err on different pauses. Over 291 recorded ends and 299 pauses, made by callers or spliced
in, the turns that they judge together wait as long as with the newer alone (0.33 s at the median)
and cut into 30 of the pauses instead of 47 (``evals.latency.turn_curve``).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from telephony.media_stream import SAMPLE_RATE_HZ
from voice_agent.config import TurnSettings
from voice_agent.models import locate
from voice_agent.turns.endpointing import together

LISTEN_SECONDS = 8


class CompletenessUnusable(Exception):
    """The second network cannot be loaded; the message is one line."""

    code = "completeness_unusable"
    retryable = False


class CompletenessModel:
    """The networks for all calls; a judgement of each costs about 30 ms of one thread."""

    def __init__(self, second: Path | None = None) -> None:
        """``second``: another smart-turn v3, as ONNX, to judge as well."""
        paths = [None] if second is None else [None, str(second)]
        self._analyzers = [
            LocalSmartTurnAnalyzerV3(smart_turn_model_path=path, cpu_count=1) for path in paths
        ]
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completeness")
        self._judge(np.zeros(SAMPLE_RATE_HZ, np.int16))

    @classmethod
    def load(cls, settings: TurnSettings, models_folder: Path) -> CompletenessModel:
        """The networks that the settings ask for.

        Raises:
            ModelMissing: the second one is not on disk.
            CompletenessUnusable: it is there and cannot be used.
        """
        if not settings.second_opinion:
            return cls()
        path = locate(models_folder, settings.second_opinion)
        try:
            return cls(path)
        except Exception as error:  # onnxruntime raises types of its own
            reason = " ".join(str(error).split())
            raise CompletenessUnusable(f"{path}: cannot be used: {reason}") from error

    async def judge(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        """Probability that the speech in ``samples`` (16 kHz, the last 8 s count) is complete."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._judge, samples)

    def _judge(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        recent = samples[-LISTEN_SECONDS * SAMPLE_RATE_HZ :].astype(np.float32) / 32768
        # The public way in buffers by wall clock; here the audio itself is the clock.
        judged = together(
            [float(each._predict_endpoint(recent)["probability"]) for each in self._analyzers]
        )
        assert judged is not None  # noqa: S101 - there is one network at least
        return judged
