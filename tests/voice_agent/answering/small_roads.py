"""A few examples of each road, for tests that need no model."""

from __future__ import annotations

from pathlib import Path

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.answering.calibration import Calibration
from voice_agent.answering.road_chooser import RoadChooser
from voice_agent.answering.road_examples import Roads
from voice_agent.config import RoadSettings

SMALL_ROADS = Roads.model_validate(
    {
        "roads": {
            "verified": [
                {
                    "name": "gas",
                    "says": "Leave the house and call 911 from outside.",
                    "asked": ["I smell gas", "gas leak"],
                }
            ],
            "answer": [
                {"name": "documents", "asked": ["How much is delivery?", "warranty on sofas"]}
            ],
            "action": [
                {"name": "order_status", "asked": ["Track order status", "status of my order"]},
                {"name": "refund", "asked": ["Refund money back", "start a refund"]},
            ],
            "small_talk": [{"name": "robot", "says": "I am.", "asked": ["robot or machine"]}],
            "clarify": [
                {"name": "problem", "says": "What is it about?", "asked": ["a problem question"]}
            ],
            "person": [
                {"name": "upset", "says": "I'm sorry.", "asked": ["terrible awful angry"]},
                {
                    "name": "legal",
                    "says": "That is for a person.",
                    "asked": ["court case rights"],
                    "words": ["my lawyer", "sue you"],
                },
            ],
            "out_of_scope": [
                {"name": "other", "says": "I can't help with that.", "asked": ["weather football"]}
            ],
        }
    }
)


def small_chooser(
    embedder: HashedEmbedder | None = None,
    calibration: Calibration | None = None,
    index: Path | None = None,
    **settings: float,
) -> RoadChooser:
    """A router's engine that counts words instead of embedding them; as sure as it can be."""
    return RoadChooser(
        RoadSettings.model_validate(settings),
        SMALL_ROADS,
        calibration or Calibration(sharpness=60.0),
        embedder or HashedEmbedder(),
        index,
    )
