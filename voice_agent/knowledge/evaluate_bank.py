"""The documents that calls to a bank need (tau2-bench, banking knowledge).

A folder with ``documents/*.json`` and ``tasks.jsonl``. A task tells who the caller is, what he
wants and what he says; it names the documents that an agent needs to deal with it. Neither its
list of documents nor its expected actions are searched with, only what the caller is told.

Two readings of "found among the first 20" are measured. ``told``: the caller tells the whole
matter at once, one search gives 20 documents. ``turns``: he says one line after the other, every
turn is searched, and a document counts that any turn's 20 held; many more are seen in all.
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
) -> tuple[Collection, list[Question], list[Question]]:
    """The documents, the tasks as told at once, and the tasks turn by turn.

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
    told, turns = [], []
    for task in tasks:
        scenario = " ".join(task["user_scenario"]["instructions"].split())
        needed = frozenset(task["required_documents"])
        told.append(Question(task["id"], (make_query([], scenario),), needed))
        turns.append(Question(task["id"], _turns(scenario), needed))
    return Collection(tuple(passages), lambda passage: passage.document_id), told, turns


def _turns(scenario: str) -> tuple[Query, ...]:
    """One query for each thing the caller says, made as in a call."""
    said = _SAID.findall(scenario) or _SENTENCE_END.split(scenario)
    history: list[tuple[str, str]] = []
    queries = []
    for line in said:
        queries.append(make_query(history, line))
        history.append((line, ""))
    return tuple(queries)
