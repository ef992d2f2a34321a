from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import Settings
from voice_agent.knowledge.commands_evaluate import evaluate
from voice_agent.knowledge.evaluate import Collection, Evaluated, Question, recall
from voice_agent.knowledge.evaluate_bank import read_bank
from voice_agent.knowledge.evaluate_faq import read_spoken_faq
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query

ENTRIES = {
    "inn": {
        "1": {
            "name": "Blue Heron Inn",
            "docs": {
                "0": {"title": "Are pets allowed?", "body": "Pets may stay."},
                "1": {"title": "Is there a pool?", "body": "There is a pool."},
            },
        },
        "2": {"name": "Grey Goose Lodge", "docs": {"0": {"title": "A pool?", "body": "No pool."}}},
    },
    "taxi": {"*": {"name": None, "docs": {"0": {"title": "Payment?", "body": "Cash."}}}},
}
DIALOGUES = [
    {
        "id": 1,
        "log": [
            {"speaker": "U", "text": "i need a room"},
            {"speaker": "S", "text": "there is the blue heron inn"},
            {"speaker": "U", "text": "is there a pool"},
        ],
        "label": {
            "target": True,
            "knowledge": [{"domain": "inn", "entity_id": 1, "doc_id": 1}],
        },
    },
    {"id": 2, "log": [{"speaker": "U", "text": "bye"}], "label": {"target": False}},
]


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    (tmp_path / "knowledge.json").write_text(json.dumps(ENTRIES))
    (tmp_path / "dialogues.jsonl").write_text("\n".join(map(json.dumps, DIALOGUES)))
    return tmp_path


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    for name, title in (("cards", "Lost cards"), ("loans", "Loans")):
        kept = {"id": name, "title": title, "content": f"## How\n\n{title} are dealt with here."}
        (tmp_path / "documents" / f"{name}.json").write_text(json.dumps(kept))
    task = {
        "id": "t1",
        "user_scenario": {
            "instructions": 'You lost a card. Say: "I have lost my card." Then: "And now a loan?"'
        },
        "required_documents": ["cards"],
    }
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    return tmp_path


def test_recall_counts_what_is_needed_among_the_first() -> None:
    listed = ["a", "b", "c"]
    questions = [
        Question("both", (Query("x"),), frozenset({"a", "c"})),
        Question("none", (Query("y"),), frozenset({"z"})),
    ]
    measured = recall(lambda _query, most: listed[:most], questions, depths=(1, 2, 3))
    assert measured.found == {1: 0.25, 2: 0.25, 3: 0.5}
    assert measured.missed == ["both", "none"]
    assert (measured.asked, measured.seen) == (2, 3.0)


def test_a_question_of_several_turns_has_what_any_of_them_found() -> None:
    found = {"first": ["a"], "second": ["b"]}
    question = Question("turns", (Query("first"), Query("second")), frozenset({"a", "b"}))
    measured = recall(lambda query, _most: found[query.text], [question], depths=(1,))
    assert measured.found == {1: 1.0}
    assert len(measured.search_ms) == 2


def test_nothing_asked_is_no_error() -> None:
    assert recall(lambda _query, _most: [], []).as_json()["recall_at_5"] == 0.0


def test_spoken_questions_keep_what_was_said_before_and_the_entry_that_answers(faq: Path) -> None:
    collection, questions = read_spoken_faq(faq)
    assert [each.title for each in collection.passages][-1] == "taxi"
    (question,) = questions
    assert question.needed == {"inn/1/1"}
    assert question.queries[0].context == ("i need a room", "there is the blue heron inn")
    evaluated = Evaluated(collection, HashedEmbedder(), 0.0)
    assert evaluated.ids(question.queries[0], 1) == ["inn/1/1"]
    evaluated.close()


def test_a_bank_task_is_searched_with_what_the_caller_is_told_and_says(bank: Path) -> None:
    collection, ways = read_bank(bank, lambda text: len(text.split()))
    told, turns, sentences = ways["told"], ways["turns"], ways["sentences"]
    assert {each.document_id for each in collection.passages} == {"cards", "loans"}
    assert told[0].needed == turns[0].needed == {"cards"}
    assert told[0].queries[0].text.startswith("You lost a card.")
    assert turns[0].queries[0].text == "I have lost my card."
    assert len(turns[0].queries) == 2
    assert sentences[0].queries[0].text == "You lost a card."


def test_several_passages_of_a_document_take_one_place() -> None:
    passages = tuple(Passage(f"d#{n}", "d", "Lamps", "", f"lamp {n}", "d") for n in range(5))
    collection = Collection((*passages, Passage("e#0", "e", "Sofas", "", "sofa", "e")), _document)
    evaluated = Evaluated(collection, HashedEmbedder(), -1.0)
    assert evaluated.ids(Query("lamp"), 2) == ["d", "e"]


def _document(passage: Passage) -> str:
    return passage.document_id


def test_data_that_is_not_there_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "voice_agent.knowledge.commands_evaluate.load_embedder", lambda *_: HashedEmbedder()
    )
    assert evaluate(Settings(), tmp_path / "no", None, None, as_json=True) == 1
    assert "no/knowledge.json: not there" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_figures_have_the_names_that_are_looked_up(
    faq: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "voice_agent.knowledge.commands_evaluate.load_embedder", lambda *_: HashedEmbedder()
    )
    assert evaluate(Settings(), faq, None, None, as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["spoken_faq"]["recall_at_5"] == 1.0
    assert figures["spoken_faq"]["entries"] == 4
    assert figures["machine"]["cores"] >= 1
    assert evaluate(Settings(), faq, None, None, as_json=False) == 0
    assert "recall" in capsys.readouterr().out


def test_ranks_are_those_of_the_list_that_has_it_first() -> None:
    lists = {"x": ["a", "b", "c"], "y": ["c", "a"]}
    question = Question("q", (Query("x"), Query("y")), frozenset({"b", "c", "z"}))
    measured = recall(lambda query, _: lists[query.text], [question], depths=(1,), deepest=3)
    assert measured.ranks == [2, 1, 0]
    assert measured.within((1, 2)) == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3)}
    assert measured.found == {1: pytest.approx(1 / 3)}
    assert measured.seen == 2
