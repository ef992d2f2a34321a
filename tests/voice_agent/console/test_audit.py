"""The audit log: whatever is changed, left out or cut off is noticed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.voice_agent.console.conftest import Stage
from voice_agent.console.audit import AuditLog, AuditUnwritable
from voice_agent.console.errors import Unavailable
from voice_agent.console.roles import Role


def filled(path: Path, entries: int = 5, key: str = "") -> AuditLog:
    log = AuditLog(path, key)
    for number in range(entries):
        log.add("kim", "supervisor", "listen", f"call-{number}", address="127.0.0.1")
    return log


def test_a_log_that_nobody_touched_is_whole(tmp_path: Path) -> None:
    log = filled(tmp_path / "audit.jsonl")
    assert log.verify().fault == ""
    assert log.verify().entries == 5
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o077 == 0


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    assert AuditLog(tmp_path / "audit.jsonl").verify().fault == ""


def changed(lines: list[str]) -> list[str]:
    entry = json.loads(lines[2])
    entry["user"] = "somebody else"
    return [*lines[:2], json.dumps(entry), *lines[3:]]


@pytest.mark.parametrize(
    "tamper",
    [
        changed,
        lambda lines: lines[:2] + lines[3:],
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: [],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, "not json"],
        lambda lines: [*lines[:2], '{"seq": 3}', *lines[3:]],
    ],
)
def test_whatever_is_tampered_with_is_noticed(
    tmp_path: Path, tamper: Callable[[list[str]], list[str]]
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path)
    lines = tamper(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    assert log.verify().fault


def test_a_log_written_anew_by_somebody_without_the_key_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path, key="the real key")
    path.unlink()
    path.with_suffix(".head").unlink()
    filled(path, key="another key")
    assert "another key" in AuditLog(path, "the real key").verify().fault


def test_a_crash_between_line_and_note_is_no_tampering(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 3)
    head = path.with_suffix(".head").read_text()
    log.add("kim", "supervisor", "end", "call-9")
    path.with_suffix(".head").write_text(head)
    assert log.verify().fault == ""
    log.add("kim", "supervisor", "end", "call-10")
    assert log.verify().entries == 5


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    threads = [threading.Thread(target=filled, args=(path, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = AuditLog(path).verify()
    assert (verdict.entries, verdict.fault) == (80, "")


def test_words_with_line_ends_stay_one_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.add("kim\n{}", "supervisor", "steer", "c", text="a\nb\u2028c " + "x" * 5_000)
    assert log.verify().entries == 1
    assert len(next(log.entries()).detail["text"]) == 2_000


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(AuditUnwritable):
        AuditLog(tmp_path / "audit.jsonl").add("kim", "supervisor", "listen")


async def test_what_cannot_be_noted_is_not_done(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AuditUnwritable("the disk is full")

    monkeypatch.setattr(AuditLog, "add", fail)
    browser = await stage.signed_in(Role.SUPERVISOR)
    offer = {"mode": "listen", "sdp": "v=0\r\n"}
    await browser.do("/api/calls/c1/supervise", offer, status=Unavailable.status)
    assert stage.gateway.asked == []
    switch = {"scope": "all", "on": True, "reason": "it talks nonsense"}
    await browser.do("/api/answering", switch, "PUT")  # taking it off the phones always works
    assert stage.gateway.asked[0][0] == "answering"
    await browser.do("/api/answering", switch | {"on": False}, "PUT", status=Unavailable.status)


async def test_every_act_is_in_the_log_with_who_and_whether_it_was_done(stage: Stage) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    stage.gateway.refuse["end"] = (409, "already_taken")
    await browser.do("/api/calls/c1/supervise", {"mode": "takeover", "sdp": "v=0\r\n"})
    await browser.do("/api/calls/c1/steer", {"text": "Offer the discount", "say": False})
    await browser.do("/api/calls/c1/hand-back", {"agreed": "a refund by Friday"})
    await browser.do("/api/calls/c1/end", status=409)
    acts = [(each.user, each.action, each.target) for each in stage.console.desk.audit.entries()]
    assert acts == [
        ("supervisor", "takeover", "c1"),
        ("supervisor", "steer", "c1"),
        ("supervisor", "hand_back", "c1"),
        ("supervisor", "end", "c1"),
        ("supervisor", "end_refused", "c1"),
    ]


async def test_auditors_read_the_log_and_whether_it_is_whole(stage: Stage) -> None:
    for number in range(3):
        stage.console.desk.audit.add("kim", "supervisor", "listen", f"c{number}")
    auditor = await stage.signed_in(Role.AUDITOR)
    page = await auditor.get("/api/audit?page=1")
    assert [each["target"] for each in page["entries"]] == ["c2", "c1", "c0"]
    assert page["verified"] is True
    path = stage.console.desk.settings.console.folder / "audit.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    page = await auditor.get("/api/audit")
    assert page["verified"] is False
    assert "missing" in page["fault"]
