"""Does the router take the right road, is its confidence true, and is it quick enough?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.trust.part import Part, Table, Tell, confusion, percentile, share
from voice_agent.answering.calibration import calibration_error, reliability
from voice_agent.answering.road_chooser import Asked, RoadChooser
from voice_agent.answering.road_examples import ROADS
from voice_agent.answering.roads import UNAIDED
from voice_agent.answering.routed_requests import RoutedRequest, read_requests
from voice_agent.config import Settings
from voice_agent.knowledge.index import load_embedder
from voice_agent.reply import Road, RoadChoice

HELD_OUT = Path("evals/trust/roads_held_out.yaml")


@dataclass(frozen=True, slots=True)
class Routed:
    """What the router made of a request."""

    request: RoutedRequest
    choice: RoadChoice
    ms: float
    cpu_ms: float = 0.0

    @property
    def likeliest(self) -> Road:
        """The road it held the likeliest, also when it asked back in doubt."""
        doubted = self.choice.because == "doubt" and self.choice.runner_up is not None
        return self.choice.runner_up if doubted and self.choice.runner_up else _road(self.choice)


def open_chooser(settings: Settings) -> RoadChooser:
    """The router's engine as an agent loads it, without a memory of vectors."""
    embedder = load_embedder(settings.knowledge, settings.models.folder)
    return RoadChooser.open(settings.answering.roads, embedder, settings.knowledge.index)


def route(chooser: RoadChooser, requests: Sequence[RoutedRequest]) -> list[Routed]:
    """Route each request as a call does, and take the time."""
    routed = []
    for request in requests:
        last = request.history[-1][1] if request.history else ""
        asked = Asked(request.text, request.history, last)
        began, worked = time.perf_counter(), time.process_time()
        choice = chooser.ruled(asked) or chooser.compared(asked)
        took_s, worked_s = time.perf_counter() - began, time.process_time() - worked
        routed.append(Routed(request, choice, took_s * 1000, worked_s * 1000))
    return routed


def run(data: Path, settings: Settings, tell: Tell) -> Part:  # noqa: ARG001 - needs no material
    """Measure over the held-out requests, which come with the project."""
    chooser = open_chooser(settings)
    routed = route(chooser, read_requests(HELD_OUT))
    chooser.close()
    return measured(routed)


def measured(routed: Sequence[Routed]) -> Part:
    """The figures of routed requests.

    ``router_accuracy`` counts the road held the likeliest; ``router_wrong_road_taken`` what was
    acted on wrongly, ``router_asked_back`` requests in doubt: those were asked about, or offered
    a person, and count in neither.
    """
    part = Part("roads")
    right = [each.likeliest is each.request.road for each in routed]
    doubted = [each for each in routed if each.choice.because == "doubt"]
    acted = [each for each in routed if each.choice.because != "doubt"]
    wrong = [each for each in acted if _road(each.choice) is not each.request.road]
    compared = [each for each in routed if each.choice.because in ("examples", "doubt")]
    bins = reliability(
        [each.choice.confidence for each in compared],
        [each.likeliest is each.request.road for each in compared],
    )
    served = [each for each in routed if each.request.road in UNAIDED]
    part.figures = {
        "router_accuracy": share(sum(right), len(right)),
        "router_wrong_road_taken": share(len(wrong), len(routed)),
        "router_asked_back": share(len(doubted), len(routed)),
        "router_served_without_asking": share(
            sum(_road(each.choice) in UNAIDED for each in served), len(served)
        ),
        "router_calibration_error": calibration_error(bins),
        "router_p50_ms": percentile([each.ms for each in routed], 50),
        "router_p95_ms": percentile([each.ms for each in routed], 95),
        "router_cpu_p95_ms": percentile([each.cpu_ms for each in routed], 95),
    }
    pairs = [(each.request.road.value, each.likeliest.value) for each in routed]
    part.tables = [
        confusion("Road held the likeliest", pairs, [road.value for road in ROADS]),
        Table(
            "Confidence and truth",
            ("confidence", "choices", "right"),
            tuple((f"{b.confidence:.2f}", b.choices, b.right) for b in bins),
        ),
    ]
    part.notes = [
        f"{len(routed)} held-out requests; {len(doubted)} in doubt were asked about",
        *(
            f"{each.request.road.value} taken for {_road(each.choice).value}: {each.request.text}"
            for each in wrong
        ),
    ]
    return part


def _road(choice: RoadChoice) -> Road:
    """Hello, thanks and the like, which rules know, are small talk; unclear words are asked
    about."""
    return _KINDS.get(choice.road, choice.road)


_KINDS = {
    Road.HELLO: Road.SMALL_TALK,
    Road.THANKS: Road.SMALL_TALK,
    Road.GOODBYE: Road.SMALL_TALK,
    Road.REPEAT: Road.SMALL_TALK,
    Road.UNCLEAR: Road.CLARIFY,
}
