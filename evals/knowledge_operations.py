"""What running the knowledge costs: ``python -m evals.knowledge_operations [--passages 50000]``.

On a copy of the sample documents, with the real embedding model and the commands an operator uses:

* build: passages a second from source to index, and the most memory, for 1,000 passages and for
  as many as ``--passages`` says, made of the sample documents' sentences;
* freshness: seconds from saving a changed document to its being found, `knowledge watch` running
  as a process of its own and agents following as they do;
* rollback: seconds of `knowledge rollback`, and how many of the searches meanwhile failed;
* replay: how many of 100 recorded turns are identical after three rebuilds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from voice_agent.config import KnowledgeSettings, Settings, load
from voice_agent.knowledge.build import BuildOptions, build_index
from voice_agent.knowledge.evidence import evidence
from voice_agent.knowledge.index import Knowledge
from voice_agent.knowledge.parallel_embedder import ParallelEmbedder
from voice_agent.knowledge.query import make_query
from voice_agent.knowledge.question_set import read_questions
from voice_agent.knowledge.sources import Fetched, FetchResult, Unchanged, Validators
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.store import Records

_CHANGES = 5
_TURNS = 100
_SECTIONS = 5
_SENTENCES = 2
_PATIENCE_S = 120.0
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class MadeDocuments:
    """Documents of random sentences, made as they are fetched."""

    name = "made"

    def __init__(self, sentences: list[str], passages: int) -> None:
        self._sentences = sentences
        self._number = passages // _SECTIONS

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """All of them, or `Unchanged`."""
        for number in range(self._number):
            uri = f"{number:06}.md"
            if uri in known:
                yield Unchanged(uri)
                continue
            chance = random.Random(number)  # noqa: S311 - the same documents every time
            sections = (
                f"## Part {part}\n\n{' '.join(chance.sample(self._sentences, _SENTENCES))}\n"
                for part in range(_SECTIONS)
            )
            content = f"# Text {number}\n\n" + "\n".join(sections)
            yield Fetched(uri, content.encode(), "text/markdown", Validators(), time.time())


def measure_build(documents: Path, models: Path, passages: int) -> dict[str, Any]:
    """Build an index of so many passages in this process; run it in one of its own for memory."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(documents.glob("*.md"))]
    sentences = [
        sentence
        for text in texts
        for sentence in _SENTENCE.split(" ".join(text.split()))
        if 30 < len(sentence) < 250 and "#" not in sentence and "---" not in sentence
    ]
    with tempfile.TemporaryDirectory(prefix="knowledge-") as folder:
        settings = KnowledgeSettings(index=Path(folder), questions=None)
        source = MadeDocuments(sentences, passages)
        with ParallelEmbedder.load(settings, models, settings.build_threads) as embedder:
            report = build_index(settings, embedder, lambda *_: None, sources=[source])
            again = build_index(settings, embedder, lambda *_: None, sources=[source])
    return {
        "passages": report.passages,
        "passages_per_s": report.passages_per_s,
        "peak_mb": report.peak_mb,
        "seconds": report.seconds,
        "unchanged_rebuild_s": again.seconds,
    }


