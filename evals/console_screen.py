"""How long an event takes until it is on a supervisor's screen: `python -m evals.console_screen`.

The whole way: a simulated gateway tells of many calls, the console runs as its own process, and the
live board is open in headless Chromium. A turn is on screen when its line shows its wait and the
browser has drawn that frame. The page's processor time is that of Chromium's renderer; with what
its drawing process needs, which a graphics card would do, it is given beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from evals.console import PASSWORD, REACH_MS, USER, console_process, cpu_s
from evals.console_events import SimulatedCalls, serving
from voice_agent.console.facts import percentile

REACH_CPU_SHARE = 0.30
_SETTLE_S = 3.0
_WATCH = """() => {
  window.shown = [];
  const board = document.querySelector("tbody");
  new MutationObserver((changes) => {
    const seen = new Map();
    for (const { target, addedNodes } of changes) {
      // A call may begin and take its first turn within one frame.
      for (const line of addedNodes) {
        if (line.dataset?.call) {
          seen.set(line.dataset.call, line.querySelector(".c-latency").textContent);
        }
      }
      const cell = (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)
        ?.closest?.(".c-latency");
      const line = cell?.closest("tr");
      if (line) seen.set(line.dataset.call, cell.textContent);
    }
    if (!seen.size) return;
    // The frame after this one begins when this one has been drawn.
    requestAnimationFrame(() => {
      const at = (performance.timeOrigin + performance.now()) / 1000;
      for (const [call, text] of seen) window.shown.push([call, text, at]);
    });
  }).observe(board, { subtree: true, childList: true, characterData: true });
}"""


class TimedCalls(SimulatedCalls):
    """Simulated calls that keep, for each call, the wait each turn told of and when (Unix s)."""

    def __init__(self, calls: int) -> None:
        self.told: dict[str, list[tuple[int, float]]] = defaultdict(list)
        super().__init__(calls)

    def _tell(self, event: str, **fields: Any) -> None:
        if event == "turn":
            wait_ms = int(fields["data"]["voice_to_voice_ms"])
            turns = self.told[fields["call_id"]]
            # The same wait twice in a row changes nothing that could be seen.
            if not turns or turns[-1][0] != wait_ms:
                turns.append((wait_ms, time.time()))
        super()._tell(event, **fields)


def waits_ms(
    told: Mapping[str, Sequence[tuple[int, float]]], shown: Sequence[tuple[str, str, float]]
) -> tuple[list[float], int]:
    """For each turn the ms until it was shown, and how many never were.

    A turn overtaken by the next of its call within one frame counts as shown with that one.
    """
    found: list[float] = []
    begun: dict[str, int] = defaultdict(int)
    for call_id, text, at in shown:
        digits = "".join(each for each in text if each.isdigit())
        turns = told.get(call_id, [])
        for place in range(begun[call_id], len(turns)):
            if str(turns[place][0]) == digits:
                found += [(at - sent) * 1000 for _, sent in turns[begun[call_id] : place + 1]]
                begun[call_id] = place + 1
                break
    return found, sum(len(turns) for turns in told.values()) - len(found)


def browser_cpu_s(profile: Path) -> dict[str, float]:
    """Processor seconds so far of the browser that uses this profile, by kind of process."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # it may have ended meanwhile
            status = (folder / "stat").read_text(encoding="utf-8")
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
    family = {pid for pid, command in commands.items() if f"={profile}" in command}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    used: dict[str, float] = defaultdict(float)
    for pid in family:
        kind = commands.get(pid, "").partition("--type=")[2].partition("\0")[0].split()
        with suppress(OSError):
            used[kind[0] if kind else "browser"] += cpu_s(pid)
    return used


@asynccontextmanager
async def _board(url: str, profile: Path) -> AsyncIterator[tuple[Page, list[str]]]:
    """The live board of somebody who signed in, and what its console complained of."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            viewport={"width": 1280, "height": 800},
        )
        try:
            page, complaints = context.pages[0], list[str]()
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if message.type == "error" else None
                ),
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(url)
            await page.get_by_label("User name").fill(USER)
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in", exact=True).click()
            await page.locator("tbody tr").first.wait_for(timeout=60_000)
            yield page, complaints
        finally:
            await context.close()


async def measure(calls: int, seconds: float, per_s: float) -> dict[str, Any]:
    """Let it run; how long each turn took to the screen, and what the page needed."""
    simulated = TimedCalls(calls)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            serving(simulated) as control,
            console_process(folder, control) as (url, _),
            _board(url, folder / "profile") as (page, complaints),
        ):
            await asyncio.sleep(_SETTLE_S)
            await page.evaluate(_WATCH)
            before, began = browser_cpu_s(folder / "profile"), time.monotonic()
            going = asyncio.create_task(simulated.go_on(per_s))
            await asyncio.sleep(seconds)
            going.cancel()
            after, took_s = browser_cpu_s(folder / "profile"), time.monotonic() - began
            await asyncio.sleep(_SETTLE_S)
            shown = await page.evaluate("window.shown")
    # Of a call that ended within the frame of its last turn, nothing is left to show.
    told = {each: turns for each, turns in simulated.told.items() if each in simulated.live}
    waits, never = waits_ms(told, shown)
    share = {kind: (after[kind] - before.get(kind, 0.0)) / took_s for kind in after}
    return {
        "calls": calls,
        "events_per_s": per_s,
        "turns": len(waits),
        "never_shown": never,
        "event_to_screen_median_ms": _rounded(percentile(waits, 0.5)),
        "event_to_screen_p95_ms": _rounded(percentile(waits, 0.95)),
        "event_to_screen_max_ms": _rounded(max(waits, default=None)),
        "page_cpu_share": round(share.get("renderer", 0.0), 3),
        "page_and_drawing_cpu_share": round(
            share.get("renderer", 0.0) + share.get("gpu-process", 0.0), 3
        ),
        "console_errors": len(complaints),
        "reach_ms": REACH_MS,
        "reach_cpu_share": REACH_CPU_SHARE,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def reached(found: Mapping[str, Any]) -> bool:
    """Whether every figure is what was promised."""
    p95 = found["event_to_screen_p95_ms"]
    return (
        p95 is not None
        and p95 <= REACH_MS
        and found["page_cpu_share"] <= REACH_CPU_SHARE
        and not found["never_shown"]
        and not found["console_errors"]
    )


def main() -> int:
    """Exit code 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--per-s", type=float, default=40, help="events a second, of all calls")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.calls, asked.seconds, asked.per_s))
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:28}{value}")
    return 0 if reached(found) else 1


if __name__ == "__main__":
    sys.exit(main())
