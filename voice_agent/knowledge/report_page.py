"""The knowledge report as one HTML page that needs nothing else and no explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from voice_agent.knowledge.console_output import day_and_time
from voice_agent.knowledge.report import DAY_S, SCORE_STEPS, Report
from voice_agent.report_style import style_with

STYLE = Path(__file__).with_name("report.css")
_ROWS = 25
_STALE_S = 2 * DAY_S
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 240, 44, 26


def render(report: Report) -> str:
    """The page of a report."""
    body = "".join(
        (
            _head(report),
            _cards(report),
            _unanswered(report),
            '<h2>How well questions fit</h2><div class="two">',
            _scores(report),
            _weeks(report),
            "</div>",
            _passages(report),
            _freshness(report),
            _runs(report),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What callers find</title><style>{style_with(STYLE)}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    warnings = []
    if report.shifted:
        warnings.append(
            "The best scores of the last seven days are not those of the weeks before (stability "
            f"index {report.shift}): callers ask other things, or find them less well."
        )
    late = [s["name"] for s in report.sources if report.at - s["answered_at"] > _STALE_S]
    if late:
        warnings.append(f"For more than two days no answer from: {', '.join(late)}.")
    if report.expired:
        warnings.append(f"{len(report.expired)} documents in the index are past their last day.")
    banner = f'<p class="banner">{"<br>".join(map(escape, warnings))}</p>' if warnings else ""
    return (
        "<h1>What callers find</h1>"
        f"<p>The last {report.days} days until {day_and_time(report.at)}. Version "
        f"{escape(report.version)}, built {day_and_time(report.built_at)}, answers now: "
        f"{report.documents} documents, {report.passages} passages.</p>{banner}"
    )


def _cards(report: Report) -> str:
    share = report.found_nothing / report.turns if report.turns else 0.0
    never = len(report.never) / report.passages if report.passages else 0.0
    last = report.runs[0] if report.runs else {}
    cards = [
        ("Turns that looked something up", str(report.turns), f"{report.late} too late", ""),
        ("Found nothing", f"{share:.1%}", f"{report.found_nothing} turns", _mark(share <= 0.1)),
        ("Passages never found", f"{never:.0%}", f"{len(report.never)} of {report.passages}", ""),
        (
            "Completeness of the last run",
            f"{last['completeness']:.1%}" if last else "–",
            f"{len(report.dead_letters)} not usable",
            _mark(not report.dead_letters),
        ),
        (
            "From change to answerable",
            f"{last['freshness_lag_s']:.0f} s" if last else "–",
            "longest of the last run",
            "",
        ),
    ]
    return '<ul class="cards">' + "".join(
        f'<li class="card {kind}"><span class="name">{escape(name)}</span>'
        f'<span class="value">{escape(value)}</span><span class="of">{escape(of)}</span></li>'
        for name, value, of, kind in cards
    ) + "</ul>"  # fmt: skip


def _mark(good: bool) -> str:
    return "good" if good else "bad"


def _unanswered(report: Report) -> str:
    rows = [
        (each.question, str(each.times), day_and_time(each.last_at)) for each in report.unanswered
    ]
    return (
        "<h2>Questions that found nothing</h2><p>In the callers' words, as they were heard. What "
        "is asked often belongs into the documents.</p>"
        + _table(("question", "times", "last"), rows, numbers=(1,))
    )


def _scores(report: Report) -> str:
    if not report.weeks:
        return ""
    now = report.weeks[-1].scores
    before = [sum(week.scores[step] for week in report.weeks[:-1]) for step in range(SCORE_STEPS)]
    shares = [[each / max(1, sum(counts)) for each in counts] for counts in (now, before)]
    top = max(0.05, *(each for counts in shares for each in counts))
    width = (_WIDTH - _LEFT) / SCORE_STEPS
    height = _HEIGHT - _BOTTOM - 10

    def y(share: float) -> float:
        return round(_HEIGHT - _BOTTOM - share / top * height, 1)

    bars = "".join(
        f'<rect class="bar now" x="{_LEFT + step * width + 1:.1f}" y="{y(share)}" '
        f'width="{width - 2:.1f}" height="{_HEIGHT - _BOTTOM - y(share):.1f}">'
        f"<title>{step / SCORE_STEPS:.2f} and more: {share:.0%}</title></rect>"
        for step, share in enumerate(shares[0])
    )
    points = " ".join(
        f"{_LEFT + step * width:.1f},{y(share)} {_LEFT + (step + 1) * width:.1f},{y(share)}"
        for step, share in enumerate(shares[1])
    )
    line = f'<polyline class="line before" points="{points}"/>' if sum(before) else ""
    ticks = "".join(
        f'<text class="mid" x="{_LEFT + each * (_WIDTH - _LEFT):.0f}" y="{_HEIGHT - 6}">'
        f"{each:.1f}</text>"
        for each in (0.0, 0.2, 0.4, 0.6, 0.8)
    )
    levels = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y(top * part)}" y2="{y(top * part)}"/>'
        f'<text class="end" x="{_LEFT - 6}" y="{y(top * part) + 4}">{top * part:.0%}</text>'
        for part in (0.0, 0.5, 1.0)
    )
    return (
        '<div class="panel"><h3>Score of the best passage</h3>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Best scores">'
        f"{levels}{bars}{line}{ticks}</svg>"
        '<p class="soft"><span class="key now"></span>last seven days, '
        f'{sum(now)} turns<span class="key before"></span>before, {sum(before)} turns</p></div>'
    )


def _weeks(report: Report) -> str:
    rows = [
        (
            day_and_time(week.begins_at).split(" ")[0],
            str(week.turns),
            str(week.found_nothing),
            str(week.late),
            f"{week.median_score:.2f}" if week.median_score is not None else "–",
        )
        for week in reversed(report.weeks)
    ]
    heads = ("seven days from", "turns", "found nothing", "late", "median score")
    table = _table(heads, rows, numbers=(1, 2, 3, 4))
    return f'<div class="panel"><h3>Week by week</h3>{table}</div>'


def _passages(report: Report) -> str:
    used = [
        (f"{use.title} › {use.heading}" if use.heading else use.title, str(use.found),
         str(use.best), use.passage_id)
        for use in report.used
    ]  # fmt: skip
    never = [(name,) for name in report.never]
    documents = [(name,) for name in report.unused_documents]
    return (
        "<h2>What is found, and what never</h2>"
        + _table(("passage", "found", "as the best", "id"), used, numbers=(1, 2))
        + _more(f"{len(documents)} documents of which nothing was found", ("document",), documents)
        + _more(f"{len(never)} passages that were never found", ("passage",), never)
    )


def _freshness(report: Report) -> str:
    sources = [
        (str(source["name"]), day_and_time(float(source["answered_at"])), str(source["reason"]))
        for source in report.sources
    ]
    letters = [
        (each.document, each.reason, day_and_time(each.since)) for each in report.dead_letters
    ]
    return (
        "<h2>How fresh it is</h2>"
        + _table(("source", "last answered", "what was wrong"), sources)
        + _more(
            f"{len(letters)} documents that cannot be used", ("document", "why", "since"), letters
        )
        + _more(
            f"{len(report.expired)} documents past their last day",
            ("document", "valid until"),
            report.expired,
        )
        + _more(f"{len(report.notes)} documents to look at", ("document", "why"), report.notes)
    )


def _runs(report: Report) -> str:
    rows = [
        (
            day_and_time(run["started_at"]),
            str(run["version"]) + ("" if run["promoted"] else " (held back)"),
            str(run["fetched"]),
            str(run["refused"]),
            str(run["embedded"]),
            f"{run['seconds']:.1f}",
            f"{run['freshness_lag_s']:.0f}",
        )
        for run in report.runs
    ]
    heads = ("run", "version", "fetched", "refused", "embedded", "seconds", "lag, s")
    versions = [(version, str(turns)) for version, turns in report.versions.items()]
    return (
        "<h2>Where this comes from</h2>"
        + _table(heads, rows, numbers=(2, 3, 4, 5, 6))
        + _more("Versions that answered these turns", ("version", "turns"), versions)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    if not rows:
        return '<p class="soft">None.</p>'
    kinds = ['class="num"' if column in numbers else "" for column in range(len(heads))]
    head = "".join(f"<th {k}>{escape(h)}</th>" for h, k in zip(heads, kinds, strict=True))
    body = "".join(f"<tr>{_cells(row, kinds)}</tr>" for row in rows[:_ROWS])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    if len(rows) <= _ROWS:
        return table
    rest = "".join(f"<tr>{_cells(row, kinds)}</tr>" for row in rows[_ROWS : 8 * _ROWS])
    left = len(rows) - _ROWS
    return f"{table}<details><summary>{left} more</summary><table>{rest}</table></details>"


def _cells(row: Iterable[str], kinds: Sequence[str]) -> str:
    return "".join(f"<td {k}>{escape(cell)}</td>" for cell, k in zip(row, kinds, strict=True))


def _more(summary: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"<details><summary>{escape(summary)}</summary>{_table(heads, rows)}</details>"
