"""History, grading, boards, the switch, audit and users, in headless Chromium."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from playwright.async_api import Locator, Route, expect

from tests.voice_agent.console.page_stage import (
    EVIL,
    a_floor,
    a_past_call,
    boards,
    looking_at,
    people,
    proposed_answers,
    until,
)

pytestmark = pytest.mark.browser

PATIENCE_S = 30.0


async def test_a_live_call_in_the_history_has_a_length_that_grows(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    live = {"call_id": "c0", "began_at": time.time() - 65, "ended_at": None, "outcome": "live"}
    ended = {"call_id": "p3", "began_at": 5, "ended_at": 12, "outcome": "ended_by_supervisor"}
    console.answers["/api/history"] = {"calls": [live, ended], "total": 2, "outcomes": ["live"]}
    async with looking_at(console, tmp_path, "#/history") as tab:
        cells = tab.page.locator("tbody tr").nth(0).locator("td")
        await expect(cells.nth(2)).to_have_text(re.compile("^1:"))
        first = await cells.nth(2).inner_text()
        await expect(cells.nth(2)).not_to_have_text(first)
        await expect(cells.nth(3)).to_have_text("Live")
        await expect(tab.page.get_by_text("Ended by a supervisor")).to_be_visible()
        assert tab.complaints == []


async def test_calls_are_searched_and_the_search_is_kept_on_the_way_back(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    async with looking_at(console, tmp_path, "#/history") as tab:
        page = tab.page
        await expect(page.get_by_text("61 calls")).to_be_visible()
        await page.get_by_label("Number").fill("0018")
        await page.get_by_label("Words").fill("delivery")
        await page.get_by_label("Outcome").select_option("handed_over")
        await page.get_by_label("From").fill("2026-05-01T08:00")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Next page").click()
        await until(lambda: console.asked_for("/api/history")[-1]["page"] == "2")
        sent = console.asked_for("/api/history")
        assert sent[0] == {"page": "1"}
        assert sent[-1].pop("from").isdigit()
        assert sent[-1] == {
            "number": "0018", "words": "delivery", "outcome": "handed_over", "page": "2",
        }  # fmt: skip
        await page.get_by_role("table", name="Calls").get_by_text("+44 20 7946 0018").click()
        await expect(page.locator("[data-turn]")).to_have_count(2)
        await page.get_by_role("link", name="Back").click()
        await expect(page.get_by_label("Words")).to_have_value("delivery")
        await expect(page.get_by_label("Outcome")).to_have_value("handed_over")
        console.answers["/api/history"] = {"calls": [], "page": 1, "pages": 1, "total": 0}
        await page.get_by_role("button", name="Clear").click()
        await expect(page.get_by_text("No call fits.")).to_be_visible()
        assert tab.complaints == []


async def test_a_failed_search_can_be_tried_again(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    console.refusals["/api/history"] = (429, "rate_limited", "Too many requests. Wait a moment.")
    async with looking_at(console, tmp_path, "#/history") as tab:
        await expect(tab.page.get_by_text("Too many requests. Wait a moment.")).to_be_visible()
        console.refusals.clear()
        await tab.page.get_by_role("button", name="Try again").click()
        await expect(tab.page.get_by_text("61 calls")).to_be_visible()


async def _comes_true(element: Locator, judged: str) -> None:
    """Asked from outside: the page's policy forbids the polling that Playwright would do inside."""
    async with asyncio.timeout(PATIENCE_S):
        while not await element.evaluate(judged):
            await element.page.wait_for_timeout(20)


