"""Whoever logs, it comes out on one stream in one form, and personal data stays out of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from loguru import logger as loguru_logger

from voice_agent.config import LoggingSettings
from voice_agent.records import logs


class Stream:
    """What has been written to standard error; reading takes it."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def text(self) -> str:
        return self._captured.readouterr().err

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def stream(capsys: pytest.CaptureFixture[str]) -> Iterator[Stream]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Stream(capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    loguru_logger.remove()


def test_every_library_writes_the_same_form(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    structlog.get_logger("ours").info("call_began", line="sip")
    logging.getLogger("theirs").warning("disk %s", "slow")
    loguru_logger.error("pipeline broke")
    events = stream.events()
    assert [event["event"] for event in events] == ["call_began", "disk slow", "pipeline broke"]
    assert [event["level"] for event in events] == ["info", "warning", "error"]
    assert all("timestamp" in event and "logger" in event for event in events)
    assert events[0]["line"] == "sip"


def test_identifiers_bound_once_are_on_every_line(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    structlog.contextvars.bind_contextvars(call_id="c1")
    structlog.get_logger("ours").info("a")
    logging.getLogger("theirs").warning("b")
    loguru_logger.warning("c")
    assert [event["call_id"] for event in stream.events()] == ["c1", "c1", "c1"]


@pytest.mark.parametrize(("keep", "present"), [(False, False), (True, True)])
def test_personal_data_is_dropped_unless_it_is_wanted(
    stream: Stream, keep: bool, present: bool
) -> None:
    logs.configure(LoggingSettings(pii=keep))
    structlog.get_logger("ours").info("heard", pii={"text": "my number is secret"})
    logging.getLogger("theirs").warning("dialled", extra={"pii": {"number": "secret"}})
    assert ("secret" in stream.text()) is present


def test_what_pipecat_says_in_passing_stays_out(stream: Stream) -> None:
    logs.configure(LoggingSettings(level="debug"))
    loguru_logger.debug("user said: my number is secret")
    loguru_logger.info("user said: my number is secret")
    assert stream.text() == ""


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_less_than_the_level_is_left_out(stream: Stream, level: str, expected: int) -> None:
    logs.configure(LoggingSettings.model_validate({"level": level}))
    log = structlog.get_logger("ours")
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")
    assert len(stream.events()) == expected


def test_an_exception_is_one_json_line_with_its_traceback(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    for logger in (structlog.get_logger("ours"), loguru_logger):
        try:
            raise ValueError("boom")
        except ValueError:
            logger.exception("failed")
    events = stream.events()
    assert len(events) == 2
    assert all("ValueError: boom" in str(event["exception"]) for event in events)


def test_configuring_again_does_not_write_twice(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    logs.configure(LoggingSettings())
    logging.getLogger("theirs").warning("once")
    loguru_logger.warning("once more")
    assert len(stream.events()) == 2


def test_the_console_form_is_for_people(stream: Stream) -> None:
    logs.configure(LoggingSettings(format="console"))
    structlog.get_logger("ours").info("call_began", line="sip")
    line = stream.text()
    assert "call_began" in line
    assert not line.startswith("{")


def test_what_cannot_be_json_does_not_break_the_line(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    structlog.get_logger("ours").info("odd", value=object(), raw=b"\xff", text="naïve\ud800")
    assert stream.events()[0]["event"] == "odd"


def test_a_card_number_never_reaches_a_log_whoever_writes_it(stream: Stream) -> None:
    logs.configure(LoggingSettings(pii=True))
    card = "4111 1111 1111 1111"
    structlog.get_logger("ours").info("turn_ended", pii={"heard": f"my card is {card}"})
    logging.getLogger("theirs").warning("bad value %s", card)
    loguru_logger.error(f"sent {card}")
    try:
        raise ValueError(f"card {card}")
    except ValueError:
        structlog.get_logger("ours").exception("broke")
    text = stream.text()
    assert "1111" not in text
    assert text.count("[card]") >= 4


def test_addresses_of_our_own_processes_stay_readable(stream: Stream) -> None:
    logs.configure(LoggingSettings())
    structlog.get_logger("ours").info("agent_listening", host="127.0.0.1", dial="sip:a@127.0.0.1")
    event = stream.events()[0]
    assert (event["host"], event["dial"]) == ("127.0.0.1", "sip:a@127.0.0.1")
