"""The documents and questions in ``configs/`` are consistent with each other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.passages import Passage, cut_into_passages
from voice_agent.knowledge.sources.reading import read_documents

CONFIGS = Path(__file__).parents[3] / "configs"
WORD_LIMIT = 75


@cache
def documents() -> list[Document]:
    found, refused = read_documents(CONFIGS / "knowledge")
    assert refused == []
    return found


@cache
def passages() -> list[Passage]:
    return [
        passage
        for document in documents()
        for passage in cut_into_passages(document, lambda text: len(text.split()))
    ]


def questions() -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = yaml.safe_load(
        (CONFIGS / "knowledge_questions.yaml").read_text(encoding="utf-8")
    )
    return asked + [entry["follow_up"] for entry in asked if "follow_up" in entry]


def test_there_are_enough_documents_and_questions() -> None:
    assert len(documents()) >= 30
    assert len(questions()) >= 40


def test_each_document_is_named_like_its_file() -> None:
    assert all(document.source == f"{document.document_id}.md" for document in documents())


def test_every_section_is_one_short_passage() -> None:
    for passage in passages():
        assert 20 <= len(passage.text.split()) <= WORD_LIMIT, passage.passage_id
        assert passage.heading, passage.passage_id
        assert not re.search(r"[*_#|<>\[\]]|https?:", passage.text), passage.passage_id


def test_each_answer_stands_whole_in_one_passage_of_its_document() -> None:
    for entry in questions():
        assert any(
            passage.document_id == entry["document"]
            and all(words in passage.text for words in entry["must_say"])
            for passage in passages()
        ), entry["question"]


def test_each_document_answers_a_question() -> None:
    asked = {entry["document"] for entry in questions()}
    assert asked == {document.document_id for document in documents()}
