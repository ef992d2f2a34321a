"""The gate's checks as a judge, against what people judged.

* Voice-agent conversations with people's ratings: is the agent faithful? It is when the rules find
  no value, parameter, policy or cost in it that nobody gave (``traces``).
* Pairs of answers to one question with a reference: which is the more correct? The one that is
  nearer to the reference in meaning.

Both are balanced accuracies; the figure is their mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.trust.part import Part, Tell, balanced_accuracy, confusion, counted
from evals.trust.run import NoMaterial
from evals.trust.traces import faults, usual_fees
from voice_agent.config import Settings
from voice_agent.knowledge.index import load_embedder
from voice_agent.safety.semantic import Nearness

CONVERSATIONS = Path("grounding/agent_faithfulness_human_labels.jsonl")
PAIRS = Path("grounding/ragchecker_human.jsonl")
FAITHFUL = 3
"""The best of a conversation's three ratings; the others name a fault."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers, and which the people preferred: below nought the first, above the second."""

    question: str
    reference: str
    answers: tuple[str, str]
    preferred: float


def run(data: Path, settings: Settings, tell: Tell) -> Part:
    """Measure both.

    Raises:
        NoMaterial: a file is not in the folder.
    """
    part = Part("judges")
    of_conversations = _judge_conversations(_lines(data / CONVERSATIONS), part)
    tell("judged the conversations")
    meanings = Nearness(load_embedder(settings.knowledge, settings.models.folder))
    try:
        of_pairs = _judge_pairs(read_pairs(data / PAIRS), meanings, part)
    finally:
        meanings.close()
    part.figures["judge_conversations_balanced_accuracy"] = of_conversations
    part.figures["judge_pairs_balanced_accuracy"] = of_pairs
    part.figures["judge_balanced_accuracy"] = (of_conversations + of_pairs) / 2
    return part


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise NoMaterial(f"{path}: there is no such file")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _judge_conversations(rows: Sequence[dict[str, Any]], part: Part) -> float:
    usual = usual_fees(row["trace"] for row in rows)
    pairs, kinds = [], []
    for row in rows:
        found = faults(row["trace"], usual)
        pairs.append((row["expected_rating"] == FAITHFUL, not found))
        kinds += sorted({fault.split(":")[0].split(" ")[0] for fault in found})
    named = {True: "faithful", False: "faulty"}
    part.tables.append(
        confusion("Conversations", [(named[true], named[judged]) for true, judged in pairs])
    )
    part.tables.append(
        counted("Conversations in which was found", {kind: kinds.count(kind) for kind in kinds})
    )
    part.notes.append(
        "The recordings leave out the agents' price list: fees that results name in more than one "
        "conversation stand in for it."
    )
    return balanced_accuracy(pairs)


def read_pairs(path: Path) -> list[Pair]:
    """Pairs that people preferred one answer of; several people's labels are averaged.

    Raises:
        NoMaterial: the file is not there.
    """
    by_pair: dict[tuple[str, str, str, str], list[float]] = {}
    for row in _lines(path):
        answers = (str(row["model1"]["response"]), str(row["model2"]["response"]))
        key = (str(row["query"]), str(row["gt_answer"]), *answers)
        by_pair.setdefault(key, []).append(float(row["correctness_label"]))
    pairs = [
        Pair(question, reference, (first, second), sum(labels) / len(labels))
        for (question, reference, first, second), labels in by_pair.items()
    ]
    return [pair for pair in pairs if pair.preferred]


def _judge_pairs(pairs: Iterable[Pair], meanings: Nearness, part: Part) -> float:
    judged = []
    for pair in pairs:
        scores = [agreement(pair, answer, meanings) for answer in pair.answers]
        judged.append((pair.preferred > 0, scores[1] > scores[0]))
    named = {True: "second", False: "first"}
    part.tables.append(
        confusion(
            "Answers preferred", [(named[true], named[preferred]) for true, preferred in judged]
        )
    )
    return balanced_accuracy(judged)


def agreement(pair: Pair, answer: str, meanings: Nearness) -> float:
    """How near an answer is to the reference in meaning. Taking both apart, sentence by sentence,
    and counting what follows from what, agreed with people less often (0.65 to 0.70)."""
    return meanings.likeness(pair.reference, answer)
