"""What is spoken of a model's answer, and what instead."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.voice_agent.passages import passage
from voice_agent.answering.answerable import answerability
from voice_agent.answering.extract import extract
from voice_agent.answering.grounded_answer import Decision, GroundedAnswer, Step
from voice_agent.safety.evidence import Evidence, Statement, evidence_of

PASSAGES = [
    passage(
        "price",
        "Standard delivery costs $4.95 and takes three to five business days. Standard delivery "
        "is free when the order is $50 or more.",
    ),
    passage("hours", "The phone line opens at 8 a.m. on weekdays."),
]
ASKED = "How much does standard delivery cost?"


class Unsure:
    """Compares meanings; never in time."""

    async def prepare(self, evidence: Evidence) -> None:
        pass

    async def measure(self, sentence: str, evidence: Evidence) -> tuple[float, ...]:
        raise RuntimeError("the engine broke")


class Denies:
    """A model that lets nothing through."""

    async def follows(self, sentence: str, statements: Sequence[Statement]) -> bool | None:
        return False


async def decide(*clauses: str, question: str = ASKED) -> list[Decision]:
    answer = await GroundedAnswer.prepare(question, PASSAGES)
    return [await answer.take(clause) for clause in clauses]


async def test_what_follows_is_spoken_with_its_passage() -> None:
    (decided,) = await decide("Standard delivery costs $4.95.")
    assert (decided.step, decided.source_ids) == (Step.SPEAK, ("price",))


async def test_the_passage_is_quoted_for_a_wrong_beginning() -> None:
    (decided,) = await decide("Standard delivery costs $9.95.")
    assert decided.step is Step.QUOTE
    assert decided.text.startswith("Standard delivery costs $4.95")
    assert decided.reason == "unknown_money"


async def test_a_later_wrong_sentence_becomes_the_passages_own() -> None:
    _, second = await decide("Standard delivery costs $4.95.", "Standard delivery is free.")
    assert second.step is Step.REPAIR
    assert second.text == "Standard delivery is free when the order is $50 or more."


async def test_a_later_invention_ends_the_answer() -> None:
    _, second = await decide("Standard delivery costs $4.95.", "Drivers wear green hats.")
    assert second.step is Step.END


async def test_a_condition_may_come_with_the_next_clause() -> None:
    first, second = await decide("Standard delivery is free", "when the order is $50 or more.")
    assert (first.step, second.step) == (Step.SPEAK, Step.SPEAK)


async def test_a_model_that_declines_is_believed_when_no_passage_fits() -> None:
    (decided,) = await decide("I don't have that information.", question="Who won the match?")
    assert decided.step is Step.DECLINE


async def test_a_model_that_declines_though_a_passage_fits_is_not() -> None:
    (decided,) = await decide("I don't have that information.")
    assert decided.step is Step.QUOTE


async def test_an_engine_that_breaks_leaves_the_words_to_decide() -> None:
    answer = await GroundedAnswer.prepare(ASKED, PASSAGES, meanings=Unsure())
    assert answer.quote is not None
    assert (await answer.take("Standard delivery costs $4.95.")).step is Step.SPEAK


async def test_a_judging_model_may_take_back_but_not_allow() -> None:
    answer = await GroundedAnswer.prepare(ASKED, PASSAGES, model=Denies())
    spoken = await answer.take("The standard delivery costs $4.95 and takes 3 to 5 business days.")
    assert (spoken.step, spoken.reason) == (Step.QUOTE, "model_denies")


@pytest.mark.parametrize("question", ["Who won the football match?", "Do you sell garden gnomes?"])
def test_passages_that_say_nothing_of_it_do_not_answer(question: str) -> None:
    assert not answerability(question, evidence_of(PASSAGES, "")).answered


def test_nothing_answers_nothing() -> None:
    assert not answerability("", evidence_of((), "")).answered
    assert extract("", []) is None


def test_the_kind_of_value_asked_for_chooses_the_sentence() -> None:
    both = [passage("a", "Express delivery costs $12.95. Express delivery takes one day.")]
    price = extract("How much is express delivery?", both)
    time = extract("How long does express delivery take?", both)
    assert price is not None
    assert price.text.startswith("Express delivery costs")
    assert time is not None
    assert time.text.startswith("Express delivery takes")


@pytest.mark.parametrize("question", ["What does error E8 in mean?", "It shows F24."])
async def test_the_meaning_of_another_code_is_no_answer(question: str) -> None:
    errors = [passage("e24", "Error E24 on a dishwasher means that the drain is blocked.")]
    answer = await GroundedAnswer.prepare(question, errors, read=errors)
    decided = await answer.take("Error E24 on a dishwasher means that the drain is blocked.")
    assert (answer.quote, decided.step, decided.reason) == (None, Step.DECLINE, "code_unknown")


async def test_the_code_of_an_earlier_turn_counts_until_another_is_named() -> None:
    errors = [
        passage("e24", "Error E24 means that the drain is blocked. Clean the filter."),
        passage("e18", "Error E18 means that water does not drain. Clean the pump."),
    ]
    before = "What does error E18 mean?"
    goes_on = await GroundedAnswer.prepare(
        "And what must I clean?", errors, asked=f"{before} And what must I clean?"
    )
    other = await GroundedAnswer.prepare("And E24?", errors, asked=f"{before} And E24?")
    assert goes_on.quote is not None
    assert other.quote is not None
    assert (goes_on.quote.passage, other.quote.passage) == (errors[1], errors[0])