@contextmanager
def watcher(config: Path) -> Iterator[None]:
    """`knowledge watch` as a process of its own."""
    command = [sys.executable, "-m", "voice_agent", "knowledge", "watch", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def follow(knowledge: Knowledge) -> None:
    """Take promoted versions as an agent does."""
    while True:
        await asyncio.sleep(1.0)
        await knowledge.reload_if_changed()


async def measure_freshness(settings: Settings, config: Path) -> list[float]:
    """Seconds from each change to its being found."""
    path = settings.knowledge.documents / "delivery-parcels.md"
    text = path.read_text(encoding="utf-8")
    knowledge = Knowledge.open(settings.knowledge, settings.models.folder)
    following = asyncio.create_task(follow(knowledge))
    taken = []
    try:
        with watcher(config):
            for number in range(_CHANGES):
                price = f"${number + 5}.{number}7"
                path.write_text(text.replace("$4.95", price), encoding="utf-8")
                began = time.perf_counter()
                while time.perf_counter() - began < _PATIENCE_S:
                    found = await knowledge.search("how much does standard delivery cost")
                    if any(price in passage.text for passage in found.passages):
                        break
                    await asyncio.sleep(0.2)
                taken.append(round(time.perf_counter() - began, 1))
    finally:
        following.cancel()
        await asyncio.to_thread(knowledge.close)
        path.write_text(text, encoding="utf-8")
    return taken


async def measure_rollback(settings: Settings, config: Path) -> dict[str, Any]:
    """Time the command while a call keeps searching."""
    knowledge = Knowledge.open(settings.knowledge, settings.models.folder)
    following = asyncio.create_task(follow(knowledge))
    before, searches, failed = knowledge.version, 0, 0
    command = [sys.executable, "-m", "voice_agent", "knowledge", "rollback", "--json"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, "--config", str(config), stdout=asyncio.subprocess.PIPE
    )
    ended = asyncio.create_task(process.communicate())
    command_s = 0.0
    while not ended.done() or knowledge.version == before:
        found = await knowledge.search("how much does standard delivery cost")
        searches += 1
        failed += found.late or not found.passages
        if ended.done() and not command_s:
            command_s = time.perf_counter() - began
        if time.perf_counter() - began > _PATIENCE_S:
            break
        await asyncio.sleep(0.05)
    answers_s = time.perf_counter() - began
    following.cancel()
    await asyncio.to_thread(knowledge.close)
    return {
        "command_s": round(command_s or answers_s, 2),
        "answers_again_s": round(answers_s, 2),
        "rolled_back": process.returncode == 0 and knowledge.version != before,
        "searches_meanwhile": searches,
        "searches_failed": failed,
    }


async def record_turns(settings: Settings) -> None:
    """Search for the sample questions as turns do, and record what was found."""
    path = settings.knowledge.questions
    questions = [stored.question for stored in read_questions(path)] if path else []
    knowledge = Knowledge.open(settings.knowledge, settings.models.folder)
    records = Records.open(settings.records.path)
    for number in range(_TURNS):
        question = questions[number % len(questions)]
        history = [(questions[(number + 7) % len(questions)], "")] if number % 2 else []
        found = await knowledge.search(make_query(history, question))
        records.record_turn(
            TurnRecord(
                "measured", f"turn-{number:03}", number, time.time(), heard=question,
                retrieval=evidence(found),
            )
        )  # fmt: skip
    records.close()
    await asyncio.to_thread(knowledge.close)


def measure_replay(settings: Settings, config: Path) -> dict[str, Any]:
    """Record turns, rebuild three times, repeat the turns by command."""
    asyncio.run(record_turns(settings))
    for number in range(3):
        path = settings.knowledge.documents / "delivery-parcels.md"
        path.write_text(path.read_text(encoding="utf-8") + f"\nRebuild {number}.\n")
        build(settings, f"rebuild {number}")
    command = [sys.executable, "-m", "voice_agent", "knowledge", "replay", "--all", "--json"]
    done = subprocess.run(
        [*command, "--config", str(config)], capture_output=True, text=True, check=False
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return {"turns": found["turns"], "identical": found.get("identical", 0)}


def build(settings: Settings, why: str) -> None:
    """Build and promote, whatever the gate says."""
    with ParallelEmbedder.load(settings.knowledge, settings.models.folder, 1) as embedder:
        options = BuildOptions(force=True, why=why)
        build_index(settings.knowledge, embedder, lambda *_: None, options=options)


def _build_in_own_process(config: Path, passages: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "evals.knowledge_operations", "--config", str(config)]
    done = subprocess.run(
        [*command, "--only-build", str(passages)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(config: Path, passages: int) -> dict[str, Any]:
    """Everything, on a copy of the documents."""
    given = load(config)
    with tempfile.TemporaryDirectory(prefix="knowledge-") as folder:
        copied = Path(folder)
        shutil.copytree(given.knowledge.documents, copied / "documents")
        tree = {
            "models": {"folder": str(given.models.folder.absolute())},
            "records": {"path": str(copied / "records.sqlite")},
            "knowledge": {
                "documents": str(copied / "documents"),
                "index": str(copied / "index"),
                "deadline_ms": 5_000,
                "watch_s": 10,
            },
        }
        own = copied / "settings.yaml"
        own.write_text(yaml.safe_dump(tree), encoding="utf-8")
        settings = load(own)
        build(settings, "first")
        found: dict[str, Any] = {"changed_to_answerable_s": asyncio.run(
            measure_freshness(settings, own)
        )}  # fmt: skip
        build(settings, "as they were")
        found["rollback"] = asyncio.run(measure_rollback(settings, own))
        found["replay"] = measure_replay(settings, own)
        found["builds"] = [_build_in_own_process(config, number) for number in (1_000, passages)]
    return found


def main() -> int:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("configs/local.yaml"))
    parser.add_argument("--passages", type=int, default=10_000, help="of the larger build")
    parser.add_argument("--only-build", type=int, help="measure one build in this process")
    options = parser.parse_args()
    if options.only_build:
        settings = load(options.config)
        found = measure_build(
            settings.knowledge.documents, settings.models.folder, options.only_build
        )
    else:
        found = measure(options.config, options.passages)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
