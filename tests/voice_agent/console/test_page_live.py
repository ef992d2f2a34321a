"""The live board and one live call, in headless Chromium."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.voice_agent.console.fake_console import PASSWORD, FakeConsole, a_call
from tests.voice_agent.console.page_stage import EVIL, TURNS, a_floor, looking_at

pytestmark = pytest.mark.browser


async def test_somebody_signs_in_with_a_code_and_out_again(tmp_path: Path) -> None:
    console = a_floor()
    console.signed_in, console.totp = False, "123456"
    async with looking_at(console, tmp_path, "") as tab:
        page = tab.page
        await expect(page.get_by_label("User name")).to_be_focused()
        await page.keyboard.type("sam")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
        await expect(page.get_by_role("link", name="Use your company account")).to_be_visible()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_label("Code from your authenticator").fill("123 456")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("table", name="Live calls")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Console")).to_be_visible()
        # What the browser itself says of the three refused answers.
        assert all("status of 401" in complaint for complaint in tab.complaints)


async def test_the_board_follows_calls_with_alarms_on_top(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(12)
        await expect(rows.first).to_have_attribute("data-call", "c3")
        await expect(rows.nth(1)).to_have_attribute("data-call", "c5")
        alarms = page.get_by_role("region", name="Alarms")
        await expect(alarms.get_by_role("listitem")).to_have_count(2)
        await expect(page).to_have_title("(1) Live · Console")

        new = a_call("n1", caller=EVIL, snippet=EVIL, queue=EVIL)
        console.change("n1", **new)
        console.change("c9", mood="vulnerable", latency_ms=1_612, risk=0.8, road="clarify")
        console.alarm(id="a9", severity="critical", call_id="c9", message=f"Risk {EVIL}")
        row = page.locator('tr[data-call="c9"]')
        await expect(row).to_contain_text("Vulnerable")
        await expect(row).to_contain_text("1,612 ms")
        await expect(row).to_contain_text("80 %")
        await expect(row).to_contain_text("Asked back")
        await expect(page.locator('tr[data-call="n1"] th')).to_contain_text(EVIL)
        await expect(alarms.get_by_role("listitem").first).to_contain_text(f"Risk {EVIL}")
        assert await page.locator("img").count() == 0

        console.alarm(id="a9", severity="critical", call_id="c9", message="", cleared=True)
        await expect(alarms.get_by_role("listitem")).to_have_count(2)
        await alarms.get_by_role("button", name="Hide alarm: The caller seems upset.").click()
        await expect(alarms.get_by_role("listitem")).to_have_count(1)
        console.end("c3")
        await expect(page.locator('tr[data-call="c3"]')).to_have_count(0)
        await expect(alarms).to_contain_text("No alarms")
        await expect(page.locator('[data-tile="calls"] dd')).to_have_text("12")
        assert tab.complaints == []
        assert tab.hosts == {console.url.removeprefix("http://")}


async def test_an_alarm_that_comes_again_is_said_again_and_none_takes_the_focus(
    tmp_path: Path,
) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        alarms = tab.page.get_by_role("region", name="Alarms")
        aloud = alarms.get_by_role("alert")
        await expect(aloud).to_have_text("A caller has waited 41 s for a person.")
        hide = alarms.get_by_role("button", name="Hide alarm: The caller seems upset.")
        await hide.focus()
        again = {"id": "a1", "severity": "critical", "call_id": "c3"}
        console.alarm(**again, message="A caller has waited 1 min for a person.")
        await expect(alarms.get_by_role("listitem").first).to_contain_text("1 min")
        await expect(hide).to_be_focused()
        console.alarm(**again, message="", cleared=True)
        await expect(alarms.get_by_role("listitem")).to_have_count(1)
        await expect(hide).to_be_focused()
        console.alarm(**again, message="A caller has waited 2 min for a person.")
        await expect(aloud).to_have_text("A caller has waited 2 min for a person.")
        await expect(hide).to_be_focused()
        await hide.press("Enter")
        await expect(alarms.get_by_role("button", name="Hide alarm: A caller")).to_be_focused()


async def test_the_board_is_filtered_and_walked_with_keys(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        shown = page.locator("tbody tr:visible")
        await expect(shown).to_have_count(12)
        await page.keyboard.press("/")
        await page.keyboard.type("0011")
        await expect(shown).to_have_count(1)
        await page.get_by_label("Filter calls").fill("nothing like it")
        await expect(page.get_by_text("No call fits the filter.")).to_be_visible()
        await page.get_by_label("Filter calls").fill("")
        await page.get_by_role("button", name="Need somebody").click()
        await expect(shown).to_have_count(2)
        await page.get_by_role("button", name="With a person").click()
        await expect(shown).to_have_count(1)
        await page.get_by_role("button", name="All", exact=True).click()
        await page.keyboard.press("j")
        await expect(shown.first.locator("a")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("+44 20 7946 0005")
        await page.go_back()
        await expect(page.locator('tr[data-call="c5"] a')).to_be_focused()
        for key, title in (("h", "History"), ("b", "Operations"), ("l", "Live calls")):
            await page.keyboard.press("g")
            await page.keyboard.press(key)
            await expect(page.locator("h1").first).to_have_text(title)
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("Hand back")
        await page.get_by_label("Use single keys").uncheck()
        await page.get_by_role("button", name="Close").click()
        await page.keyboard.press("/")
        await expect(page.get_by_label("Filter calls")).not_to_be_focused()


async def test_lines_keep_their_places_under_the_pointer(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        rows = tab.page.locator("tbody tr")
        await expect(rows).to_have_count(12)
        await rows.nth(6).hover()
        before = [await each.get_attribute("data-call") for each in await rows.all()]
        console.alarm(id="a7", severity="critical", call_id="c0", message="Look at this one")
        await expect(tab.page.locator('tr[data-call="c0"]')).to_have_attribute("data-rank", "0")
        assert [await each.get_attribute("data-call") for each in await rows.all()] == before
        await tab.page.mouse.move(5, 5)
        await expect(rows.nth(1)).to_have_attribute("data-call", "c0")


async def test_a_lost_stream_of_events_is_said_and_found_again(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        await expect(page.locator(".connection")).to_have_text("Live")
        console.refusals["/api/events"] = (503, "down", "Down")
        console.drop_listeners()
        await expect(page.locator(".connection")).to_contain_text("Reconnecting… As of")
        await expect(page.locator("main")).to_have_attribute("data-stale", "")
        console.calls.pop("c1")
        console.refusals.clear()
        await expect(page.locator(".connection")).to_have_text("Live")
        await expect(page.locator('tr[data-call="c1"]')).to_have_count(0)
        await expect(page.locator("main[data-stale]")).to_have_count(0)
        console.tell(event="gateway", state="down")
        await expect(page.locator(".connection")).to_contain_text("Gateway is silent. As of")
        await expect(page.locator("main")).to_have_attribute("data-stale", "")
        console.tell(event="gateway", state="up")
        await expect(page.locator("main[data-stale]")).to_have_count(0)


async def test_who_was_signed_out_while_watching_is_asked_to_sign_in(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        await expect(tab.page.locator("tbody tr")).to_have_count(12)
        console.signed_in = False
        console.drop_listeners()
        await expect(tab.page.get_by_label("User name")).to_be_visible()


async def test_watching_is_using_and_looking_at_users_is_not(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        await tab.page.clock.install()
        await tab.page.reload()
        await expect(tab.page.locator("tbody tr")).to_have_count(12)
        asked = console.queries.count(("/api/me", {}))
        async with tab.page.expect_response("**/api/me"):
            await tab.page.clock.fast_forward(41_000)
        assert console.queries.count(("/api/me", {})) == asked + 1
        await tab.page.goto(f"{console.url}/#/users")
        await expect(tab.page.get_by_role("heading", name="Users")).to_be_visible()
        await tab.page.clock.fast_forward(41_000)
        await tab.page.goto(f"{console.url}/#/live")
        async with tab.page.expect_response("**/api/me"):
            await tab.page.clock.fast_forward(41_000)
        assert console.queries.count(("/api/me", {})) == asked + 2


async def test_a_call_shows_what_was_heard_and_what_stands_behind_it(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        turns = page.locator("[data-turn]")
        await expect(turns).to_have_count(2)
        await expect(page.locator("h1")).to_have_text("Ada Hill")
        assert await turns.nth(0).locator(".backed").all_inner_texts() == [
            "Standard delivery takes two days.1",
            "Express arrives tomorrow.2",
        ]
        await expect(turns.nth(0).locator("del")).to_have_count(0)
        await expect(turns.nth(1).locator("del").last).to_contain_text(
            "It takes three working days to arrive."
        )
        await expect(turns.nth(1).locator("p.said span").first).to_contain_text("24 dollars")
        panel = page.get_by_role("region", name="Turn")
        await expect(panel).to_contain_text("Refund order")
        await expect(panel).to_contain_text("Repaired")
        await expect(panel.get_by_role("img")).to_have_attribute(
            "aria-label",
            "Wait of 1,262 ms: Silence after the question 300 ms, Writing it down 120 ms,"
            " Searching 20 ms, Model's first word 700 ms, Making the voice 90 ms,"
            " Kept until the turn was over 10 ms, To the line 22 ms"
        )  # fmt: skip
        await page.keyboard.press("ArrowUp")
        await expect(panel).to_contain_text("Delivery of parcels")
        await expect(page.get_by_role("region", name="The story so far")).to_contain_text(
            "A refund of 240 dollars for a sofa"
        )

        new = {"turn_id": "t3", "index": 3, "at_ms": 30_000, "caller": EVIL}
        console.tell(event="turn", call_id="c0", turn=new)
        await expect(turns).to_have_count(3)
        await expect(turns.nth(2).locator(".caller .said")).to_have_text(EVIL)
        said = new | {"agent": "Certainly.", "heard": "Certainly."}
        console.tell(event="turn", call_id="c0", turn=said)
        await expect(turns.nth(2)).to_contain_text("Certainly.")
        # A turn that a person chose stays chosen while others arrive.
        await expect(panel).to_contain_text("Delivery of parcels")
        console.tell(
            event="suggestions", call_id="c0", suggestions=[{"title": "Sofas", "text": EVIL}]
        )
        await expect(page.get_by_role("region", name="Suggested passages")).to_contain_text("Sofas")
        console.end("c0")
        await expect(page.locator(".call-head .state")).to_have_text("Ended")
        await expect(page.get_by_role("button", name="Take over")).to_be_hidden()
        assert await page.locator("img").count() == 0
        assert tab.complaints == []


async def test_turns_that_were_told_while_the_stream_was_broken_are_not_missing(
    tmp_path: Path,
) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        turns = tab.page.locator("[data-turn]")
        await expect(turns).to_have_count(2)
        await expect(tab.page.locator(".connection")).to_have_text("Live")
        missed = {"turn_id": "t3", "index": 3, "at_ms": 30_000, "caller": "And on Sundays?"}
        console.details["c0"] |= {"turns": [*TURNS, missed]}
        console.drop_listeners()
        await expect(turns).to_have_count(3)
        await expect(turns.nth(2)).to_contain_text("And on Sundays?")


async def test_a_turn_that_is_told_while_the_call_is_fetched_is_not_missing(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        await expect(page.locator("tbody tr")).to_have_count(12)

        async def tell_meanwhile(route: Route) -> None:
            answer = await route.fetch()
            told = {"turn_id": "t3", "index": 3, "at_ms": 30_000, "caller": "And on Sundays?"}
            console.tell(event="turn", call_id="c0", turn=told)
            console.alarm(id="a9", severity="critical", call_id="c9", message="Told after it")
            await expect(page.get_by_role("region", name="Alarms")).to_contain_text("Told after it")
            await route.fulfill(response=answer)

        await page.route("**/api/calls/c0", tell_meanwhile, times=1)
        await page.goto(f"{console.url}/#/calls/c0")
        await expect(page.locator("[data-turn]")).to_have_count(3)


async def test_a_call_that_is_not_there_is_explained(tmp_path: Path) -> None:
    async with looking_at(a_floor(), tmp_path, "#/calls/none") as tab:
        await expect(tab.page.get_by_role("alert").last).to_contain_text("There is no such call.")


async def test_a_role_sees_only_what_it_may_do(tmp_path: Path) -> None:
    console = a_floor()
    console.permissions = ["live", "history", "operations"]
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await expect(page.locator("[data-turn]")).to_have_count(2)
        for name in ("Listen", "Take over", "End call", "Send", "Right"):
            await expect(page.get_by_role("button", name=name)).to_have_count(0)
        assert await page.locator("nav[aria-label=Views] a").all_inner_texts() == [
            "Live", "History", "Boards",
        ]  # fmt: skip
        await expect(page.locator(".switch-state")).to_have_count(0)
        await page.goto(f"{console.url}/#/users")
        await expect(page.get_by_role("table", name="Live calls")).to_be_visible()


async def test_an_ended_session_leads_back_to_the_sign_in(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path) as tab:
        await expect(tab.page.locator("tbody tr")).to_have_count(12)
        console.signed_in = False
        console.refusals["/api/history"] = (401, "not_signed_in", "Please sign in.")
        await tab.page.goto(f"{console.url}/#/history")
        await expect(tab.page.get_by_label("User name")).to_be_visible()


async def test_a_supervisors_wrong_clock_does_not_change_waiting_times(tmp_path: Path) -> None:
    console = FakeConsole()
    console.calls["c1"] = a_call("c1", stage="waiting", waiting_since=time.time() - 65)
    async with looking_at(console, tmp_path) as tab:
        await tab.page.clock.set_system_time(time.time() + 7_200)
        await tab.page.reload()
        await expect(tab.page.locator("tbody .c-wait")).to_have_text(re.compile("^1:"))
        assert await tab.page.evaluate("Date.now() / 1000") > time.time() + 7_000


async def test_a_spoken_number_hides_neither_its_source_nor_where_hearing_stopped(
    tmp_path: Path,
) -> None:
    console = a_floor()
    turn = TURNS[0] | {
        "agent": "It costs four dollars ninety five to your door. We ring the day before.",
        "heard": "It costs $4.95 to your door.",
        "cut_off": True,
        "sources": [{"sentence": "It costs $4.95 to your door.", "title": "Delivery"}],
    }
    console.details["c0"] = {"turns": [turn]}
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        said = tab.page.locator("[data-turn=t1] .agent .said")
        await expect(said.locator(".backed")).to_have_text(
            "It costs four dollars ninety five to your door.1"
        )
        await expect(said.locator("del").last).to_contain_text("We ring the day before.")
        begun = {"turn_id": "t9", "caller": "And when?", "state": "speaking"}
        console.tell(event="turn", call_id="c0", turn=begun)
        last = tab.page.locator("[data-turn]").last
        await expect(last).to_contain_text("And when?")
        await expect(last).to_contain_text("Answering…")
        console.tell(event="turn", call_id="c0", turn=begun | {"state": "over", "agent": "Soon."})
        await expect(last).not_to_contain_text("Answering…")


async def test_how_the_way_to_answer_was_chosen_is_said_in_words(tmp_path: Path) -> None:
    console = a_floor()
    late = TURNS[0] | {
        "confidence": 0.0, "runner_up": "action",
        "guards": [{"guard": "way to answer", "decision": "by default", "reason": "too late"}],
    }  # fmt: skip
    console.details["c0"]["turns"] = [late, TURNS[1]]
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        first, second = (tab.page.locator(f"[data-turn=t{n}] .facts") for n in (1, 2))
        await expect(first).to_contain_text("From documents")
        await expect(first).not_to_contain_text("%")
        await expect(first).to_contain_text("Way to answer: by default")
        await expect(second).to_contain_text("(88 % sure)")
        await tab.page.locator("[data-turn=t1] .said").first.click()
        panel = tab.page.get_by_role("region", name="Turn", exact=True)
        await expect(panel).to_contain_text("second choice: Action")
        console.change("c0", recording={"state": "waiting", "why": ""})
        await expect(
            tab.page.get_by_text("Recording starts once its notice was heard")
        ).to_be_visible()


async def test_on_a_telephone_nothing_is_cut_off_or_covered(tmp_path: Path) -> None:
    console = a_floor()
    console.calls["c0"] |= {
        "name": "", "caller": "sip:caller@127.0.0.1:47027",
        "supervisor": {"name": "ada", "mode": "takeover"},
    }  # fmt: skip
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        await page.set_viewport_size({"width": 390, "height": 844})
        row = page.locator(".calls tbody tr").first
        await expect(row).to_be_visible()
        cells = row.locator("th:visible, td:visible")
        boxes = [box for cell in await cells.all() if (box := await cell.bounding_box())]
        edges = [(box["x"], box["x"] + box["width"]) for box in boxes]
        assert all(end <= begin + 1 for (_, end), (begin, _) in pairwise(edges))
        assert edges[-1][1] <= 390
        assert boxes[1]["width"] > 120, "who calls can be read"
        await page.goto(f"{console.url}/#/calls/c0")
        head = page.locator(".call-head")
        name = await head.get_by_role("heading").bounding_box()
        assert name is not None
        assert name["height"] < 40, "the name is on one line"
        state = await head.locator(".state").evaluate(
            "node => [node.scrollWidth, node.clientWidth]"
        )
        assert state[0] <= state[1], "who has the caller is not cut off"
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
