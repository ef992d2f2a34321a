"""The page: whole, without anything from outside, and honest about what is missing."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from evals.latency.budgets import Budget
from evals.latency.charts import Plot, ceiling, histogram, ticks
from evals.latency.page import STYLE, render, write_page
from evals.latency.run_file import write_run
from evals.latency.summary import summarise
from tests.evals.bench_runs import call, full_run, run, sound, turn
from voice_agent.report_style import style_with

BUDGETS = {"p50_ms": Budget(reach=450), "false_stop_rate": Budget(reach=0.01)}
VOID = {"meta", "br"}


class Checked(HTMLParser):
    """Finds tags that are not closed in order, and what comes from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.outside += [str(known[name]) for name in ("src", "href") if name in known]
        if known.get("role") == "img":
            self.pictures.append(known)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing to close."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(data: dict[str, Any]) -> Checked:
    data["summary"] = summarise(data)
    page = Checked()
    page.feed(render(data, BUDGETS, style_with(STYLE)))
    assert page.open == []
    return page


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = checked(full_run())
    assert page.outside == []
    assert "@import" not in style_with(STYLE)
    assert "url(" not in style_with(STYLE)


def test_every_picture_says_in_words_what_it_shows() -> None:
    pictures = checked(full_run()).pictures
    assert len(pictures) > 5
    assert all(one.get("aria-label") or one.get("aria-labelledby") for one in pictures)


def test_budgets_met_and_missed_are_said_in_words() -> None:
    words = " ".join(checked(full_run()).words)
    assert "✓ met" in words
    assert "✗ missed" in words
    assert "1 of 2 budgets met" in words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (run([]), "No turn was answered"),
        (run([], complete=False), "stopped early"),
        (run([], quick=True), "only an indication"),
        (run([call("questions", [turn(None)])]), "no answer"),
        (run([call("questions", [turn(-50.0, cut_ins=[{"pause": 0}])])]), "the agent cut in"),
        (run([call("sounds", [], sounds=[sound(stopped=True)])]), "stopped for good"),
        (run([call("stock", [turn(900)], stack="stock")]), "The stock pipeline's answers"),
        (run([call("questions", [turn(400)], no_record="it is gone")]), "(it is gone)"),
        (run([call("questions", [turn(400)])]), "no record of the agent"),
        (
            run([], parts=[{"name": "curve", "state": "failed", "why": "no ears", "took_s": 1}]),
            "no ears",
        ),
    ],
)
def test_what_is_missing_or_went_wrong_is_said(data: dict[str, Any], words: str) -> None:
    assert words in " ".join(checked(data).words)


def test_what_callers_say_is_text_and_no_markup() -> None:
    nasty = "<script>alert('x')</script>\"&"
    page = checked(run([call("questions", [turn(400, said=nasty, heard=nasty, answer=nasty)])]))
    assert nasty in page.words
    assert "script" not in page.open


def test_a_page_is_written_beside_its_run(tmp_path: Path) -> None:
    file, budgets = tmp_path / "run.json", tmp_path / "bench.yaml"
    write_run(file, full_run())
    budgets.write_text("budgets: {p50_ms: {reach: 450}}")
    out = write_page(file, tmp_path / "pages" / "run.html", budgets)
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("most", [0.0, 0.07, 1.0, 37.0, 450.0, 2_999.0, 3_000.0])
def test_axes_end_at_round_values_above_what_they_show(most: float) -> None:
    end = ceiling(most)
    assert end >= most
    assert 1 <= len(ticks(end)) <= 12


def test_a_histogram_counts_every_value_once() -> None:
    shares, rising = histogram([100, 150, 900], [0, 200, 400, 1000])
    assert shares == pytest.approx([2 / 3, 0, 1 / 3])
    assert rising[-1] == (900.0, 1.0)
    assert histogram([], [0, 1])[0] == [0.0]


def test_values_beyond_the_axes_stay_on_the_chart() -> None:
    plot = Plot("t", "w", "x", "y", 10, 1)
    assert plot.x(-5) == plot.x(0)
    assert plot.x(50) == plot.x(10)
    plot.limit("beyond", x=20, y=3)
    assert plot.body == []
