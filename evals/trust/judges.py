"""The gate's checks as a judge, against what people judged.

* Voice-agent conversations with people's ratings: is the agent faithful? It is when the rules find
  no value, parameter, policy or cost in it that nobody gave (``traces``).
* Pairs of answers to one question with a reference: which is the more correct? The one that is
  nearer to the reference in meaning.

Both are balanced accuracies; the figure is their mean. With a model the pairs are judged by the
language model where it says that one answer follows from the reference and the other does not, and
by meaning where it does not tell them apart; conversations are longer than what a small one can
read, and stay with the rules.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.trust.model_answers import model_answers
from evals.trust.part import Part, Tell, balanced_accuracy, confusion, counted
from evals.trust.run import NoMaterial
from evals.trust.traces import faults, usual_fees
from voice_agent.config import Settings
from voice_agent.knowledge.index import load_embedder
from voice_agent.safety.claims import sentences
from voice_agent.safety.semantic import Nearness, judge_messages, says_yes

CONVERSATIONS = Path("grounding/agent_faithfulness_human_labels.jsonl")
PAIRS = Path("grounding/ragchecker_human.jsonl")
JUDGE_TOKENS, MODEL_PAIRS = 4, 40
"""A small machine reads a pair in half a minute; ``VOICE_AGENT_EVAL_PAIRS`` says another number."""
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
    pairs = read_pairs(data / PAIRS)
    meanings = Nearness(load_embedder(settings.knowledge, settings.models.folder))
    try:
        near = {each: _agreements(each, meanings) for each in pairs}
    finally:
        meanings.close()
    read = pairs[: int(os.environ.get("VOICE_AGENT_EVAL_PAIRS", MODEL_PAIRS))]
    verdicts = _model_verdicts(read, settings, tell)
    apart = {each: said for each, said in verdicts.items() if said[0] != said[1]}
    of_pairs = _judge_pairs(near, part, "Answers preferred")
    both = {each: apart.get(each, near[each]) for each in read}
    with_model = _judge_pairs(both, part, f"The first {len(read)} of them, with a model")
    rightly = [preferred is judged for preferred, judged in _judged(apart)]
    part.notes.append(
        f"of {len(read)} pairs the model told {len(apart)} apart, {sum(rightly)} as people did; "
        f"by meaning alone {balanced_accuracy(_judged({each: near[each] for each in read})):.3f} "
        "of these pairs are judged rightly (balanced accuracy)"
    )
    part.figures["judge_conversations_balanced_accuracy"] = of_conversations
    part.figures["judge_pairs_balanced_accuracy"] = of_pairs
    part.figures["judge_pairs_with_model_balanced_accuracy"] = with_model
    part.figures["judge_balanced_accuracy"] = (of_conversations + of_pairs) / 2
    part.figures["judge_with_model_balanced_accuracy"] = (of_conversations + with_model) / 2
    return part


def _model_verdicts(
    pairs: Sequence[Pair], settings: Settings, tell: Tell
) -> dict[Pair, tuple[float, float]]:
    """1 for each answer of a pair that follows from the reference, as the language model says."""
    asked = {
        f"{number}.{which}": judge_messages(answer, sentences(pair.reference))
        for number, pair in enumerate(pairs)
        for which, answer in enumerate(pair.answers)
    }
    said = model_answers(settings, asked, tell, max_tokens=JUDGE_TOKENS)
    return {
        pair: (float(says_yes(said[f"{number}.0"])), float(says_yes(said[f"{number}.1"])))
        for number, pair in enumerate(pairs)
    }


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


def _judge_pairs(scores: Mapping[Pair, tuple[float, float]], part: Part, title: str) -> float:
    judged = _judged(scores)
    named = {True: "second", False: "first"}
    part.tables.append(
        confusion(title, [(named[true], named[preferred]) for true, preferred in judged])
    )
    return balanced_accuracy(judged)


def _judged(scores: Mapping[Pair, tuple[float, float]]) -> list[tuple[bool, bool]]:
    """Whether the second answer is the better one: (people, the scores)."""
    return [(pair.preferred > 0, two > one) for pair, (one, two) in scores.items()]


def _agreements(pair: Pair, meanings: Nearness) -> tuple[float, float]:
    first, second = (agreement(pair, answer, meanings) for answer in pair.answers)
    return first, second


def agreement(pair: Pair, answer: str, meanings: Nearness) -> float:
    """How near an answer is to the reference in meaning. Taking both apart, sentence by sentence,
    and counting what follows from what, agreed with people less often (0.65 to 0.70)."""
    return meanings.likeness(pair.reference, answer)
