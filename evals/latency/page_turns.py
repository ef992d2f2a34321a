"""The page's turns: where each wait went, and what was said. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

from evals.latency.figures import STOCK, Run, Turn, calls, gap_of, headline_part, turns
from evals.latency.waterfall import LINE, NOTICING, PACKET_PHASE, PARTS

MEANING = {
    NOTICING: "until the agent took the last sound for the last",
    "silence": "silence that had to pass to be sure the caller was done",
    "transcription": "turning the last words into text",
    "retrieval": "finding the fitting passages",
    "first_token": "the language model's first word",
    "first_clause": "the rest of its first clause",
    "synthesis": "making it sound",
    "gate": "letting it out",
    "playout": "until it left the gateway",
    LINE: "the telephone line and its buffers, both ways",
    PACKET_PHASE: "a packet that the SIP stack held all call long, as its clock fell",
    "unexplained": "not accounted for by the agent's record",
}
_ORDER = (NOTICING, *PARTS, LINE, PACKET_PHASE, "unexplained")
_NAMES = {
    "questions": "Questions of a synthetic voice",
    "recorded": "Recorded people",
    "interruptions": "Interruptions",
    "sounds": "Under coughs, “mm-hm” and noises",
    "pauses": "Callers who pause",
    "load": "Several callers at once",
    "stock": "By turns with the stock pipeline",
}
MOST_ROWS = 60


def waterfall_section(run: Run) -> str:
    """The median turn's parts, large, and each turn's, small."""
    head = "<h2>Where the wait goes</h2>"
    medians = run["summary"]["waterfall_p50_ms"]
    found = [turn for _, turn in turns(run, headline_part(run)) if turn.get("waterfall")]
    if not medians or not found:
        whys = dict.fromkeys(call["no_record"] for call in calls(run) if call.get("no_record"))
        why = f" ({'; '.join(whys)})" if whys else ""
        return f'{head}<p class="soft">There is no record of the agent to tell{escape(why)}.</p>'
    total = sum(max(0.0, ms) for ms in medians.values())
    legend = "".join(
        f'<li><span class="key" style="background:{_colour(name)}"></span>'
        f"<strong>{escape(_label(name))}</strong> {medians[name]:,.0f} ms — "
        f"{escape(MEANING.get(name, ''))}</li>"
        for name in _ordered(medians)
    )
    slowest = max(turn["waterfall"]["wire_ms"] for turn in found)
    rows = sorted(found, key=lambda turn: float(turn["waterfall"]["wire_ms"]))
    shown = rows if len(rows) <= MOST_ROWS else rows[:: -(-len(rows) // MOST_ROWS)]
    return (
        f"{head}<p>The median of each part, in the order in which the time is spent; they overlap "
        "in time, so each shows only what it added. The parts are the agent's own record, the line "
        "was measured beforehand, and what the caller's wait has beyond them is said.</p>"
        f'<div class="panel"><h3>The median turn</h3>'
        f"{_bar(medians, total, 'big')}<ul class='legend'>{legend}</ul></div>"
        f"<details open><summary>Each turn, fastest first ({len(shown)} of {len(rows)})</summary>"
        f'<div class="rows">{"".join(_row(turn, slowest) for turn in shown)}</div></details>'
    )


def _row(turn: Turn, slowest: float) -> str:
    fall = turn["waterfall"]
    parts = fall["parts"] | {"unexplained": fall["unexplained_ms"]}
    why = f'<span class="why">{fall["unexplained_ms"]:+.0f} ms: {escape(fall["why"])}</span>'
    return (
        f'<span class="said" title="{escape(turn["said"])}">{escape(turn["said"])}</span>'
        f'{_bar(parts, slowest)}<span class="ms">{fall["wire_ms"]:,.0f} ms</span>'
        f"{why if fall['why'] else ''}"
    )


def _bar(parts: Mapping[str, float], full: float, size: str = "") -> str:
    """Stacked parts, ``full`` being the whole width. A part below nought takes no room."""
    pieces = "".join(
        f'<span style="width:{ms / full * 100:.2f}%;background:{_colour(name)}" '
        f'title="{escape(_label(name))}: {ms:,.0f} ms"></span>'
        for name in _ordered(parts)
        if (ms := parts[name]) > 0
    )
    words = ", ".join(f"{_label(name)} {parts[name]:,.0f} ms" for name in _ordered(parts))
    return f'<div class="stack {size}" role="img" aria-label="{escape(words)}">{pieces}</div>'


def _ordered(parts: Mapping[str, float]) -> list[str]:
    known = [name for name in _ORDER if name in parts]
    rest = [name for name in parts if name not in _ORDER]
    at = next((place for place, name in enumerate(known) if name == LINE), len(known))
    return [*known[:at], *rest, *known[at:]]


def _colour(name: str) -> str:
    return f"var(--{name})" if name in _ORDER else "var(--soft)"


def _label(name: str) -> str:
    return {"gate": "release", LINE: "line"}.get(name, name.replace("_", " "))


def turns_section(run: Run) -> str:
    """What was said, heard and answered, part by part."""
    sections = []
    for stack in ("ours", STOCK):
        listed = list(calls(run, stack=stack))
        listed.sort(key=lambda call: _place(call["part"]))
        for part, some in groupby(listed, key=lambda call: str(call["part"])):
            rows = [_turn(turn) for call in some for turn in _made(call)]
            if rows:
                name = _NAMES.get(part, part) if stack == "ours" else "The stock pipeline's answers"
                is_open = " open" if part == headline_part(run) and stack == "ours" else ""
                sections.append(
                    f"<details{is_open}><summary>{escape(name)} ({len(rows)})</summary>"
                    f"{_table(rows)}</details>"
                )
    return f"<h2>What was said</h2>{''.join(sections) or '<p class=soft>Nothing.</p>'}"


def _place(part: str) -> int:
    return list(_NAMES).index(part) if part in _NAMES else len(_NAMES)


_COLUMNS = ("said", "heard", "answered", "wait", "stopped after", "remarks")


def _table(rows: list[str]) -> str:
    heads = "".join(
        f'<th scope="col"{" class=num" if name in ("wait", "stopped after") else ""}>{name}</th>'
        for name in _COLUMNS
    )
    body = "".join(rows)
    return f'<table class="turns"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _made(call: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The turns and the sounds of a call in the order in which they were made."""
    return sorted([*call["turns"], *call.get("sounds", ())], key=lambda one: one["began_s"])


