"""Are requests recognised that are nothing for this company's agent? CLINC150 supplies them.

Its sentences of no intent are the out-of-scope requests; the held-out requests of all other roads
and the questions about the sample knowledge say how often something in scope is taken for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from evals.trust.part import Part, Tell, confusion, counted, share
from evals.trust.roads import HELD_OUT, Routed, open_chooser, route
from voice_agent.answering.routed_requests import RequestsUnusable, RoutedRequest, read_requests
from voice_agent.config import Settings
from voice_agent.reply import Road

CLINC = Path("intent/clinc150.jsonl")
OUT_OF_SCOPE = "oos"
SHARED_INTENTS = frozenset(
    "greeting goodbye thank_you yes no maybe cancel repeat order order_status what_can_i_ask_you "
    "are_you_a_bot what_is_your_name who_made_you how_old_are_you where_are_you_from tell_joke "
    "what_are_your_hobbies do_you_have_pets meaning_of_life fun_fact who_do_you_work_for "
    "user_name change_user_name change_ai_name shopping_list change_language card_declined "
    "pay_bill report_fraud account_blocked schedule_maintenance last_maintenance text".split()
)
"""Intents that a shop's callers have as well, or that are small talk."""


def run(data: Path, settings: Settings, tell: Tell) -> Part:
    """Measure over CLINC150's sentences.

    Raises:
        RequestsUnusable: they are not in the folder.
    """
    chooser = open_chooser(settings)
    none, other = read_clinc(data / CLINC)
    outside = route(chooser, none)
    tell(f"{len(outside)} requests of no intent routed")
    foreign = route(chooser, other)
    inside = [r for r in read_requests(HELD_OUT) if r.road is not Road.OUT_OF_SCOPE]
    asked = route(chooser, inside)
    about = route(chooser, read_questions(settings.knowledge.questions))
    chooser.close()
    return measured(outside, foreign, asked, about)


def measured(
    outside: Sequence[Routed],
    foreign: Sequence[Routed],
    asked: Sequence[Routed],
    about: Sequence[Routed],
) -> Part:
    """The figures: ``out_of_scope_false`` is the worse of the two sorts in scope."""
    part = Part("out_of_scope")
    part.figures = {
        "out_of_scope_recall": _told(outside),
        "out_of_scope_false": max(_told(asked), _told(about)),
        "out_of_scope_recall_other_intents": _told(foreign),
        "out_of_scope_answered_unaided": share(
            sum(r.choice.road in (Road.ANSWER, Road.VERIFIED, Road.ACTION) for r in outside),
            len(outside),
        ),
    }
    pairs = [
        ("out of scope" if r.request.road is Road.OUT_OF_SCOPE else "in scope", _judged(r))
        for r in (*outside, *asked, *about)
    ]
    part.tables = [
        confusion("Told that it is out of scope", pairs),
        counted("Roads of requests of no intent", Counter(r.choice.road.value for r in outside)),
    ]
    part.notes = [
        f"{len(outside)} requests of no intent, {len(foreign)} of other intents, "
        f"{len(asked)} held-out requests in scope ({_told(asked):.1%} told so), "
        f"{len(about)} questions about the documents ({_told(about):.1%} told so)"
    ]
    return part


def _told(routed: Sequence[Routed]) -> float:
    return share(sum(r.choice.road is Road.OUT_OF_SCOPE for r in routed), len(routed))


def _judged(routed: Routed) -> str:
    return "out of scope" if routed.choice.road is Road.OUT_OF_SCOPE else "in scope"


def read_clinc(path: Path) -> tuple[list[RoutedRequest], list[RoutedRequest]]:
    """Sentences of no intent, and those of intents that no shop's caller has.

    Raises:
        RequestsUnusable: the file is not there, or not CLINC150's.
    """
    none, other = [], []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            request = RoutedRequest(row["text"], Road.OUT_OF_SCOPE)
            if row["intent"] == OUT_OF_SCOPE:
                none.append(request)
            elif row["intent"] not in SHARED_INTENTS:
                other.append(request)
    except OSError as error:
        raise RequestsUnusable(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RequestsUnusable(f"{path}: is not CLINC150 as lines of JSON") from error
    return none, other


def read_questions(path: Path | None) -> list[RoutedRequest]:
    """The questions about the sample documents, and their follow-ups."""
    if path is None:
        return []
    requests = []
    for row in yaml.safe_load(path.read_text(encoding="utf-8")):
        requests.append(RoutedRequest(row["question"], Road.ANSWER))
        if follow_up := row.get("follow_up"):
            after = ((row["question"], ""),)
            requests.append(RoutedRequest(follow_up["question"], Road.ANSWER, after))
    return requests
