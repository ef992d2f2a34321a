from __future__ import annotations

import pytest

from voice_agent.config import KnowledgeGateSettings
from voice_agent.knowledge.gate import Facts, judge

RULES = KnowledgeGateSettings()
TEN = frozenset(f"d{n}" for n in range(10))
ASKED = frozenset({"price?", "delivery?"})
BEFORE = Facts("v1", TEN, 0, ASKED, ASKED)


def test_the_first_version_passes() -> None:
    assert judge(None, Facts("v1", frozenset({"d"}), refused=9), RULES).passed


def test_a_version_as_good_passes() -> None:
    verdict = judge(BEFORE, Facts("v2", TEN | {"new"}, 0, ASKED, ASKED), RULES)
    assert (verdict.passed, verdict.recall_before, verdict.recall_after) == (True, 1.0, 1.0)


def test_a_fall_of_recall_names_the_questions_that_got_worse() -> None:
    verdict = judge(BEFORE, Facts("v2", TEN, 0, ASKED, frozenset({"price?"})), RULES)
    assert not verdict.passed
    assert verdict.worse == ("delivery?",)
    assert verdict.reasons == ("recall falls from 1.000 to 0.500; no longer found: “delivery?”",)


def test_one_question_better_and_one_worse_passes_and_names_both() -> None:
    before = Facts("v1", TEN, 0, ASKED, frozenset({"price?"}))
    verdict = judge(before, Facts("v2", TEN, 0, ASKED, frozenset({"delivery?"})), RULES)
    assert (verdict.passed, verdict.worse, verdict.better) == (True, ("price?",), ("delivery?",))


def test_a_question_whose_document_vanishes_counts_as_lost() -> None:
    after = Facts("v2", TEN - {"d1"}, 0, frozenset({"price?"}), frozenset({"price?"}))
    assert judge(BEFORE, after, RULES).worse == ("delivery?",)


def test_some_recall_may_be_given_up_by_setting() -> None:
    rules = KnowledgeGateSettings(recall_fall=0.5)
    assert judge(BEFORE, Facts("v2", TEN, 0, ASKED, frozenset({"price?"})), rules).passed


@pytest.mark.parametrize(("gone", "passes"), [(1, True), (2, False)])
def test_documents_may_not_vanish_beyond_a_share(gone: int, passes: bool) -> None:
    left = frozenset(sorted(TEN)[gone:])
    verdict = judge(BEFORE, Facts("v2", left, 0, ASKED, ASKED), RULES)
    assert verdict.passed == passes
    assert verdict.vanished == tuple(sorted(TEN)[:gone])
    if not passes:
        assert verdict.reasons == ("2 of 10 documents vanish: d0, d1",)


def test_completeness_may_not_drop() -> None:
    before = Facts("v1", TEN, refused=1)
    assert judge(before, Facts("v2", TEN, refused=1), RULES).passed
    verdict = judge(before, Facts("v2", TEN, refused=4), RULES)
    assert verdict.reasons == (
        "completeness falls from 90.9% to 71.4%: 4 documents are refused, 1 were",
    )


def test_what_was_taken_out_of_service_does_not_come_back_by_itself() -> None:
    verdict = judge(BEFORE, Facts("v2", TEN, 0, ASKED, ASKED), RULES, "rolled back by ann: prices")
    assert verdict.reasons == ("it was taken out of service: rolled back by ann: prices",)
