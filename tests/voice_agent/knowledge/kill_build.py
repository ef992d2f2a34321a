"""Builds an index and kills itself, without any warning, when a state is reached.

Arguments: documents, index, the state, how often it is reached before.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildOptions, build_index


def main() -> None:
    documents, index, state, times = sys.argv[1:]
    left = int(times)

    def kill(reached: str) -> None:
        nonlocal left
        if reached == state:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = KnowledgeSettings(documents=Path(documents), index=Path(index), questions=None)
    options = BuildOptions(force=True, why="test", reached=kill)
    build_index(settings, HashedEmbedder(), lambda *_: None, options=options)


main()
