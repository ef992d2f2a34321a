from __future__ import annotations

import os
import signal

import pytest

from tests.voice_agent.knowledge.parsing.small_pdf import Words, a_pdf
from voice_agent.knowledge.parsing.extracted import Unreadable
from voice_agent.knowledge.parsing.guard import Guard
from voice_agent.knowledge.parsing.parsed import Limits

PAGE = b"<html><body><main><p>Thirty days to return it.</p></main></body></html>"


def many_tags(count: int) -> bytes:
    return b"<html><body><main>" + b"<p>word</p>" * count + b"</main></body></html>"


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read() -> None:
    guard = Guard(Limits(max_seconds=1.0))
    try:
        assert guard.read("html", PAGE).text == "Thirty days to return it."
        with pytest.raises(Unreadable, match="takes longer than 1 s"):
            guard.read("html", many_tags(400_000))
        assert guard.read("html", PAGE).text == "Thirty days to return it."
    finally:
        guard.close()


def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_is_read() -> None:
    guard = Guard(Limits(max_memory_bytes=260_000_000))
    try:
        assert guard.read("html", PAGE).text == "Thirty days to return it."
        with pytest.raises(Unreadable, match="needs more than 260 MB"):
            guard.read("html", many_tags(1_500_000))
        assert guard.read("html", PAGE).text == "Thirty days to return it."
    finally:
        guard.close()


def test_a_reader_that_is_killed_costs_one_file() -> None:
    guard = Guard(Limits())
    try:
        guard.read("html", PAGE)
        assert guard._process is not None
        os.kill(guard._process.pid, signal.SIGKILL)
        with pytest.raises(Unreadable, match="its reader broke"):
            guard.read("html", PAGE)
        assert guard.read("html", PAGE).text == "Thirty days to return it."
    finally:
        guard.close()


def test_a_large_file_goes_through_whole() -> None:
    guard = Guard(Limits())
    page = [Words("Some words of a long document, one line of many of them.", 750)]
    big = a_pdf([page]) + b"%" + b" " * 5_000_000
    try:
        assert guard.read("pdf", big).text == guard.read("pdf", a_pdf([page])).text
        assert guard.read("markup", b"word " * 1_000_000).text.count("word") == 1_000_000
    finally:
        guard.close()


def test_closing_ends_the_process() -> None:
    guard = Guard(Limits())
    guard.read("html", PAGE)
    process = guard._process
    guard.close()
    guard.close()
    assert process is not None
    assert process.poll() is not None
