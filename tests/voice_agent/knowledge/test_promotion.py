from __future__ import annotations

import os
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildOptions, BuildReport, build_index
from voice_agent.knowledge.copying import copy_versions
from voice_agent.knowledge.diff import compare
from voice_agent.knowledge.errors import (
    IndexMissing,
    IndexUnreachable,
    IndexUnusable,
    NothingToRollBackTo,
    PromotionRefused,
    QuestionsUnusable,
)
from voice_agent.knowledge.journal import Entry, Journal, in_service, withdrawn
from voice_agent.knowledge.promotion import Decision, Promotion
from voice_agent.knowledge.question_set import QuestionSet, read_questions
from voice_agent.knowledge.server_store import ServerStore
from voice_agent.knowledge.versions import VersionStore

ANN = Decision("ann", "a test")
QUESTIONS = """
- {question: what does the sofa cost, document: sofas}
- {question: how much is a lamp, document: lamps}
- {question: do you sell cars, document: cars}
"""


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    (tmp_path / "documents").mkdir()
    (tmp_path / "questions.yaml").write_text(QUESTIONS)
    settings = KnowledgeSettings(
        documents=tmp_path / "documents",
        index=tmp_path / "index",
        questions=tmp_path / "questions.yaml",
        keep_versions=3,
    )
    write(settings, sofas="The sofa cost is $899.", lamps="A lamp is $39.", chairs="A chair is $9.")
    return settings


def write(settings: KnowledgeSettings, **texts: str) -> None:
    for name, text in texts.items():
        path = settings.documents / f"{name}.md"
        path.write_text(f"# {name.title()}\n\n{text}\n")


def build(settings: KnowledgeSettings, *, force: bool = False) -> BuildReport:
    options = BuildOptions(force=force, why="a test", who="ann")
    return build_index(settings, HashedEmbedder(), lambda *_: None, options=options)


def rebuild(settings: KnowledgeSettings, price: int, *, force: bool = False) -> str:
    write(settings, chairs=f"A chair is ${price}.")
    return build(settings, force=force).version


def test_a_build_that_loses_a_question_is_held_back_and_names_it(
    settings: KnowledgeSettings,
) -> None:
    first = build(settings)
    write(settings, lamps="They are bright things for the ceiling.", others="How much is a lamp?")
    for number in range(5):
        write(settings, **{f"more{number}": f"How much is a lamp of kind {number}?"})
    second = build(settings)
    assert (second.promoted, first.promoted) == (False, True)
    assert second.verdict is not None
    assert second.verdict.worse == ("how much is a lamp",)
    assert "how much is a lamp" in second.held_back
    assert VersionStore(settings.index).current() == first.version
    with pytest.raises(PromotionRefused, match=r"recall falls.*--force"):
        promotion(settings).promote(second.version, ANN)
    promotion(settings).promote(second.version, Decision("ann", "lamps are sold out", force=True))
    assert VersionStore(settings.index).current() == second.version
    last = Journal(settings.index).entries()[-1]
    assert (last.who, last.why, last.forced) == ("ann", "lamps are sold out", True)


def promotion(settings: KnowledgeSettings) -> Promotion:
    assert settings.questions is not None
    questions = QuestionSet(read_questions(settings.questions), HashedEmbedder())
    return Promotion(settings, None, questions)


def test_vanished_documents_hold_a_build_back(settings: KnowledgeSettings) -> None:
    first = build(settings)
    (settings.documents / "chairs.md").unlink()
    second = build(settings)
    assert not second.promoted
    assert "1 of 3 documents vanish: chairs" in second.held_back
    assert VersionStore(settings.index).current() == first.version
    assert build(settings).held_back == second.held_back
    assert build(settings, force=True).promoted


def test_a_fall_of_completeness_holds_a_build_back(settings: KnowledgeSettings) -> None:
    build(settings)
    for name in ("a", "b", "c"):
        write(settings, **{name: ""})
    write(settings, chairs="A chair is $10.")
    report = build(settings)
    assert "completeness falls from 100.0% to 50.0%" in report.held_back