def _turn(turn: Mapping[str, Any]) -> str:
    if "sound" in turn:
        cells = [f"({escape(turn['sound'])})", escape(turn.get("heard") or ""), "", "", ""]
        return _cells([*cells, _sound_remark(turn)])
    said = escape(turn["said"]) + (" <em>(interrupting)</em>" if turn["interrupts"] else "")
    return _cells(
        [
            said,
            escape(turn.get("heard") or ""),
            escape(turn.get("answer") or ""),
            _ms(turn.get("voice_to_voice_ms")) or '<span class="wrong">no answer</span>',
            _ms(turn.get("barge_in_stop_ms")),
            _remarks(turn),
        ]
    )


def _cells(cells: list[str]) -> str:
    filled = (
        f'<td data-label="{name}"{" class=num" if name in ("wait", "stopped after") else ""}>'
        f"{cell}</td>"
        for name, cell in zip(_COLUMNS, cells, strict=True)
    )
    return f"<tr>{''.join(filled)}</tr>"


def _sound_remark(sound: Mapping[str, Any]) -> str:
    if not sound["agent_ran"]:
        return "the agent was silent already"
    if sound["stopped_for_good"]:
        return '<span class="wrong">the agent stopped for good</span>'
    if sound["silent_for_ms"] > 0:
        return f'<span class="right">went on; silent for {sound["silent_for_ms"]:,.0f} ms</span>'
    return '<span class="right">went on</span>'


def _remarks(turn: Turn) -> str:
    remarks = []
    if turn.get("filler"):
        remarks.append(f"began with “{escape(turn['filler'])}”")
    if turn.get("right") is not None:
        remarks.append(
            '<span class="right">right</span>'
            if turn["right"]
            else '<span class="wrong">not what the knowledge says</span>'
        )
    if turn.get("cut_ins"):
        remarks.append('<span class="wrong">the agent cut in</span>')
    gap_ms = gap_of(turn) or 0.0
    if gap_ms > 60:
        remarks.append(f'<span class="wrong">a gap of {gap_ms:,.0f} ms</span>')
    return ", ".join(remarks)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
