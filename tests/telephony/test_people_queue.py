"""Whose turn it is, who is free, and how long it takes."""

from __future__ import annotations

import pytest

from telephony.errors import PersonNotReached
from telephony.people_queue import PeopleBook, Place
from telephony.settings import QueueSettings

ANNA, BEN, CLEO = "sip:anna@desk.example", "sip:ben@desk.example", "sip:cleo@desk.example"


class Hours:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_s(self) -> float:
        return self.s


def queue(**settings: object) -> QueueSettings:
    return QueueSettings.model_validate({"targets": (ANNA, BEN, CLEO), **settings})


def join(book: PeopleBook, settings: QueueSettings, name: str = "help") -> Place:
    return book.join(name, settings, settings.targets)


def talk(book: PeopleBook, time: Hours, place: Place, target: str, talk_s: float) -> None:
    place.claim(target)
    book.note_rung(place.name, target)
    place.served(target)
    time.s += talk_s
    place.leave()


def test_callers_are_served_in_the_order_they_came() -> None:
    book = PeopleBook(Hours().now_s)
    first, second = join(book, queue()), join(book, queue())
    assert (first.position, second.position) == (1, 2)
    assert first.to_ring() == (ANNA, BEN, CLEO)
    assert second.to_ring() == ()
    first.ringing = True
    first.claim(ANNA)
    assert second.position == 1
    assert second.to_ring() == (BEN, CLEO)
    first.leave()
    assert second.position == 1


def test_somebody_who_talks_is_not_rung_again_until_they_are_done() -> None:
    time = Hours()
    book = PeopleBook(time.now_s)
    first = join(book, queue())
    first.claim(ANNA)
    first.served(ANNA)
    assert join(book, queue()).to_ring() == (BEN, CLEO)
    first.leave()
    first.leave()  # twice does no harm
    assert ANNA in join(book, queue(), "other").to_ring()


def test_who_did_not_take_a_call_is_left_alone_for_a_while() -> None:
    time = Hours()
    book = PeopleBook(time.now_s)
    place = join(book, queue(retry_s=10))
    place.rests(ANNA)
    assert place.to_ring() == (BEN, CLEO)
    assert place.next_look_s() == 10
    time.s = 10
    assert place.to_ring() == (ANNA, BEN, CLEO)


def test_round_robin_goes_on_behind_the_last_one_rung() -> None:
    time = Hours()
    book = PeopleBook(time.now_s)
    settings = queue(strategy="round_robin")
    assert join(book, settings, "a").to_ring() == (ANNA, BEN, CLEO)
    talk(book, time, join(book, settings), ANNA, 5)
    assert join(book, settings).to_ring() == (BEN, CLEO, ANNA)


def test_longest_idle_begins_with_whoever_has_waited_longest_for_a_call() -> None:
    time = Hours()
    book = PeopleBook(time.now_s)
    settings = queue(strategy="longest_idle")
    for target in (ANNA, CLEO, BEN):
        talk(book, time, join(book, settings), target, 60)
    assert join(book, settings).to_ring() == (ANNA, CLEO, BEN)


def test_a_pbx_takes_as_many_calls_as_come() -> None:
    book = PeopleBook(Hours().now_s)
    settings = queue(targets=(ANNA,), calls_each=0)
    for _ in range(5):
        place = join(book, settings)
        place.ringing = True
        place.claim(ANNA)
    assert join(book, settings).to_ring() == (ANNA,)


def test_a_full_queue_takes_nobody_more() -> None:
    book = PeopleBook(Hours().now_s)
    settings = queue(max_waiting=2)
    join(book, settings)
    join(book, settings)
    with pytest.raises(PersonNotReached, match="queue_full"):
        join(book, settings)


def test_a_wait_is_estimated_from_talks_and_only_from_enough_of_them() -> None:
    time = Hours()
    book = PeopleBook(time.now_s)
    settings = queue(targets=(ANNA, BEN))
    for _ in range(2):
        talk(book, time, join(book, settings), ANNA, 120)
    assert join(book, settings, "help").wait_s is None
    book = PeopleBook(time.now_s)
    for _ in range(3):
        talk(book, time, join(book, settings), ANNA, 120)
    assert join(book, settings).wait_s == pytest.approx(60)
    assert join(book, settings).wait_s == pytest.approx(120)
