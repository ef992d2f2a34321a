"""The page's charts: how waits are spread, load, and cut-ins against delay. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from evals.latency.budgets import Budget
from evals.latency.charts import Plot, Series, ceiling, histogram
from evals.latency.figures import STOCK, Run, headline_part, latencies, written

BINS = 24
_OURS, _STOCK = "this agent", "stock pipeline"


def wait_panels(run: Run, budgets: Mapping[str, Budget]) -> str:
    """How the waits are spread: a histogram, and how many callers have heard something by when."""
    ours = latencies(run, headline_part(run)).tolist()
    theirs = latencies(run, "stock", stack=STOCK).tolist()
    head = "<h2>How the waits are spread</h2>"
    if not ours:
        return f'{head}<p class="soft">No turn was answered.</p>'
    most = ceiling(max([*ours, *theirs]))
    edges = np.linspace(0, most, BINS + 1).tolist()
    words = _spread_words(ours, theirs)
    shares = {name: histogram(values, edges) for name, values in ((_OURS, ours), (_STOCK, theirs))}
    tallest = ceiling(max(max(bars) for bars, _ in shares.values()))
    bars = Plot(
        "How many turns waited how long", words, "ms", "share of turns", most, tallest, True
    )
    rising = Plot(
        "How many had heard something by then", words, "ms", "share of turns", most, 1.0, True
    )
    for name, style, values in ((_OURS, "ours", ours), (_STOCK, "stock", theirs)):
        if values:
            bars.bars(name, style, edges, shares[name][0])
            rising.line(Series(name, style, shares[name][1], marked=False))
    for row, (figure, label) in enumerate((("p50_ms", "half"), ("p95_ms", "95 %"))):
        if (reach := _reach(budgets, figure)) is not None:
            rising.limit(f"budget for {label}: {reach:,.0f} ms", x=reach, row=row)
    return f'{head}<p>{escape(words)}</p><div class="two">{_panel(bars)}{_panel(rising)}</div>'


def _spread_words(ours: Sequence[float], theirs: Sequence[float]) -> str:
    half, most = np.percentile(ours, (50, 95))
    words = f"Half of the callers heard an answer within {half:,.0f} ms, 95 % within {most:,.0f} ms"
    if theirs:
        half, most = np.percentile(theirs, (50, 95))
        words += (
            f"; with the stock pipeline, on the same machine in the same run, "
            f"{half:,.0f} ms and {most:,.0f} ms"
        )
    return words + "."


def load_panel(run: Run, budgets: Mapping[str, Budget]) -> str:
    """Latency against callers at once."""
    rows = [row for row in run["summary"]["load"] if row["p50_ms"] is not None]
    if not rows:
        return _empty("Waits with several callers at once", "Not measured in this run.")
    counts = [float(row["callers"]) for row in rows]
    words = "; ".join(
        f"{row['callers']} at once: median {row['p50_ms']:,.0f} ms, 95 % {row['p95_ms']:,.0f} ms"
        for row in rows
    )
    reach = _reach(budgets, "four_callers_p95_ms")
    tallest = ceiling(max([row["p95_ms"] for row in rows] + ([reach] if reach else [])) * 1.05)
    plot = Plot(
        "Waits with several callers at once",
        words,
        "callers at once",
        "ms",
        max(counts) + 0.5,
        tallest,
        x_ticks=counts,
    )
    for name, key, style in (("median", "p50_ms", "ours"), ("95 %", "p95_ms", "tail")):
        points = [(count, row[key]) for count, row in zip(counts, rows, strict=True)]
        notes = [f"{row['callers']} at once, {name}: {row[key]:,.0f} ms" for row in rows]
        plot.line(Series(name, style, points, notes))
    if reach is not None:
        plot.limit(f"budget for four, 95 %: {reach:,.0f} ms", y=reach)
    gaps = [row["longest_starved_gap_ms"] for row in rows]
    known = [gap for gap in gaps if gap is not None]
    gap_words = f" Longest gap in the agent's speech: {max(known):,.0f} ms." if known else ""
    return _panel(plot, words + "." + gap_words)


def curve_panel(run: Run, budgets: Mapping[str, Budget]) -> str:
    """False cut-ins against delay: neither can be won by losing the other."""
    title = "Cutting in against waiting"
    points = [
        point
        for point in (run.get("curve") or {}).get("points", ())
        if point["delay_p50_ms"] is not None and point["false_cut_in_rate"] is not None
    ]
    if not points:
        why = "Drawn when recorded speech is given (--speech), in a full run."
        return _empty(title, why)
    now, dials = points[0], points[1:]
    words = (
        "An agent that waits less cuts into more pauses. As configured, the turn is taken "
        f"{now['delay_p50_ms']:,.0f} ms after the caller's last sound (median; 95 % within "
        f"{now['delay_p95_ms']:,.0f} ms), and {written(now['false_cut_in_rate'], 'share')} of "
        f"{now['pauses']} pauses of 0.5–1.5 s are cut into."
    )
    reach = _reach(budgets, "false_cut_in_rate")
    tallest = max([point["false_cut_in_rate"] for point in points] + [reach or 0]) * 1.1
    widest = ceiling(max(point["delay_p50_ms"] for point in points) * 1.05)
    plot = Plot(title, words, "median delay, ms", "pauses cut into", widest, tallest or 1.0, True)
    for name, style, dial, other in (
        ("smart-turn threshold turned", "ours", "threshold", "end_silence_ms"),
        ("shortest silence turned", "second", "end_silence_ms", "threshold"),
    ):
        chosen = sorted(
            (one for one in dials if one[other] == now[other] and one[dial] != now[dial]),
            key=lambda one: float(one[dial]),
        )
        notes = [_point_words(one) for one in chosen]
        places = [(one["delay_p50_ms"], one["false_cut_in_rate"]) for one in chosen]
        if places:
            plot.line(Series(name, style, places, notes))
    here = [(now["delay_p50_ms"], now["false_cut_in_rate"])]
    plot.line(Series("as configured", "now", here, [_point_words(now)]))
    if reach is not None:
        plot.limit(f"budget: {written(reach, 'share')}", y=reach)
    return _panel(plot, words)


def _point_words(point: Mapping[str, Any]) -> str:
    return (
        f"threshold {point['threshold']:g}, shortest silence {point['end_silence_ms']} ms: "
        f"{point['delay_p50_ms']:,.0f} ms, {written(point['false_cut_in_rate'], 'share')} cut into"
    )


def _reach(budgets: Mapping[str, Budget], figure: str) -> float | None:
    budget = budgets.get(figure)
    return budget.reach if budget else None


def _panel(plot: Plot, words: str = "") -> str:
    below = f"<p>{escape(words)}</p>" if words else ""
    return f'<div class="panel"><h3>{escape(plot.title)}</h3>{plot.svg()}{below}</div>'


def _empty(title: str, why: str) -> str:
    return f'<div class="panel"><h3>{escape(title)}</h3><p class="soft">{escape(why)}</p></div>'
