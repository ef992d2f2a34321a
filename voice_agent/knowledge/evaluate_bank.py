"""The documents that calls to a bank need (tau2-bench, banking knowledge).

A folder with ``documents/*.json`` and ``tasks.jsonl``. A task tells who the caller is, what he
wants and what he says; it names the documents that an agent needs to deal with it. Neither its
list of documents nor its expected actions are searched with, only what the caller is told.

A task's documents are looked for in three ways. ``told``: the caller tells the whole matter at
once, one search gives 20 documents. ``turns``: he says one line after the other, every turn is
searched, and a document counts that any turn's 20 held; many more are seen in all. ``sentences``:
every sentence of the matter is searched by itself, which shows what could be found by someone who
knew which of them to ask with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.evaluate import Collection, Question, data_file
from voice_agent.knowledge.passages import Passage, cut_into_passages
from voice_agent.knowledge.query import Query, make_query

_SAID = re.compile(r"[\"“]([^\"“”]{15,})[\"”]")  # what a task lets the caller say word by word
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def read_bank(
    folder: Path, count_tokens: Callable[[str], int]
) -> tuple[Collection, dict[str, list[Question]]]:
    """The documents, and the tasks in each of the three ways.

    Raises:
        OSError, ValueError, KeyError: the folder does not hold these files.
    """
    passages: list[Passage] = []
    for path in sorted(data_file(folder, "documents").glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        document = Document(
            document_id=kept["id"],
            title=kept["title"],
            source=path.name,
            text=kept["content"],
            markdown=True,
            digest="",
        )
        passages.extend(cut_into_passages(document, count_tokens))
    lines = data_file(folder, "tasks.jsonl").read_text(encoding="utf-8").splitlines()
    tasks = [json.loads(line) for line in lines]
    ways: dict[str, list[Question]] = {"told": [], "turns": [], "sentences": []}
    for task in tasks:
        scenario = " ".join(task["user_scenario"]["instructions"].split())
        needed = frozenset(task["required_documents"])
        queries = {
            "told": (make_query([], scenario),),
            "turns": _turns(scenario),
            "sentences": tuple(make_query([], each) for each in _SENTENCE_END.split(scenario)),
        }
        for way, asked in queries.items():
            ways[way].append(Question(task["id"], asked, needed))
    return Collection(tuple(passages), lambda passage: passage.document_id), ways


def _turns(scenario: str) -> tuple[Query, ...]:
    """One query for each thing the caller says, made as in a call."""
    said = _SAID.findall(scenario) or _SENTENCE_END.split(scenario)
    history: list[tuple[str, str]] = []
    queries = []
    for line in said:
        queries.append(make_query(history, line))
        history.append((line, ""))
    return tuple(queries)
