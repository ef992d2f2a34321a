"""What is said with a caller who cannot have a person now: a call-back, a message, or the agent."""

from __future__ import annotations

import pytest

from voice_agent.handoff import phrases
from voice_agent.handoff.talk import Effect, Phase, Said, Talk, TalkRules, number_in

KNOWN = TalkRules(caller_number="07421234567")
UNKNOWN = TalkRules()


def offered(rules: TalkRules) -> Talk:
    return rules.failed(Talk(), "busy", ("call_back",))[0]


def hear(rules: TalkRules, talk: Talk, *all_words: str) -> Said:
    said: Said | None = None
    for words in all_words:
        said = rules.hear(talk, words)
        assert said is not None, words
        talk = said.talk
    assert said is not None
    return said


def test_a_known_number_is_read_out_with_the_offer_and_one_yes_keeps_it() -> None:
    talk, text = KNOWN.failed(Talk(), "busy", ("call_back",))
    assert text == f"{phrases.NOBODY_FREE} Shall we call you back at 0 7 4, 2 1 2, 3 4, 5 6 7?" or (
        "0 7 4, 2 1 2, 3 4 5, 6 7" in text
    )
    said = hear(KNOWN, talk, "Yes, please.")
    assert (said.effect, said.talk.number) == (Effect.KEEP, "07421234567")


@pytest.mark.parametrize("words", ["yes but wait", "I think so", "what is that?", "hmm"])
def test_what_is_no_clear_yes_promises_nothing(words: str) -> None:
    said = KNOWN.hear(offered(KNOWN), words)
    assert said is None or said.effect is None


def test_another_number_is_read_back_before_it_counts() -> None:
    said = hear(KNOWN, offered(KNOWN), "No, on another number please")
    assert (said.text, said.talk.phase) == (phrases.WHICH_NUMBER, Phase.ASKED_NUMBER)
    said = hear(KNOWN, said.talk, "oh one six one, four nine six, double zero seven eight")
    assert said.effect is None
    assert said.talk.number == "01614960078"
    assert hear(KNOWN, said.talk, "That's right.").effect is Effect.KEEP


def test_a_number_misheard_is_asked_for_again_then_keyed_then_a_message_is_offered() -> None:
    said = hear(UNKNOWN, offered(UNKNOWN), "Yes")
    assert said.text == phrases.WHICH_NUMBER
    said = hear(UNKNOWN, said.talk, "mumble mumble")
    said = hear(UNKNOWN, said.talk, "mumble")
    assert said.text == phrases.NUMBER_AGAIN
    keyed = UNKNOWN.hear(said.talk, "(keys)", "07421234567")
    assert keyed is not None
    assert keyed.text == phrases.is_it("07421234567")
    said = hear(UNKNOWN, said.talk, "mumble")
    assert said.text == f"{phrases.NO_NUMBER} {phrases.LEAVE_MESSAGE}"


def test_a_wrong_number_read_back_is_not_kept() -> None:
    said = hear(UNKNOWN, offered(UNKNOWN), "Yes", "0742 123 4567", "No, that's wrong")
    assert (said.effect, said.talk.number) == (None, "")
    assert said.talk.phase is Phase.ASKED_NUMBER


def test_who_wants_no_call_back_may_leave_a_message() -> None:
    said = hear(KNOWN, offered(KNOWN), "No thanks")
    assert said.text == f"All right. {phrases.LEAVE_MESSAGE}"
    assert hear(KNOWN, said.talk, "Yes").effect is Effect.RECORD
    assert hear(KNOWN, said.talk, "No").text == phrases.NO_NEED


def test_a_question_is_for_the_rest_of_the_agent() -> None:
    assert KNOWN.hear(offered(KNOWN), "How much does standard delivery cost then?") is None
    assert KNOWN.hear(Talk(), "Yes please") is None


def test_while_waiting_the_caller_can_stay_leave_or_be_called_back() -> None:
    talk, text = KNOWN.waiting(Talk(), 1, 20.0, ("call_back",))
    assert text.startswith("You are next in the queue. It should take less than a minute.")
    assert hear(KNOWN, talk, "I'll wait").text == phrases.STILL_WAITING
    assert hear(KNOWN, talk, "Forget it").effect is Effect.WITHDRAW
    assert hear(KNOWN, talk, "Just call me back", "Yes").effect is Effect.KEEP
    assert hear(KNOWN, talk, "Can I leave a message?").effect is Effect.RECORD
    again, text = KNOWN.waiting(talk, 1, None, ("call_back",))
    assert text == phrases.NEXT_IN_LINE, "what else there is, is said once"
    assert again.waiting


def test_a_number_that_may_not_be_rung_is_asked_for_anew() -> None:
    talk, text = KNOWN.refused(Talk(number="19005550100", call_back=True), "number_not_allowed")
    assert text == f"{phrases.NUMBER_REFUSED} {phrases.WHICH_NUMBER}"
    assert talk.phase is Phase.ASKED_NUMBER
    talk, text = KNOWN.refused(talk, "not_kept")
    assert text.endswith(phrases.LEAVE_MESSAGE)


@pytest.mark.parametrize(
    ("reason", "begins"),
    [
        ("closed", phrases.CLOSED),
        ("queue_full", phrases.TOO_MANY_WAIT),
        ("declined", phrases.NOBODY_FREE),
        ("unreachable", phrases.NOT_REACHED),
        ("anything new", phrases.NOT_REACHED),
    ],
)
def test_why_nobody_can_be_had_is_said(reason: str, begins: str) -> None:
    assert UNKNOWN.failed(Talk(), reason, ())[1].startswith(begins)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("It's 0742 123 4567.", "07421234567"),
        ("oh seven four two one two three four five six seven", "07421234567"),
        ("plus four four seven four two one two three four five six seven", "+447421234567"),
        ("my order is A1042", ""),
        ("call me at five", ""),
        ("12345678901234567890", ""),
    ],
)
def test_a_number_is_heard_in_words_and_in_groups(words: str, number: str) -> None:
    assert number_in(words) == number