async def test_a_recording_plays_in_step_with_its_transcript(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    async with looking_at(console, tmp_path, "#/calls/p1") as tab:
        page = tab.page
        sound = page.locator(".replay audio")
        turns = page.locator("[data-turn]")
        await expect(turns).to_have_count(2)
        await _comes_true(sound, "each => each.readyState >= HTMLMediaElement.HAVE_METADATA")
        await turns.nth(1).click()
        await _comes_true(sound, "each => each.currentTime > 14")
        await expect(turns.nth(1)).to_have_attribute("data-playing", "")
        await page.locator(".track").click(position={"x": 180, "y": 10})
        await expect(turns.nth(0)).to_have_attribute("data-playing", "")
        await expect(turns.nth(1)).not_to_have_attribute("data-playing", "")
        await page.locator(".transcript").focus()
        await page.keyboard.press(" ")
        await _comes_true(sound, "each => !each.paused")
        await page.keyboard.press(" ")
        await _comes_true(sound, "each => each.paused")
        await expect(sound).to_have_attribute("src", "/api/calls/p1/recording")
        assert tab.complaints == []


async def test_a_call_says_by_which_permission_it_was_recorded_and_when_it_is_silent(
    tmp_path: Path,
) -> None:
    console = a_floor()
    a_past_call(console)
    console.details["p1"]["recorded"] = {
        "permission": "agreed_by_key",
        "stopped_by_caller_ms": 25_000,
        "pauses": [
            {"cause": "payment", "by": "", "from_ms": 12_000, "to_ms": 20_000},
            {"cause": "supervisor", "by": "sam", "from_ms": 22_000, "to_ms": None},
        ],
    }
    async with looking_at(console, tmp_path, "#/calls/p1") as tab:
        await expect(tab.page.locator(".call-facts")).to_contain_text(
            "Recorded, agreed by key; silent 0:12–0:20 (payment); "
            "silent 0:22–the end (supervisor: sam); stopped by the caller at 0:25"
        )
        assert tab.complaints == []


async def test_a_recording_that_is_gone_is_explained(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    console.refusals["/recording"] = (404, "not_found", "There is no recording of that call.")
    async with looking_at(console, tmp_path, "#/calls/p1") as tab:
        await expect(tab.page.get_by_text("The recording cannot be played.")).to_be_visible()


async def test_an_answer_is_graded_corrected_kept_and_proposed(tmp_path: Path) -> None:
    console = a_floor()
    a_past_call(console)
    console.answers["/api/turns/t1/evaluation"] = {"added": True, "file": "var/evaluation.yaml"}
    async with looking_at(console, tmp_path, "#/calls/p1") as tab:
        page = tab.page
        await page.locator("[data-turn=t1]").click()
        grades = page.get_by_role("group", name="Grade")
        await grades.get_by_role("button", name="Wrong").click()
        await expect(page.locator("[data-turn=t1] .facts")).to_contain_text("Wrong")
        await expect(grades.get_by_role("button", name="Wrong")).to_have_attribute(
            "aria-pressed", "true"
        )
        await page.get_by_label("Better answer").fill("Two to three days.")
        arrives = asyncio.Event()

        async def late(route: Route) -> None:
            await arrives.wait()
            await route.continue_()

        await page.route("**/api/turns/t1/grade", late)
        await page.get_by_role("button", name="Save correction").dblclick()
        await page.get_by_role("button", name="Add to evaluation set").click()
        arrives.set()
        await expect(page.get_by_text("Added to the evaluation set.")).to_be_visible()
        await page.get_by_role("button", name="Propose as verified answer").click()
        await expect(page.get_by_text("Proposed as a verified answer.")).to_be_visible()
        grading = page.locator(".grading")
        await expect(grading).to_contain_text("In the evaluation set (var/evaluation.yaml).")
        await expect(grading.get_by_role("link", name="Answer proposed")).to_be_visible()
        assert console.asked == [
            ("POST", "/api/turns/t1/grade", {"grade": "wrong"}),
            ("POST", "/api/turns/t1/grade",
             {"grade": "wrong", "correction": "Two to three days."}),
            ("POST", "/api/turns/t1/evaluation", {}),
            ("POST", "/api/turns/t1/verified-answer", {"text": "Two to three days."}),
        ]  # fmt: skip
        console.refusals["/grade"] = (409, "no_such_turn", "The turn was erased.")
        await grades.get_by_role("button", name="Unsafe").click()
        await expect(page.get_by_text("The turn was erased.")).to_be_visible()
        await expect(grades.get_by_role("button", name="Wrong")).to_have_attribute(
            "aria-pressed", "true"
        )


@pytest.mark.parametrize("name", ["operations", "quality", "business", "compliance"])
async def test_each_reader_has_a_board_with_charts_and_tables(tmp_path: Path, name: str) -> None:
    console = a_floor()
    boards(console)
    async with looking_at(console, tmp_path, f"#/boards/{name}") as tab:
        page = tab.page
        chart = page.get_by_role("figure").filter(has_text="Voice to voice")
        await expect(chart.get_by_role("img")).to_have_attribute(
            "aria-label",
            "Voice to voice: median last 431, from 380 to 529 ms; "
            "95 % last 818.9, from 722 to 1,005.1 ms",
        )
        # One line with a gap is two strokes.
        assert (await chart.locator(".series-1 .curve").get_attribute("d") or "").count("M") == 2
        await chart.get_by_text("As a table").click()
        await expect(chart.get_by_role("row")).to_have_count(25)
        await expect(page.locator("rect").filter(has_text="Handed over: 201")).to_have_count(1)
        await expect(page.get_by_role("table", name="Errors")).to_contain_text(EVIL)
        await expect(page.get_by_text("Nothing in this time.")).to_have_count(2)
        for table, words in {
            "Errors": "Language model timeout", "Guards": "Recordings: payment",
            "Counters": "Gateway calls: sip, no agent", "Wait": "First clause checked",
            "Users": "ada_h",
        }.items():  # fmt: skip
            await expect(page.get_by_role("table", name=table, exact=True)).to_contain_text(words)
        pruned = page.locator(".tiles.big > div").filter(has_text="Last pruned")
        assert re.search(r"\d\d:\d\d", await pruned.inner_text()), "in the reader's own time"
        await page.get_by_label("Period").select_option("Last week")
        await until(lambda: len(console.asked_for(f"/api/boards/{name}")) == 2)
        assert console.asked_for(f"/api/boards/{name}") == [{"hours": "24"}, {"hours": "168"}]
        await expect(page.locator(".tiles.big > div")).to_have_count(5)
        assert await page.locator("img").count() == 0
        assert tab.complaints == []


async def test_the_switch_needs_a_reason_and_is_seen_at_once(tmp_path: Path) -> None:
    console = a_floor()
    console.answers["/api/answering"] = {
        "drills": [{"at": 1_780_000_000, "new_calls_s": 0.41, "live_calls_s": 1.9, "dropped": 0}]
    }
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        await page.get_by_role("button", name="Agents answer").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_label("Reason")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("A reason is needed")
        await page.keyboard.type("Wrong prices")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Agents are off")).to_be_visible()
        assert console.bodies("/api/answering") == [
            {"scope": "all", "name": "", "on": True, "reason": "Wrong prices"}
        ]
        await page.get_by_role("link", name="Switch").click()
        await expect(page.get_by_role("heading", name="Agents are off the phones")).to_be_visible()
        await expect(page.get_by_role("table", name="Drills")).to_contain_text("0.41")
        queues = page.get_by_role("table", name="Queues and routes")
        await expect(queues.get_by_text("Off (all)")).to_have_count(3)
        await page.get_by_role("button", name="Take agents off: queue returns").click()
        await page.get_by_label("Reason").fill("Training")
        await page.get_by_role("dialog").get_by_role("button", name="Take agents off").click()
        row = page.get_by_role("row").filter(has_text="Queue returns")
        await expect(row).to_contain_text("Training")
        await page.get_by_role("button", name="Let agents answer: all calls").click()
        await expect(dialog).to_contain_text("Switched off by sam: Wrong prices.")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await page.get_by_role("button", name="Let agents answer: all calls").click()
        await page.get_by_label("Reason").fill("Corrected")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Agents off: returns")).to_be_visible()
        assert tab.complaints == []


async def test_a_switch_that_fails_says_so_and_can_be_tried_again(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        console.refusals["/api/answering"] = (502, "gateway", "The gateway does not answer.")
        await page.get_by_role("button", name="Agents answer").click()
        await page.keyboard.type("Wrong prices")
        await page.keyboard.press("Enter")
        alert = page.get_by_role("dialog").get_by_role("alert")
        await expect(alert).to_have_text("The gateway does not answer.")
        console.refusals.clear()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Agents are off")).to_be_visible()


async def test_the_audit_log_says_whether_its_chain_holds(tmp_path: Path) -> None:
    console = a_floor()
    people(console)
    async with looking_at(console, tmp_path, "#/audit") as tab:
        page = tab.page
        await expect(page.get_by_text("The chain holds")).to_be_visible()
        await expect(page.get_by_role("table", name="Audit log")).to_contain_text(EVIL)
        await expect(page.get_by_text("Not signed")).to_be_visible()
        console.answers["/api/audit"] = console.answers["/api/audit"] | {
            "verified": False, "faults": ["line 7 was changed"], "signed": True, "unsigned": 3,
        }  # fmt: skip
        await page.reload()
        await expect(page.get_by_text("The chain is broken")).to_be_visible()
        await expect(page.get_by_text("line 7 was changed")).to_be_visible()
        await expect(page.get_by_text("the first 3 entries")).to_be_visible()
        assert tab.complaints == []


async def test_a_proposed_answer_is_approved_by_somebody_else(tmp_path: Path) -> None:
    console = a_floor()
    proposed_answers(console)
    async with looking_at(console, tmp_path, "#/answers") as tab:
        page = tab.page
        first = page.locator('[data-proposal="q1"]')
        await expect(first).to_contain_text(EVIL)
        await expect(page.locator('[data-proposal="q2"]').get_by_role("button")).to_have_count(0)
        approved = page.locator('[data-proposal="q3"]')
        await expect(approved).to_contain_text("Approved by ada")
        await expect(approved).to_contain_text("In a version (not yet)")
        await expect(page.locator('[data-proposal="q4"]')).to_contain_text("In version 3f2a91bc")
        await expect(page.locator('[data-proposal="q5"]')).to_contain_text("Rejected")
        await expect(page.get_by_text("One approved answer is not said yet")).to_be_visible()
        await expect(page.locator(".command")).to_have_text("voice-agent knowledge build")
        console.refusals["/approve"] = (409, "conflict", "It was rejected already.")
        await first.get_by_role("button", name="Approve").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Approve").click()
        await expect(dialog.get_by_role("alert")).to_have_text("It was rejected already.")
        console.refusals.clear()
        await dialog.get_by_role("button", name="Approve").click()
        await expect(dialog).to_have_count(0)
        await first.get_by_role("button", name="Reject").click()
        await dialog.get_by_role("button", name="Reject").click()
        await expect(page.get_by_text("Rejected.")).to_be_visible()
        assert [path for _, path, _ in console.asked] == [
            "/api/proposals/q1/approve",
            "/api/proposals/q1/approve",
            "/api/proposals/q1/reject",
        ]
        assert await page.locator("img").count() == 0
