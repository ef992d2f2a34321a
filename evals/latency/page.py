"""A run as one HTML page that needs nothing else and no explanation."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from evals.latency.budgets import Budget, Held, held, read_budgets
from evals.latency.figures import Run, written
from evals.latency.page_charts import curve_panel, load_panel, wait_panels
from evals.latency.page_turns import turns_section, waterfall_section
from evals.latency.run_file import read_run
from voice_agent.report_style import style_with

STYLE = Path(__file__).with_name("page.css")
_PARTS = {
    "transport": "the line alone",
    "retrieval": "searching 50,000 passages",
    "questions": "questions of a synthetic voice",
    "recorded": "recorded people",
    "interruptions": "interruptions",
    "sounds": "coughs, “mm-hm” and noises over the agent",
    "pauses": "callers who pause",
    "callers at once": "several callers at once",
    "stock": "the stock pipeline, by turns with ours",
    "curve": "the turn judgement, offline",
    "voices": "speaking the questions",
}


def write_page(file: Path, out: Path, budgets_file: Path) -> Path:
    """Draw the run in ``file`` into ``out``; gives ``out`` back.

    Raises:
        RunFileError: there is no run in ``file``.
        BudgetError: the budgets cannot be read.
        OSError: ``out`` cannot be written.
    """
    page = render(read_run(file), read_budgets(budgets_file), style_with(STYLE))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def render(run: Run, budgets: Mapping[str, Budget], style: str) -> str:
    """The page of a run whose summary is worked out. Pure."""
    rows = held(run["summary"], budgets)
    body = "".join(
        (
            _head(run, rows),
            _cards(rows, run["summary"]),
            wait_panels(run, budgets),
            waterfall_section(run),
            '<h2>More callers, and politeness</h2><div class="two">',
            load_panel(run, budgets),
            curve_panel(run, budgets),
            "</div>",
            turns_section(run),
            _origin(run),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>How long callers wait</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(run: Run, rows: list[Held]) -> str:
    summary = run["summary"]
    met = sum(row.verdict == "met" for row in rows)
    missed = sum(row.verdict == "missed" for row in rows)
    unknown = sum(row.verdict == "not measured" for row in rows)
    lines = [
        "<h1>How long callers wait</h1>",
        "<p>Measured as a caller would: a telephone rang the agent, spoke, and timed what came "
        "back at its own end of the line. “Voice to voice” is the silence between the caller's "
        "last sound and the agent's first.</p>",
        f"<p><strong>{met} of {met + missed + unknown} budgets met</strong>, {missed} missed, "
        f"{unknown} not measured. {summary['turns']} questions of {_speakers(summary)} stand "
        f"behind the headline, {summary['answered']} of them answered, "
        f"{summary['fillers']} first with a word to fill the time.</p>",
    ]
    notes = []
    if not run.get("complete"):
        notes.append("This run was stopped early: it holds only what was measured until then.")
    if run.get("quick"):
        notes.append("A quick run: few turns, so the figures are only an indication.")
    for part in run.get("parts", ()):
        if part["state"] in ("failed", "short"):
            name = _PARTS.get(part["name"], part["name"])
            what = "failed" if part["state"] == "failed" else "was cut short"
            notes.append(f"The part “{name}” {what}: {part['why']}.")
    if notes:
        lines.append(f'<p class="banner">{"<br>".join(map(escape, notes))}</p>')
    return "".join(lines)


def _speakers(summary: Mapping[str, Any]) -> str:
    return "recorded people" if summary["speech"] == "recorded" else "a synthetic voice"


def _cards(rows: list[Held], summary: Mapping[str, Any]) -> str:
    stock = summary["stock"]
    counts = {
        "barge_in_p95_ms": f"{summary['barge_ins']} interruptions",
        "false_cut_in_rate": f"{summary['pauses']} pauses",
        "false_stop_rate": f"{summary['sounds']} sounds",
        "ratio_p50_vs_stock": f"it answered {stock['answered']} of {stock['turns']}",
    }
    with_budget = [row for row in rows if row.verdict]
    without = [row for row in rows if not row.verdict and row.value is not None]
    cards = "".join(_card(row, counts.get(row.figure.name, "")) for row in with_budget)
    more = "".join(
        f"<dt>{escape(row.figure.title)}</dt><dd>{written(row.value, row.figure.unit)}</dd>"
        for row in without
    )
    extra = f"<dl>{more}</dl>" if more else ""
    return f'<h2>Against the budgets</h2><ul class="cards">{cards}</ul>{extra}'


def _card(row: Held, count: str) -> str:
    known = row.value is not None
    verdict = row.verdict or ""
    sign = {"met": "✓ met", "missed": "✗ missed"}.get(verdict, "not measured")
    kind = verdict.replace(" ", "-") + ("" if known else " none")
    bound = "at most" if row.figure.better == "less" else "at least"
    behind = f" · {escape(count)}" if count and known else ""
    return (
        f'<li class="card {kind}"><span class="name">{escape(row.figure.title)}</span>'
        f'<span class="value">{written(row.value, row.figure.unit) if known else "—"}</span>'
        f'<span class="of"><span class="verdict">{sign}</span> · {bound} '
        f"{written(row.reach, row.figure.unit)}{behind}</span></li>"
    )


def _origin(run: Run) -> str:
    transport = run.get("transport") or {}
    line = {"sip": "SIP, G.711 at 8 kHz", "webrtc": "WebRTC, Opus"}.get(str(run.get("line")), "")
    facts = {
        "date": str(run.get("date", "")),
        "line": line,
        "line alone": _transport_words(transport),
        **run["machine"],
        "took": f"{run.get('took_s', 0) / 60:.1f} minutes",
    }
    items = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>"
        for key, value in facts.items()
        if value
    )
    parts = "".join(
        f"<dt>{escape(_PARTS.get(part['name'], part['name']))}</dt>"
        f"<dd>{escape(part['state'])}, {part['took_s']:.0f} s"
        f"{': ' + escape(part['why']) if part['why'] else ''}</dd>"
        for part in run.get("parts", ())
    )
    return (
        f"<h2>Where this comes from</h2><dl>{items}</dl>"
        f"<details><summary>The parts of the run</summary><dl>{parts}</dl></details>"
    )


def _transport_words(transport: Mapping[str, Any]) -> str:
    if transport.get("median_ms") is None:
        return ""
    return f"{transport['median_ms']:.0f} ms median, {transport['p95_ms']:.0f} ms p95"
