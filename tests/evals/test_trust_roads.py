"""The figures about roads: what counts as right, as doubt, as told out of scope."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.trust import out_of_scope
from evals.trust.out_of_scope import read_clinc, read_questions
from evals.trust.roads import Routed, measured, route
from tests.voice_agent.answering.small_roads import small_chooser
from voice_agent.answering.routed_requests import RequestsUnusable, RoutedRequest
from voice_agent.reply import Road, RoadChoice


def _routed(wanted: Road, choice: RoadChoice, ms: float = 1.0) -> Routed:
    return Routed(RoutedRequest("words", wanted), choice, ms)


def _chosen(road: Road, confidence: float = 0.9) -> RoadChoice:
    return RoadChoice(road, confidence, Road.CLARIFY, because="examples")


def test_doubt_is_neither_a_wrong_road_nor_hides_what_was_likeliest() -> None:
    doubt = RoadChoice(Road.CLARIFY, 0.6, Road.ANSWER, because="doubt")
    figures = measured(
        [
            _routed(Road.ANSWER, _chosen(Road.ANSWER)),
            _routed(Road.ANSWER, doubt),
            _routed(Road.PERSON, doubt),
            _routed(Road.ACTION, _chosen(Road.ANSWER), ms=9.0),
        ]
    ).figures
    assert figures["router_accuracy"] == 0.5
    assert figures["router_wrong_road_taken"] == 0.25
    assert figures["router_asked_back"] == 0.5
    assert figures["router_served_without_asking"] == pytest.approx(2 / 3)
    assert figures["router_p95_ms"] == 9.0


def test_greetings_that_rules_know_are_small_talk() -> None:
    figures = measured([_routed(Road.SMALL_TALK, RoadChoice(Road.HELLO))]).figures
    assert figures["router_accuracy"] == 1.0


def test_wrong_roads_are_named_in_the_notes() -> None:
    part = measured([_routed(Road.PERSON, _chosen(Road.SMALL_TALK))])
    assert any("person taken for small_talk: words" in note for note in part.notes)


def test_only_what_is_told_so_is_recognised_as_out_of_scope() -> None:
    outside = [
        _routed(Road.OUT_OF_SCOPE, _chosen(Road.OUT_OF_SCOPE)),
        _routed(Road.OUT_OF_SCOPE, RoadChoice(Road.CLARIFY, 0.5, Road.ANSWER, because="doubt")),
        _routed(Road.OUT_OF_SCOPE, _chosen(Road.ANSWER)),
        _routed(Road.OUT_OF_SCOPE, _chosen(Road.PERSON)),
    ]
    inside = [_routed(Road.ANSWER, _chosen(Road.ANSWER)) for _ in range(4)]
    mistaken = [*inside[:3], _routed(Road.ANSWER, _chosen(Road.OUT_OF_SCOPE))]
    figures = out_of_scope.measured(outside, [], inside, mistaken).figures
    assert figures["out_of_scope_recall"] == 0.25
    assert figures["out_of_scope_false"] == 0.25
    assert figures["out_of_scope_answered_unaided"] == 0.25


def test_requests_are_routed_with_what_was_said_before() -> None:
    after = (("How much is delivery of sofas?", "Fifty dollars."),)
    (routed,) = route(small_chooser(), [RoutedRequest("And that?", Road.ANSWER, after)])
    assert routed.choice.road is Road.ANSWER


def test_intents_that_a_shop_has_too_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "clinc.jsonl"
    rows = [("a", "oos"), ("b", "oil_change_how"), ("c", "order_status"), ("d", "greeting")]
    lines = (json.dumps({"text": text, "intent": intent}) for text, intent in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    none, other = read_clinc(path)
    assert [request.text for request in none] == ["a"]
    assert [request.text for request in other] == ["b"]


@pytest.mark.parametrize("content", [None, "no JSON", '{"text": "a"}', "[]"])
def test_material_that_is_not_there_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "clinc.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RequestsUnusable, match=r"clinc\.jsonl"):
        read_clinc(path)


def test_follow_ups_come_after_their_questions() -> None:
    requests = read_questions(Path("configs/knowledge_questions.yaml"))
    follow_ups = [request for request in requests if request.history]
    assert follow_ups
    assert all(request.road is Road.ANSWER for request in requests)
    assert read_questions(None) == []