def test_rolling_back_goes_to_the_version_before_and_on_to_the_one_before_that(
    settings: KnowledgeSettings,
) -> None:
    versions = [build(settings).version, rebuild(settings, 10), rebuild(settings, 11)]
    back = promotion(settings)
    assert back.previous() == versions[1]
    entry = back.rollback(Decision("ann", "wrong prices"))
    assert (entry.version, entry.previous) == (versions[1], versions[2])
    assert VersionStore(settings.index).current() == versions[1]
    assert back.rollback(ANN).version == versions[0]
    with pytest.raises(NothingToRollBackTo):
        back.rollback(ANN)
    assert VersionStore(settings.index).current() == versions[0]


def test_a_build_does_not_undo_a_rollback(settings: KnowledgeSettings) -> None:
    first = build(settings).version
    second = rebuild(settings, 10)
    promotion(settings).rollback(Decision("ann", "wrong prices"))
    report = build(settings)
    assert (report.version, report.promoted) == (second, False)
    assert "rolled back by ann: wrong prices" in report.held_back
    assert VersionStore(settings.index).current() == first
    third = rebuild(settings, 11)
    assert VersionStore(settings.index).current() == third
    promotion(settings).promote(second, Decision("ann", "was right", force=True))
    assert build(settings).promoted


def test_a_rollback_passes_over_what_cannot_answer(settings: KnowledgeSettings) -> None:
    first, second = build(settings).version, rebuild(settings, 10)
    rebuild(settings, 11)
    (settings.index / "versions" / second / "passages.jsonl").write_text("broken")
    with pytest.raises(NothingToRollBackTo):
        promotion(settings).rollback(ANN, embedder="another")
    assert promotion(settings).rollback(ANN, embedder="hashed").version == first


def test_a_rollback_waits_for_no_build(settings: KnowledgeSettings) -> None:
    first, second = build(settings).version, rebuild(settings, 10)
    versions = VersionStore(settings.index)
    with versions.building():
        assert promotion(settings).rollback(ANN).version == first
    assert second != first


def test_a_rollback_during_a_build_is_not_overtaken(settings: KnowledgeSettings) -> None:
    first, second = build(settings).version, rebuild(settings, 10)
    write(settings, chairs="A chair is $11.")

    def roll_back(reached: str) -> None:
        if reached == "indexed":
            promoting = Promotion(settings)
            judged = promoting.judge(versions.kept()[0].version)
            promoting.rollback(ANN)
            with pytest.raises(PromotionRefused, match="was, while it was compared"):
                Racing(settings, second).promote(versions.kept()[0].version, ANN, judged)

    class Racing(Promotion):
        """One that looked at what answers before the rollback."""

        def __init__(self, settings: KnowledgeSettings, saw: str) -> None:
            super().__init__(settings)
            seen = iter([saw])
            current = self._versions.current_or_none
            self._versions.current_or_none = lambda: next(seen, None) or current()  # type: ignore[method-assign]

    versions = VersionStore(settings.index)
    options = BuildOptions(promote=False, reached=roll_back)
    build_index(settings, HashedEmbedder(), lambda *_: None, options=options)
    assert versions.current() == first


