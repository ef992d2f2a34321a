"""The fair opponent: the pipeline a competent engineer assembles from pipecat's own parts.

``python -m evals.latency.stock_pipecat --config FILE`` serves the media stream at ``media.host``
and ``media.port`` of the settings, in place of ``voice-agent agent``: ``GET /readyz`` is 200 once
everything is loaded and warm, ``GET /calls/ID`` tells what was said. ``stock`` runs it behind a
gateway of its own, for a measurement to ring.

What is pipecat 1.14's own, at its defaults, wired as the bot template of its command line wires it:

===============  =================================================================================
voice activity   ``SileroVADAnalyzer()``: confidence 0.7, start 0.2 s, stop 0.2 s, volume 0.6
turns            ``UserTurnStrategies()``: a turn starts with voice or words and interrupts the
                 agent; it ends when smart-turn v3 says so and the final transcript is there
speech to text   ``WhisperSTTService``: faster-whisper's ``transcribe`` with its 30 s window, beam 5
                 and thread count, on the segment between two VAD events
context          ``LLMContextAggregatorPair``; the system prompt as ``system_instruction``
language model   ``OpenAILLMService`` at the OpenAI protocol's address
text to speech   ``PiperTTSService`` in its own process' memory, sentence by sentence, resampled
                 by pipecat's default stream resampler (its HTTP sibling imports Piper as well)
transport        what ``FastAPIWebsocketTransport`` does, 40 ms chunks at the pace of speech, on
                 aiohttp's socket; the serializer sends ``clear`` on an interruption
worker           ``PipelineWorker`` with metrics on, as in the template
===============  =================================================================================

What is the product's, so that only the pipeline differs: the same Whisper, Piper and language
model files and arithmetic (int8 on the CPU by default), the same llama.cpp server with the same
options, temperature and longest answer, the same system prompt and greeting, the same knowledge
index, number of passages, query (``make_query``) and shape of the question (``ask``), the same
gateway.

What goes beyond the template, each in the opponent's favour:

* Models are loaded and used once before the first call and shared by all calls; the template loads
  them anew for every call, which holds up the greeting by seconds.
* Silero and smart-turn, which every call has for itself, are loaded in a thread.
* The language model has read the system prompt and the greeting before the first call, in every
  slot of its server.
* ``developer`` messages become ``user`` ones, as pipecat's Ollama service has it: llama.cpp does
  not know that role.
* Debug logs are off.

What is left as it comes, because a default is what is being measured: one VAD segment is one
transcription, the volume gate of the VAD, sentence-wise synthesis, no speculation (pipecat's eager
strategies need a streaming recogniser that predicts the end of a turn).

The opponent has processes of its own (gateway, language model, agent) and shares nothing with the
product but the machine: on one language-model server the two would evict each other's cached
prompts. An idle stack costs memory only. With ``answering.model.serve: false`` both use the server
at ``answering.model.url``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evals.rig import Rig, rig
from voice_agent.config import Settings, load
from voice_agent.errors import code_of
from voice_agent.records import logs

MODULE = "evals.latency.stock_pipecat"


@contextmanager
def stock(settings: Settings, folder: Path, report: Callable[[str], None]) -> Iterator[Rig]:
    """The product with the stock pipeline in its agent's place, on free ports of its own.

    Args:
        settings: as for the product; ports and folders are derived from them.
        folder: for the settings file, logs and recordings; another one than the product's.
        report: told of progress.

    Raises:
        ServeError: something does not start.
    """
    with rig(settings, folder, report, agent=(MODULE,)) as running:
        yield running


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--config", type=Path, required=True, help="settings file")
    config = parser.parse_args(arguments).config
    try:
        settings = load(config)
        logs.configure(settings.logging)
        # Piper is GPL-3.0: imported by this process alone, never by what measures it
        from evals.latency.stock_server import serve

        asyncio.run(serve(settings))
    except Exception as error:
        if not code_of(error):
            raise
        print(f"stock pipecat: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
