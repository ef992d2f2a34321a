"""Records survive what files and databases do, and never hold up a call."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from voice_agent.records import schema, store
from voice_agent.records.record_types import CallRecord, HandoffRecord, TurnRecord
from voice_agent.records.schema import RecordsUnusable
from voice_agent.records.store import Records

PASSAGE = {"document_id": "d1", "passage_id": "d1#2", "score": 0.5, "source": "returns.md"}


def _call(
    call_id: str = "c1", started_at: float = 10.0, ended_at: float | None = None
) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        line="sip",
        caller="sip:someone@example.com",
        started_at=started_at,
        ended_at=ended_at,
    )


def _turn(index: int = 1, call_id: str = "c1", **values: object) -> TurnRecord:
    return TurnRecord(call_id, f"{call_id}-t{index}", index, 11.0 + index, **values)  # type: ignore[arg-type]


def _lost(reason: str) -> float:
    return REGISTRY.get_sample_value("voice_agent_records_lost_total", {"reason": reason}) or 0.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "records.sqlite"


def test_a_call_comes_back_with_its_turns_in_order(path: Path) -> None:
    records = Records.open(path)
    records.record_turn(_turn(2, heard="and the price?"))
    records.record_turn(
        _turn(1, heard="hello", passages=(PASSAGE,), stages_ms={"transcribe": 91.5})
    )
    records.record_call(_call())
    found = records.call("c1")
    assert found is not None
    assert found["caller"] == "sip:someone@example.com"
    assert [turn["heard"] for turn in found["turns"]] == ["hello", "and the price?"]
    assert found["turns"][0]["passages"] == [PASSAGE]
    assert found["turns"][0]["stages_ms"] == {"transcribe": 91.5}
    records.close()


def test_recording_again_replaces(path: Path) -> None:
    records = Records.open(path)
    records.record_call(_call())
    records.record_call(_call(ended_at=20.0))
    records.record_turn(_turn(heard="first"))
    records.record_turn(_turn(heard="second"))
    found = records.call("c1")
    assert found is not None
    assert found["ended_at"] == 20.0
    assert [turn["heard"] for turn in found["turns"]] == ["second"]
    records.close()


def test_turns_of_a_call_still_going_on_can_be_read(path: Path) -> None:
    records = Records.open(path)
    records.record_turn(_turn())
    found = records.call("c1")
    assert found is not None
    assert len(found["turns"]) == 1
    records.close()


def test_an_unknown_call_is_none(path: Path) -> None:
    records = Records.open(path)
    assert records.call("nobody'; DROP TABLE calls; --") is None
    records.close()


@pytest.mark.parametrize(("limit", "expected"), [(2, ["c3", "c2"]), (0, []), (-1, []), (9, 4)])
def test_calls_are_listed_newest_first(path: Path, limit: int, expected: object) -> None:
    records = Records.open(path)
    for number in range(4):
        records.record_call(_call(f"c{number}", float(number)))
    found = [call["call_id"] for call in records.calls(limit)]
    assert found == expected if isinstance(expected, list) else len(found) == expected
    records.close()


def test_records_outlive_the_process(path: Path) -> None:
    first = Records.open(path)
    first.record_call(_call())
    first.close()
    second = Records.open(path)
    assert second.call("c1") is not None
    second.close()


def test_only_the_owner_may_read_what_callers_said(path: Path) -> None:
    Records.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_damaged_file_is_put_aside_and_calls_go_on(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    records = Records.open(path)
    records.record_call(_call())
    assert records.call("c1") is not None
    records.close()
    aside = list(path.parent.glob("records.sqlite.damaged-*"))
    assert [each.read_bytes() for each in aside] == [damage]


def test_a_file_damaged_while_open_loses_records_and_nothing_else(path: Path) -> None:
    records = Records.open(path)
    records.record_call(_call())
    records.flush()
    for each in path.parent.iterdir():
        each.write_bytes(b"rubbish" * 500)
    before = _lost("failed") + _lost("operational")
    records.record_call(_call("c2"))
    records.flush()
    assert _lost("failed") + _lost("operational") == before + 1
    assert records.call("c2") is None
    records.close()


def test_a_file_of_a_newer_version_is_refused_in_one_line(path: Path) -> None:
    Records.open(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordsUnusable, match="newer version"):
        Records.open(path)


def test_a_file_of_an_older_version_is_brought_up_to_date(path: Path) -> None:
    records = Records.open(path)
    records.record_call(_call("old", 1.0))
    records.record_turn(_turn(call_id="old"))
    records.close()
    with sqlite3.connect(path) as database:
        database.executescript(
            "ALTER TABLE calls DROP COLUMN leg_id; ALTER TABLE turns DROP COLUMN sources;"
            "PRAGMA user_version = 1;"
        )
    records = Records.open(path)
    records.record_call(_call("new", 2.0))
    old = records.call("old")
    assert old is not None
    assert old["turns"][0]["sources"] == []
    assert [call["call_id"] for call in records.calls()] == ["new", "old"]
    records.close()


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    records = Records.open(path)
    records.record_call(_call())
    assert records.call("c1") is not None
    records.close()


def test_a_place_that_cannot_hold_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for impossible in (tmp_path / "file" / "records.sqlite", tmp_path):
        with pytest.raises(RecordsUnusable) as caught:
            Records.open(impossible)
        assert "\n" not in str(caught.value)


def test_a_locked_database_does_not_hold_up_the_call(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_PATIENCE_S", 0.01)
    records = Records.open(path)
    before = _lost("locked")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        records.record_call(_call())
        records.flush()
        other.execute("ROLLBACK")
    assert _lost("locked") == before + 1
    records.record_call(_call())
    assert records.call("c1") is not None
    records.close()


def test_a_full_disk_loses_records_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records.open(path)
    before = _lost("operational")
    with monkeypatch.context() as full:

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        full.setattr(store, "insert", refuse)
        records.record_call(_call())
        records.flush()
    assert _lost("operational") == before + 1
    records.record_call(_call())
    assert records.call("c1") is not None
    records.close()


def test_a_writer_that_died_is_replaced(path: Path) -> None:
    records = Records.open(path)
    records._queue.put(None)
    assert records._writer is not None
    records._writer.join(5)
    records.record_call(_call())
    assert records.call("c1") is not None
    records.close()


def test_what_does_not_fit_the_queue_is_counted_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, began = threading.Event(), threading.Event()
    insert = store.insert

    def slow(database: sqlite3.Connection, record: CallRecord | TurnRecord) -> None:
        began.set()
        release.wait(10)
        insert(database, record)

    monkeypatch.setattr(store, "insert", slow)
    Records.open(path).close()
    records = Records(path, max_waiting=2)
    before = _lost("queue_full")
    records.record_call(_call("c0"))
    assert began.wait(5)
    for number in range(1, 6):
        records.record_call(_call(f"c{number}"))
    assert _lost("queue_full") == before + 3
    release.set()
    records.close()
    assert len(Records.open(path).calls(10)) == 3


def test_after_closing_records_are_counted_as_lost(path: Path) -> None:
    records = Records.open(path)
    records.close()
    records.close()
    before = _lost("closed")
    records.record_call(_call())
    assert _lost("closed") == before + 1


def test_a_record_that_no_column_can_hold_is_lost_alone(path: Path) -> None:
    records = Records.open(path)
    before = _lost("failed")
    records.record_turn(_turn(1, heard=object()))
    records.record_turn(_turn(2))
    found = records.call("c1")
    assert found is not None
    assert [turn["index"] for turn in found["turns"]] == [2]
    assert _lost("failed") == before + 1
    records.close()


def test_who_is_handed_over_stays_known_to_who_takes_them(path: Path) -> None:
    records = Records.open(path, lambda text: text.replace("192.0.2.7", "[network address]"))
    brief = {"caller": "ada@192.0.2.7", "wants": "to reach 192.0.2.7"}
    records.record_handoff(HandoffRecord("h1", "c1", 11.0, "asked", brief=brief))
    records.record_call(_call())
    found = records.call("c1")
    assert found is not None
    assert found["handoffs"][0]["brief"] == {
        "caller": "ada@192.0.2.7",
        "wants": "to reach [network address]",
    }
    records.close()


def test_what_was_said_is_masked_before_it_is_written(path: Path) -> None:
    records = Records.open(path, lambda text: text.replace("Maria Lindqvist", "[person]"))
    said = "my name is Maria Lindqvist"
    search = {"query": said, "context": [said], "version": "v1", "limit": 3}
    records.record_turn(_turn(heard=said, answer=said, heard_by_caller=said, retrieval=search))
    records.record_call(_call())
    found = records.call("c1")
    assert found is not None
    assert found["turns"][0]["heard"] == "my name is [person]"
    assert found["turns"][0]["retrieval"]["limit"] == 3
    records.close()
    kept = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"Lindqvist" not in kept
