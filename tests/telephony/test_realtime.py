"""Asking for a turn before others: granted or not, the gateway goes on."""

from __future__ import annotations

import os

import pytest

from telephony.realtime import ask_for_priority


def test_what_is_granted_is_the_least_real_time_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(
        os,
        "sched_setscheduler",
        lambda pid, policy, how: asked.append((pid, policy, how.sched_priority)),
    )
    assert ask_for_priority()
    assert asked == [(0, os.SCHED_RR, 1)]


def test_a_refusal_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not ask_for_priority()
