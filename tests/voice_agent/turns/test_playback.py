"""Which words were heard, and from which word a reply goes on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.reply import Clause, Reply
from voice_agent.turns.playback import BYTES_PER_MS, Playback


def reply_of(*clauses: tuple[str, int]) -> Reply:
    reply = Reply(1, "turn", "question")
    reply.clauses = [
        Clause(text, audio=bytes(ms * BYTES_PER_MS), complete=True) for text, ms in clauses
    ]
    reply.written = True
    return reply


def send_all(playback: Playback) -> int:
    total = 0
    while audio := playback.next_audio():
        total += len(audio)
    return total // BYTES_PER_MS


def test_all_audio_is_sent_once_in_order() -> None:
    playback = Playback(reply_of(("One two.", 1000), ("Three four.", 800)), line_ms=500)
    assert send_all(playback) == 1800
    assert playback.line_ms == 2300
    assert playback.all_sent


def test_a_clause_still_being_synthesised_is_sent_piece_by_piece() -> None:
    reply = reply_of(("One two three.", 500))
    reply.clauses[0].complete = False
    playback = Playback(reply, 0)
    assert send_all(playback) == 500
    assert not playback.all_sent
    reply.clauses[0].audio += bytes(300 * BYTES_PER_MS)
    reply.clauses[0].complete = True
    assert send_all(playback) == 300
    assert playback.all_sent


def test_heard_words_follow_what_was_played() -> None:
    playback = Playback(reply_of(("One two three four.", 2000), ("Five six.", 1000)), 1000)
    send_all(playback)
    assert playback.heard(1000) == ""
    assert playback.heard(2000) in ("One two", "One two three")
    assert playback.heard(3000) == "One two three four."
    assert playback.heard(4000) == "One two three four. Five six."


def test_after_a_stop_the_reply_goes_on_from_the_word_it_stopped_at() -> None:
    playback = Playback(reply_of(("One two three four.", 2000), ("Five six.", 1000)), 0)
    send_all(playback)
    before = playback.heard(900)
    playback.rewind(900)
    rest_ms = send_all(playback)
    assert 2100 <= rest_ms < 3000, "some of the interrupted word is said again, the past is not"
    assert playback.heard(900) == before
    assert playback.heard(900 + rest_ms) == "One two three four. Five six."


def test_a_stop_between_clauses_goes_on_with_the_next() -> None:
    playback = Playback(reply_of(("One two.", 1000), ("Three four.", 800)), 0)
    send_all(playback)
    playback.rewind(1000)
    assert send_all(playback) == 800


@given(st.lists(st.integers(40, 3000), min_size=1, max_size=4), st.data())
def test_however_often_it_is_stopped_everything_is_heard_in_the_end(
    lengths_ms: list[int], data: st.DataObject
) -> None:
    reply = reply_of(*((f"word{i} again and more.", ms) for i, ms in enumerate(lengths_ms)))
    playback = Playback(reply, 0)
    send_all(playback)
    played_ms = 0
    for _ in range(data.draw(st.integers(0, 4))):
        played_ms = data.draw(st.integers(played_ms, playback.line_ms))
        playback.rewind(played_ms)
        send_all(playback)
    assert playback.heard(playback.line_ms) == reply.text
    assert playback.all_sent
