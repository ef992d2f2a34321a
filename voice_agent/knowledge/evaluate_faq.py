"""Spoken questions about the entries of frequently asked questions (DSTC10 track 2, task 2).

A folder with ``knowledge.json``, the entries of hotels, restaurants and the like, and
``dialogues.jsonl``, conversations as a recogniser heard them, with the one entry that answers the
last turn. Each entry is a passage of its subject's document: the name is the title, the question
the heading. Only the recogniser's first guess is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voice_agent.knowledge.evaluate import Collection, Question, data_file
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import make_query

_CALLER = "U"


def read_spoken_faq(folder: Path) -> tuple[Collection, list[Question]]:
    """The entries, and the questions that one of them answers.

    Raises:
        OSError, ValueError, KeyError: the folder does not hold these files.
    """
    subjects = json.loads(data_file(folder, "knowledge.json").read_text(encoding="utf-8"))
    passages = tuple(
        Passage(
            passage_id=f"{domain}/{subject_id}/{entry_id}",
            document_id=f"{domain}/{subject_id}",
            title=subject["name"] or domain,
            heading=entry["title"],
            text=entry["body"],
            source=domain,
        )
        for domain, of_domain in subjects.items()
        for subject_id, subject in of_domain.items()
        for entry_id, entry in subject["docs"].items()
    )
    lines = data_file(folder, "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    dialogues = [json.loads(line) for line in lines]
    asked = [_question(each) for each in dialogues if each["label"]["target"]]
    return Collection(passages, lambda passage: passage.passage_id), asked


def _question(dialogue: dict[str, Any]) -> Question:
    *before, last = dialogue["log"]
    history: list[tuple[str, str]] = []
    for turn in before:
        if turn["speaker"] == _CALLER:
            history.append((turn["text"], ""))
        elif history and not history[-1][1]:
            history[-1] = (history[-1][0], turn["text"])
        else:
            history.append(("", turn["text"]))
    needed = frozenset(
        f"{each['domain']}/{each['entity_id']}/{each['doc_id']}"
        for each in dialogue["label"]["knowledge"]
    )
    return Question(
        f"{dialogue['id']}: {last['text']}", (make_query(history, last["text"]),), needed
    )
