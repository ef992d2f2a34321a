"""How long a search takes inside a turn, by the size of the index.

    python -m evals.latency.retrieval [--local-mode] [--json]

Indexes of 1,000, 10,000 and 50,000 passages are made up, kept on disk as a build keeps them and
opened as the agent opens them; calls of five turns are searched through ``Knowledge.search``, with
the real embedding model. What a passage says and where its vector points make no difference to the
time, so both are drawn at random, always the same. ``--local-mode`` measures Qdrant's local mode
beside it, which is what the embedded engine is there instead of.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient
from rich.console import Console
from rich.table import Table

from evals.machine import describe
from voice_agent.config import KnowledgeSettings, Settings
from voice_agent.knowledge.embedder import DIMENSIONS, Embedder, Vectors
from voice_agent.knowledge.index import Knowledge, load_embedder
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import make_query
from voice_agent.knowledge.server_store import ServerStore
from voice_agent.knowledge.versions import VersionStore

SIZES = (1_000, 10_000, 50_000)
REACH_MS = 25.0
"""What the 95th of a hundred searches may take."""
CALLS = 40
TURNS_A_CALL = 5
_PASSAGES_A_TITLE = 15
_WORDS_A_PASSAGE = 45
_BEGINNINGS = "b br c ch cl d dr f fl g gr h j k l m n p pl qu r s sh st t tr v w y z".split()
_ENDINGS = "a al an ar e ea ed el en er i in is it o on oo or ow u um un ur us y".split()
_PATIENT_MS = 60_000
_VOCABULARY = 20_000
_VERSION = "0" * 16


@dataclass(frozen=True, slots=True)
class Timed:
    """Searches of one index, in milliseconds; `open_s` is how long opening it took."""

    engine: str
    passages: int
    searches: int
    p50_ms: float
    p95_ms: float
    slowest_ms: float
    open_s: float
    took_ms: tuple[float, ...] = ()
    """Every search."""


def made_up(passages: int, chance: random.Random) -> Iterator[Passage]:
    """Passages of made-up words, which are as unevenly frequent as words are, and made-up names."""
    words = [
        "".join(
            chance.choice(_BEGINNINGS) + chance.choice(_ENDINGS)
            for _ in range(1 + chance.randrange(3))
        )
        for _ in range(_VOCABULARY)
    ]
    frequency = [1 / (rank + 3) for rank in range(len(words))]
    title = ""
    for number in range(passages):
        if number % _PASSAGES_A_TITLE == 0:
            title = " ".join(chance.choices(words, k=2)).title()
        text = " ".join(chance.choices(words, frequency, k=_WORDS_A_PASSAGE))
        heading = " ".join(text.split()[:6])
        document = f"d{number // _PASSAGES_A_TITLE}"
        yield Passage(f"{document}#{number}", document, title, heading, text, f"{document}.md")


def vectors(passages: int) -> Vectors:
    """Random directions."""
    drawn = np.random.default_rng(1).standard_normal((passages, DIMENSIONS), dtype=np.float32)
    unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def calls(passages: tuple[Passage, ...], chance: random.Random) -> Iterator[list[tuple[str, str]]]:
    """Conversations about the passages, as (what the caller said, what the agent said)."""
    for _ in range(CALLS):
        about = chance.choice(passages)
        yield [
            (
                f"and what about {' '.join(chance.choices(about.text.split(), k=7))}",
                f"At {about.title} that is {' '.join(chance.choices(about.text.split(), k=12))}.",
            )
            for _ in range(TURNS_A_CALL)
        ]


async def time_index(
    size: int, embedder: Embedder, settings: Settings, local_mode: bool = False
) -> Timed:
    """Make an index of this size and search it."""
    chance = random.Random(size)  # noqa: S311 - made-up text, no secret
    passages = tuple(made_up(size, chance))
    with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
        kept = settings.knowledge.model_copy(
            update={"index": Path(folder), "deadline_ms": _PATIENT_MS, "server_url": None}
        )
        versions = VersionStore(kept.index)
        with versions.building():
            versions.write(_VERSION, passages, vectors(size), {"embedder": embedder.identity})
            versions.promote(_VERSION)
        started = time.perf_counter()
        server = ServerStore(QdrantClient(":memory:")) if local_mode else None
        if server is not None:
            server.fill(versions.read(_VERSION))
            server.promote(_VERSION)
        knowledge = Knowledge(kept, embedder, server)
        opened = time.perf_counter() - started
        try:
            took = await _search(knowledge, kept, list(calls(passages, chance)))
        finally:
            knowledge.close()
    p50, p95 = np.percentile(took, [50, 95])
    engine = "Qdrant local mode" if local_mode else "embedded"
    return Timed(
        engine=engine,
        passages=size,
        searches=len(took),
        p50_ms=round(float(p50), 1),
        p95_ms=round(float(p95), 1),
        slowest_ms=round(max(took), 1),
        open_s=round(opened, 2),
        took_ms=tuple(took),
    )


async def _search(
    knowledge: Knowledge, settings: KnowledgeSettings, conversations: list[list[tuple[str, str]]]
) -> list[float]:
    took = []
    for number, turns in enumerate(conversations):
        for at, (question, _) in enumerate(turns):
            found = await knowledge.search(make_query(turns[:at], question), settings.passages)
            if number:  # the first call warms up
                took.append(found.took_ms)
    return took


def show(timed: list[Timed]) -> None:
    """A table, and whether the largest index is quick enough."""
    table = Table("engine", "passages", "p50 ms", "p95 ms", "slowest ms", "opened in s")
    for row in timed:
        table.add_row(
            row.engine,
            f"{row.passages:,}",
            *(f"{each:.1f}" for each in (row.p50_ms, row.p95_ms, row.slowest_ms, row.open_s)),
        )
    console = Console(highlight=False)
    console.print(table)
    for row in timed:
        if row.p95_ms > REACH_MS:
            console.print(
                f"{row.engine} is past {REACH_MS:.0f} ms at {row.passages:,} passages; "
                "beyond its line, set knowledge.server_url and run `voice-agent knowledge copy`"
            )


def main() -> int:
    """Measure and print; 0 when the embedded engine is quick enough at every size."""
    parser = argparse.ArgumentParser(description="Time searches by the size of the index.")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--local-mode", action="store_true", help="Qdrant's local mode as well")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = Settings()
    embedder = load_embedder(settings.knowledge, settings.models.folder)
    ways = (False, True) if arguments.local_mode else (False,)
    timed = [
        asyncio.run(time_index(size, embedder, settings, local_mode))
        for local_mode in ways
        for size in arguments.sizes
    ]
    if arguments.json:
        rows = [asdict(row) for row in timed]
        print(json.dumps({"retrieval": rows, "machine": describe(settings)}, indent=2))
    else:
        show(timed)
    slow = [row for row in timed if row.engine == "embedded" and row.p95_ms > REACH_MS]
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
