"""The turn engine, driven in audio time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.voice_agent.turns.line import LOUD_DB, PAUSE_MS, SETTINGS, Line, ask
from voice_agent.config import TurnSettings
from voice_agent.turns import events as e
from voice_agent.turns.engine import GIVE_UP_MS, HYSTERESIS
from voice_agent.turns.keypad import KEYS_END_MS


def test_a_complete_question_is_prepared_in_the_first_silence_and_committed_soon_after() -> None:
    line = Line()
    line.speak()
    assert line.of(e.BeginUtterance)
    line.silence(SETTINGS.speculate_ms + 20)
    assert len(line.of(e.ExaminePause)) == 1
    assert line.words("How much is delivery?") == [e.Speculate(1, "How much is delivery?")]
    assert not line.of(e.CommitReply)
    line.silence(SETTINGS.end_silence_ms)
    (commit,) = line.of(e.CommitReply)
    assert commit.reply == 1
    assert SETTINGS.end_silence_ms <= commit.silence_ms <= SETTINGS.end_silence_ms + 40


def test_an_unfinished_sentence_gets_the_longest_silence() -> None:
    line = Line()
    line.speak()
    line.silence(PAUSE_MS)
    line.words("I would like to know about the", completeness=0.9)
    line.silence(SETTINGS.max_silence_ms - 200)
    assert not line.of(e.CommitReply)
    line.silence(200)
    assert line.of(e.CommitReply)


def test_going_on_after_a_pause_drops_the_prepared_reply_and_makes_one_question() -> None:
    line = Line()
    line.speak()
    line.silence(PAUSE_MS)
    line.words("I want to return a sofa", completeness=0.4)
    line.speak(600)
    assert line.of(e.DropReply) == [e.DropReply(1)]
    line.silence(PAUSE_MS)
    line.words("I want to return a sofa that I bought in May.")
    line.silence(500)
    assert [commit.reply for commit in line.of(e.CommitReply)] == [2]


def test_words_of_an_earlier_pause_are_ignored() -> None:
    line = Line()
    line.speak()
    line.silence(PAUSE_MS)
    stale = line.of(e.ExaminePause)[-1].pause
    line.speak(400)
    assert line.tell(e.PauseTranscribed(stale, "half a")) == []


def test_speaking_on_before_hearing_the_reply_joins_both_parts() -> None:
    line = Line()
    first = ask(line, "What about delivery?")
    line.speak(500)
    assert e.DropReply(first) in line.decisions
    line.silence(PAUSE_MS)
    line.words("To Hawaii, I mean.")
    assert line.of(e.Speculate)[-1].text == "What about delivery? To Hawaii, I mean."


def test_voice_over_the_agent_stops_it_and_words_end_its_reply() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    line.silence(1000)
    decided = line.speak(SETTINGS.interrupt_ms + 40)
    assert any(isinstance(decision, e.StopAgent) for decision in decided)
    line.speak(400)
    line.tell(e.AgentHeard(False))
    line.silence(PAUSE_MS)
    line.words("No, I meant express delivery.")
    line.silence(500)
    kinds = [type(decision) for decision in line.decisions]
    assert kinds.index(e.EndInterruption) < len(kinds) - 1 - kinds[::-1].index(e.CommitReply)
    assert line.of(e.ResumeAgent) == []


def test_a_backchannel_lets_the_agent_go_on() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    line.speak(SETTINGS.interrupt_ms + 100)
    line.silence(PAUSE_MS)
    line.words("Mm-hm.")
    line.silence(500)
    assert len(line.of(e.ResumeAgent)) == 1
    assert len(line.of(e.CommitReply)) == 1


def test_yes_to_a_question_is_an_answer_even_before_its_last_word() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True, asking=True))
    line.speak(SETTINGS.interrupt_ms + 100)
    line.silence(PAUSE_MS)
    line.words("Yes.")
    line.silence(500)
    assert line.of(e.ResumeAgent) == []
    assert len(line.of(e.CommitReply)) == 2


def test_a_reply_that_is_never_heard_does_not_silence_the_call() -> None:
    line = Line()
    ask(line)
    line.silence(GIVE_UP_MS + round(SETTINGS.prompt_after_s * 1000) + 200)
    assert line.of(e.AskIfThere)


def test_a_noise_without_words_lets_the_agent_go_on() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    line.speak(SETTINGS.interrupt_ms + 100)
    line.silence(PAUSE_MS)
    line.words("")
    line.silence(500)
    assert len(line.of(e.ResumeAgent)) == 1


def test_a_sound_shorter_than_asked_for_does_not_stop_the_agent() -> None:
    line = Line(SETTINGS.model_copy(update={"interrupt_ms": 100}))
    ask(line)
    line.tell(e.AgentHeard(True))
    line.speak(80)
    line.silence(60)
    assert line.of(e.StopAgent) == []


def test_a_first_sound_that_may_be_a_voice_stops_the_agent_at_once() -> None:
    line = Line()
    ask(line)
    line.tell(e.AgentHeard(True))
    decided = line.pass_time(20, SETTINGS.voice_threshold - HYSTERESIS, LOUD_DB)
    assert [type(decision) for decision in decided] == [e.BeginUtterance, e.StopAgent]


def test_the_same_sound_is_no_utterance_while_the_agent_is_silent() -> None:
    line = Line()
    line.pass_time(200, SETTINGS.voice_threshold - HYSTERESIS, LOUD_DB)
    assert line.decisions == []


def test_okay_answers_the_agent_when_it_is_silent() -> None:
    line = Line()
    line.speak(300)
    line.silence(PAUSE_MS)
    line.words("Okay.")
    line.silence(500)
    assert len(line.of(e.CommitReply)) == 1


def test_a_silent_caller_is_asked_twice_then_the_call_ends() -> None:
    line = Line()
    line.silence(round(SETTINGS.prompt_after_s * 1000) * 3 + 200)
    kinds = [type(decision) for decision in line.decisions]
    assert kinds == [e.AskIfThere, e.AskIfThere, e.SayGoodbye]


def test_a_caller_who_waits_for_a_person_is_not_asked_whether_they_are_there() -> None:
    line = Line()
    line.tell(e.PersonRung(True))
    line.silence(60_000)
    assert line.decisions == []
    line.tell(e.LineChanged(True))
    line.silence(round(SETTINGS.prompt_after_s * 1000) + 100)
    assert line.of(e.AskIfThere)


def test_speaking_starts_the_count_of_silent_prompts_anew() -> None:
    line = Line()
    line.silence(round(SETTINGS.prompt_after_s * 1000) + 100)
    reply = ask(line)
    line.tell(e.AgentHeard(True))
    line.tell(e.AgentHeard(False))
    line.tell(e.ReplyOver(reply))
    line.silence(round(SETTINGS.prompt_after_s * 1000) + 100)
    assert [prompt.times for prompt in line.of(e.AskIfThere)] == [0, 0]


def test_a_caller_who_never_pauses_is_answered_at_the_limit() -> None:
    line = Line(TurnSettings(max_utterance_s=5))
    line.speak(5200)
    line.words("I have been talking for a long time", completeness=0.1)
    line.speak(100)
    assert line.of(e.CommitReply)


def test_keys_end_with_hash_or_a_pause() -> None:
    line = Line()
    for digit in "42#":
        line.tell(e.KeyPressed(line.now_ms, digit))
    line.tell(e.KeyPressed(line.now_ms, "0"))
    line.silence(KEYS_END_MS + 100)
    assert [keys.digits for keys in line.of(e.TakeKeys)] == ["42", "0"]


def test_nothing_is_decided_while_a_person_has_the_caller() -> None:
    line = Line()
    line.tell(e.LineChanged(False))
    line.speak()
    line.silence(20_000)
    assert line.decisions == []
    line.tell(e.LineChanged(True))
    assert ask(line)


events_strategy = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.integers(1, 60)),
        st.tuples(st.just("silence"), st.integers(1, 100)),
        st.tuples(
            st.just("words"), st.sampled_from(["", "mm-hm", "what is the", "how much is it?"])
        ),
        st.tuples(st.just("interim"), st.sampled_from(["how much is", "how much is it"])),
        st.tuples(st.just("audible"), st.booleans()),
        st.tuples(st.just("over"), st.just(0)),
        st.tuples(st.just("line"), st.booleans()),
        st.tuples(st.just("key"), st.sampled_from("0123#")),
    ),
    max_size=60,
)


@given(events_strategy)
def test_in_any_order_of_events_the_promises_hold(steps: list[tuple[str, object]]) -> None:
    line = Line()
    for kind, value in steps:
        match kind, value:
            case "speak", int(steps_20_ms):
                line.speak(steps_20_ms * 20)
            case "silence", int(steps_20_ms):
                line.silence(steps_20_ms * 20)
            case "words", str(text) if line.of(e.ExaminePause):
                line.words(text)
            case "interim", str(text):
                line.tell(e.InterimHeard(text))
            case "audible", bool(audible):
                line.tell(e.AgentHeard(audible))
            case "over", _:
                commits = line.of(e.CommitReply)
                if commits:
                    line.tell(e.ReplyOver(commits[-1].reply))
            case "line", bool(ours):
                line.tell(e.LineChanged(ours))
            case "key", str(digit):
                line.tell(e.KeyPressed(line.now_ms, digit))
    speculated = [d.reply for d in line.of(e.Speculate)]
    committed = [d.reply for d in line.of(e.CommitReply)]
    assert len(set(speculated)) == len(speculated), "a reply number is used once"
    assert len(set(committed)) == len(committed), "a turn is answered once"
    assert set(committed) <= set(speculated), "only what was prepared is committed"
    dropped: set[int] = set()
    alive: int | None = None
    stopped = False
    for decision in line.decisions:
        match decision:
            case e.Speculate(reply):
                assert alive is None, "one speculation at a time"
                alive = reply
            case e.DropReply(reply):
                dropped.add(reply)
                alive = None if alive == reply else alive
            case e.CommitReply(reply):
                assert reply not in dropped, "nothing dropped is heard"
                alive = None
            case e.StopAgent():
                assert not stopped, "stopped once"
                stopped = True
            case e.ResumeAgent() | e.EndInterruption():
                stopped = False


@given(events_strategy)
def test_every_utterance_ends(steps: list[tuple[str, object]]) -> None:
    line = Line()
    for kind, value in steps:
        if kind == "speak" and isinstance(value, int):
            line.speak(value * 20)
        elif kind == "silence" and isinstance(value, int):
            line.silence(value * 20)
    line.silence(200)
    if line.of(e.ExaminePause):
        line.words("how much is it?")
    line.silence(SETTINGS.max_silence_ms + 200)
    begun, ended = len(line.of(e.BeginUtterance)), len(line.of(e.CommitReply))
    assert bool(begun) == bool(ended)
