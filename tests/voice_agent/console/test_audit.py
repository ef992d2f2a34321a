"""The audit log: whatever is changed, left out or cut off is noticed."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.telephony.fakes import eventually
from tests.voice_agent.console.conftest import Stage
from tests.voice_agent.console.recorded import a_call, a_turn, record
from voice_agent.console.audit import AuditLog, AuditUnwritable
from voice_agent.console.errors import Unavailable
from voice_agent.console.privacy_api import places_of
from voice_agent.console.roles import Role
from voice_agent.records.privacy import erase


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


KEY = "the real key"


def whole_lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


@pytest.mark.parametrize("key", ["", KEY])
def test_a_line_cut_short_by_a_crash_is_no_tampering_and_goes_with_the_next(
    tmp_path: Path, key: str
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 3, key)
    with path.open("a") as file:
        file.write('{"seq": 4, "at": 17')
    assert log.verify().fault == ""
    log.add("kim", "supervisor", "end", "call-9")
    assert [each.target for each in log.entries()][-1] == "call-9"
    assert (log.verify().entries, log.verify().fault) == (4, "")


def test_a_whole_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 3)
    path.write_text(path.read_text().rstrip("\n"))
    log.add("kim", "supervisor", "end", "call-9")
    assert (log.verify().entries, log.verify().fault) == (4, "")


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_what_a_full_disk_took_half_of_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 3)
    before, write = path.read_bytes(), os.write

    def short(descriptor: int, data: bytes = b"") -> int:
        if call == "fsync":
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:20])

    monkeypatch.setattr(os, call, short)
    with pytest.raises(AuditUnwritable):
        log.add("kim", "supervisor", "end", "call-9")
    monkeypatch.undo()
    assert path.read_bytes() == before
    log.add("kim", "supervisor", "end", "call-10")
    assert log.verify().fault == ""


def test_a_key_that_is_set_later_signs_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path, 3)
    log = AuditLog(path, KEY)
    assert "nothing is signed" in log.verify().fault
    log.add("kim", "supervisor", "end", "call-9")
    verdict = log.verify()
    assert (verdict.fault, verdict.signed, verdict.unsigned, verdict.entries) == ("", True, 3, 5)
    assert [each.action for each in log.entries()][-2:] == ["signing_began", "end"]
    changed_line = whole_lines(path)[1].replace("call-1", "call-7")
    path.write_text("".join([whole_lines(path)[0], changed_line, *whole_lines(path)[2:]]))
    assert "line 2" in log.verify().fault


@pytest.mark.parametrize(("key", "said"), [("", "set VOICE_AGENT_AUDIT_KEY"), ("old", "another")])
def test_who_has_not_the_key_adds_nothing_that_would_break_the_chain(
    tmp_path: Path, key: str, said: str
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, key=KEY)
    with pytest.raises(AuditUnwritable, match=said):
        AuditLog(path, key).add("root", "", "user_added", "eve")
    assert log.verify().fault == ""


def test_every_fault_is_told_and_not_the_first_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 6)
    lines = whole_lines(path)
    lines[1] = lines[1].replace("call-1", "call-7")
    del lines[3]
    path.write_text("".join(lines))
    verdict = log.verify()
    assert [each.partition(":")[0] for each in verdict.faults] == [
        "line 2 was changed, or signed with another key",
        "line 4",
    ]
    assert verdict.fault.endswith("(and 1 more)")


def cut_off(path: Path) -> str:
    """The last two lines go, and the note of the end is made to say so; what it said before."""
    lines, head = whole_lines(path), path.with_suffix(".head")
    said = head.read_text()
    path.write_text("".join(lines[:-2]))
    last = json.loads(lines[-3])
    head.write_text(json.dumps(json.loads(said) | {"seq": last["seq"], "hash": last["hash"]}))
    return said


def test_lines_cut_off_the_end_are_noticed_though_the_note_was_written_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, key=KEY)
    cut_off(path)
    assert "not made with the key" in log.verify().fault
    log.add("kim", "supervisor", "end", "call-9")
    assert "end_note_missing" in [each.action for each in log.entries()], "it stays on record"


def test_an_end_that_was_cut_off_is_not_covered_by_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, key=KEY)
    path.with_suffix(".head").write_text(cut_off(path))
    log.add("kim", "supervisor", "end", "call-9")
    assert "entry 4 is missing" in log.verify().fault


def test_a_change_whose_time_was_set_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path)
    assert log.verify().fault == ""
    seen = path.stat()
    with path.open("r+") as file:
        file.write(path.read_text().replace("call-1", "call-7"))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert log.verify().fault


def test_a_witness_is_told_number_and_hash_of_every_line(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    log = AuditLog(
        tmp_path / "audit.jsonl", KEY, lambda entry: told.append((entry.seq, entry.hash))
    )
    for number in range(3):
        log.add("kim", "supervisor", "listen", f"call-{number}")
    assert told == [(each.seq, each.hash) for each in log.entries()]


def test_a_lock_that_is_not_given_back_is_waited_for_no_longer_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.audit.LOCK_PATIENCE_S", 0.02)
    path = tmp_path / "audit.jsonl"
    log = filled(path)
    with path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AuditUnwritable, match="another process"):
            log.add("kim", "supervisor", "listen", "call-9")


def test_words_that_are_no_text_are_refused_and_not_failed_on(tmp_path: Path) -> None:
    log = filled(tmp_path / "audit.jsonl")
    with pytest.raises(AuditUnwritable):
        log.add("kim", "supervisor", "steer", "c", text="\ud800")
    assert log.verify().entries == 5


def test_the_newest_are_read_from_the_end_however_long_the_lines_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 30)
    monkeypatch.setattr("voice_agent.console.audit._BLOCK_BYTES", 100)
    assert [each.seq for each in log.newest()] == list(range(30, 0, -1))
    entries, total = log.page(2, 10)
    assert ([each.seq for each in entries], total) == (list(range(20, 10, -1)), 30)
    middle = next(each for each in log.entries() if each.seq == 15).at
    assert [each.seq for each in log.since(middle)][-15:] == list(range(16, 31))


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


async def test_an_audit_log_that_hangs_does_not_keep_agents_on_the_phones(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.answering_api.NOTE_PATIENCE_S", 0.01)
    monkeypatch.setattr("voice_agent.console.answering_api.NOTE_AGAIN_S", (0.01,) * 500)
    monkeypatch.setattr("voice_agent.console.audit.LOCK_PATIENCE_S", 0.05)
    browser = await stage.signed_in(Role.SUPERVISOR)
    log = stage.console.desk.audit
    path = stage.console.desk.settings.console.folder / "audit.jsonl"
    switch = {"scope": "all", "on": True, "reason": "it talks nonsense"}
    with path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        await browser.do("/api/answering", switch, "PUT")
        assert stage.gateway.asked[0][0] == "answering"
        await browser.do("/api/answering", switch | {"on": False}, "PUT", status=503)
        assert list(log.entries()) == []
    await eventually(lambda: bool(list(log.entries())))
    acts = list(log.entries())
    assert [(each.user, each.action) for each in acts] == [("supervisor", "kill_switch_on")]
    assert acts[0].detail["reason"] == "it talks nonsense"


async def test_a_log_whose_disk_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.audit.DISK_PATIENCE_S", 0.01)
    hangs = threading.Event()
    monkeypatch.setattr(AuditLog, "add", lambda *_, **__: hangs.wait(10))
    with pytest.raises(AuditUnwritable):
        await AuditLog(tmp_path / "audit.jsonl").note("kim", "supervisor", "listen", "c1")
    hangs.set()


async def test_halves_of_characters_are_refused_before_anything_is_noted(stage: Stage) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    switch = {"scope": "all", "on": True, "reason": "\ud800"}
    await browser.do("/api/answering", switch, "PUT", status=400)
    assert stage.gateway.asked == []


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


async def test_words_are_kept_where_they_can_be_erased_and_not_in_the_log(stage: Stage) -> None:
    desk = stage.console.desk
    record(desk.settings, a_call("c1"), a_turn("c1", 1))
    browser = await stage.signed_in(Role.SUPERVISOR)
    await browser.do("/api/calls/c1/steer", {"text": "Offer Ada the discount", "say": False})
    await browser.do("/api/calls/c1/hand-back", {"agreed": "Ada gets a refund"})
    await browser.do("/api/turns/c1-t1/verified-answer", {"text": "Ada pays less."}, status=201)
    entries = list(desk.audit.entries())
    assert "Ada" not in json.dumps([asdict(each) for each in entries])
    shown = (await browser.get("/api/calls/c1"))["interventions"]
    assert [(each["action"], each["text"]) for each in shown] == [
        ("steer", "Offer Ada the discount"), ("hand_back", "Ada gets a refund"),
    ]  # fmt: skip
    assert [(each.detail["words"], each.detail["characters"]) for each in entries[:2]] == [
        (each["id"], len(each["text"])) for each in shown
    ]
    assert erase(places_of(desk.settings), "15551234567").other["interventions"] == 2
    assert desk.interventions.of_call("c1") == []


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