def test_old_versions_go_but_never_those_that_are_needed(settings: KnowledgeSettings) -> None:
    made = [build(settings).version]
    Journal(settings.index).pin(made[0], "evidence")
    for price in range(10, 15):
        made.append(rebuild(settings, price))
        os.utime(settings.index / "versions" / made[-1] / "manifest.json", (price, price))
    kept = [version.version for version in VersionStore(settings.index).kept()]
    assert set(kept) == {made[0], made[-2], made[-1]}
    Journal(settings.index).pin(made[0], None)
    rebuild(settings, 15)
    assert len(VersionStore(settings.index).kept()) == 3


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_a_server_gets_what_is_kept_and_answers_and_forgets_as_here(
    settings: KnowledgeSettings,
) -> None:
    made = [build(settings).version, rebuild(settings, 10)]
    server = ServerStore(QdrantClient(":memory:"))
    copied = copy_versions(VersionStore(settings.index), server, True, lambda *_: None)
    assert (set(copied.versions), copied.current, copied.passages) == (set(made), made[1], 6)
    assert server.current() == made[1]
    (question,) = HashedEmbedder().embed(["what is the price of a chair"])
    for version, price in zip(made, ("$9.", "$10."), strict=True):
        found = server.search(version, "what is the price of a chair", question, 1)
        assert [passage.text for passage in found] == [f"A chair is {price}"]
    assert Promotion(settings, server).rollback(ANN).version == server.current() == made[0]
    server.drop(made[0])
    assert server.search(made[0], "chair", question, 1)
    server.drop(made[1])
    with pytest.raises(IndexUnreachable):
        server.search(made[1], "chair", question, 1)


def test_the_current_version_cannot_be_removed(settings: KnowledgeSettings) -> None:
    version = build(settings).version
    with pytest.raises(IndexUnusable, match="answers calls"):
        VersionStore(settings.index).remove(version)


def test_versions_are_found_by_their_first_digits(settings: KnowledgeSettings) -> None:
    store, version = VersionStore(settings.index), build(settings).version
    assert store.find(version[:4]) == store.find(version) == store.find("current") == version
    with pytest.raises(IndexMissing):
        store.find("zz")


def test_a_difference_names_what_was_added_removed_and_changed(
    settings: KnowledgeSettings,
) -> None:
    before = build(settings).version
    (settings.documents / "lamps.md").unlink()
    write(settings, sofas="The sofa cost is $799.", beds="A bed is $499.")
    after = build(settings, force=True).version
    found = compare(VersionStore(settings.index), before, after)
    assert found.documents_added == ("beds",)
    assert found.documents_removed == ("lamps",)
    assert found.documents_changed == ("sofas",)
    assert found.passages_changed == ("sofas#text",)
    assert (found.passages_added, found.passages_removed) == (("beds#text",), ("lamps#text",))
    assert found.made_otherwise == ()


def test_stored_questions_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "questions.yaml"
    assert read_questions(path) == ()
    path.write_text("- {question: no document}")
    with pytest.raises(QuestionsUnusable, match=r"questions\.yaml"):
        read_questions(path)


def test_a_follow_up_is_asked_with_the_question_before_it(tmp_path: Path) -> None:
    path = tmp_path / "questions.yaml"
    path.write_text(
        "- question: what does a sofa cost\n"
        "  document: sofas\n"
        "  follow_up: {question: and how long is it, document: sizes}\n"
    )
    first, second = read_questions(path)
    assert (first.question, first.document) == ("what does a sofa cost", "sofas")
    assert (second.question, second.document) == (
        "what does a sofa cost / and how long is it",
        "sizes",
    )
    assert "sofa" in second.query.text


def entry(action: str, version: str, previous: str = "") -> Entry:
    return Entry(0.0, action, version, previous, "ann", "prices")  # type: ignore[arg-type]


def test_what_one_can_roll_back_through() -> None:
    history = [entry("promote", v) for v in "ABC"]
    assert in_service(history) == ["A", "B", "C"]
    history.append(entry("rollback", "B", "C"))
    assert (in_service(history), withdrawn(history)) == (
        ["A", "B"],
        {"C": "rolled back by ann: prices"},
    )
    history.append(entry("promote", "C", "B"))
    assert (in_service(history), withdrawn(history)) == (["A", "B", "C"], {})
    history.append(entry("promote", "A", "C"))
    assert in_service(history) == ["B", "C", "A"]


def test_a_decision_after_one_that_was_cut_short_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(entry("promote", "A"))
    path = tmp_path / "promotions.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": 1, "act')
    journal.add(entry("promote", "B", "A"))
    assert [kept.version for kept in journal.entries()] == ["A", "B"]
