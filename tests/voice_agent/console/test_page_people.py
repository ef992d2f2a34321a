"""Users, one's own account and one caller's data, in headless Chromium."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.voice_agent.console.fake_console import PASSWORD
from tests.voice_agent.console.page_stage import EVIL, a_floor, looking_at, people

pytestmark = pytest.mark.browser
NUMBER = "+44 20 7946 0018"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def agree(page: Page, name: str) -> None:
    await dialog(page).get_by_role("button", name=name, exact=True).click()


async def test_users_are_added_changed_reset_signed_out_and_removed(tmp_path: Path) -> None:
    console = a_floor()
    people(console)
    async with looking_at(console, tmp_path, "#/users") as tab:
        page = tab.page

        async def manage(user: str, deed: str) -> None:
            await page.get_by_role("button", name=f"Manage {user}").click()
            await dialog(page).get_by_role("button", name=deed).click()

        await manage("ada", "End sessions")
        await agree(page, "End sessions")
        await expect(page.get_by_text("ada is signed out.")).to_be_visible()
        await manage("ada", "Change the role")
        await dialog(page).get_by_label("Role").select_option("quality")
        await agree(page, "Change the role")
        await expect(page.get_by_text("ada has another role.")).to_be_visible()
        await manage("ada", "Set a new password")
        await dialog(page).get_by_label("New password").fill(" with spaces ")
        await agree(page, "Set password")
        await expect(page.get_by_text("ada has a new password.")).to_be_visible()
        await manage("ada", "Reset the second factor")
        await agree(page, "Reset")
        await expect(page.get_by_text("ada may set up another authenticator.")).to_be_visible()
        await manage("kim", "Remove")
        console.refusals["/users/kim"] = (409, "conflict", "Kim is the last administrator.")
        await agree(page, "Remove")
        await expect(dialog(page).get_by_role("alert")).to_have_text(
            "Kim is the last administrator."
        )
        console.refusals.clear()
        await agree(page, "Remove")
        await expect(page.get_by_text("kim is removed.")).to_be_visible()
        await page.get_by_role("button", name="Add a user").click()
        await page.get_by_label("Name").fill("lou")
        await page.get_by_label("Role").select_option("quality")
        await page.get_by_label("First password").fill(" with spaces ")
        await agree(page, "Add")
        await expect(page.get_by_text("lou may sign in.")).to_be_visible()
        assert console.asked == [
            ("DELETE", "/api/users/ada/sessions", {}),
            ("PUT", "/api/users/ada/role", {"role": "quality"}),
            ("PUT", "/api/users/ada/password", {"password": " with spaces "}),
            ("DELETE", "/api/users/ada/totp", {}),
            ("DELETE", "/api/users/kim", {}),
            ("DELETE", "/api/users/kim", {}),
            ("POST", "/api/users",
             {"name": "lou", "role": "quality", "password": " with spaces "}),
        ]  # fmt: skip
        await expect(page.get_by_role("row").filter(has_text="kim")).to_contain_text("Locked")


async def test_nobody_manages_themselves_and_what_needs_no_reset_offers_none(
    tmp_path: Path,
) -> None:
    console = a_floor()
    people(console)
    async with looking_at(console, tmp_path, "#/users") as tab:
        page = tab.page
        await page.get_by_role("button", name="Manage kim").click()
        await expect(dialog(page).get_by_role("button", name="Remove")).to_be_visible()
        for deed in ("Reset the second factor", "End sessions"):
            await expect(dialog(page).get_by_role("button", name=deed)).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Manage kim")).to_be_focused()
        await expect(page.get_by_role("button", name="Manage sam")).to_have_count(0)
        await page.get_by_role("link", name="Your account").click()
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible()


async def test_ones_own_password_is_changed(tmp_path: Path) -> None:
    async with looking_at(a_floor(), tmp_path) as tab:
        page = tab.page
        await page.get_by_role("link", name="sam").click()
        await page.get_by_role("button", name="Change password").click()
        await page.get_by_label("Password until now").fill("not this one")
        await page.get_by_label("New password", exact=True).fill("another long one")
        await page.get_by_label("New password again").fill("another one")
        await agree(page, "Change password")
        alert = dialog(page).get_by_role("alert")
        await expect(alert).to_have_text("The two new passwords are not the same.")
        await page.get_by_label("New password again").fill("another long one")
        await agree(page, "Change password")
        await expect(alert).to_have_text("That is not your password.")
        await page.get_by_label("Password until now").fill(PASSWORD)
        await agree(page, "Change password")
        await expect(page.get_by_text("Your password is changed.")).to_be_visible()


async def test_who_comes_by_company_account_keeps_no_password_here(tmp_path: Path) -> None:
    console = a_floor()
    console.answers["/api/me/account"] = {"password": False}
    async with looking_at(console, tmp_path, "#/account") as tab:
        await expect(tab.page.get_by_role("heading", name="Company account")).to_be_visible()
        await expect(tab.page.locator("main").get_by_role("button")).to_have_count(0)


async def test_an_authenticator_is_set_up_by_its_camera_or_by_hand(tmp_path: Path) -> None:
    async with looking_at(a_floor(), tmp_path, "#/account") as tab:
        page = tab.page
        await page.get_by_role("button", name="Set up an authenticator").click()
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        code = page.get_by_role("img", name="Code for the authenticator's camera")
        await expect(code).to_be_visible()
        await expect(page.get_by_text("JBSW Y3DP EHPK 3PXP")).to_be_visible()
        await page.get_by_label("Code from your authenticator").fill("000000")
        await page.keyboard.press("Enter")
        await expect(dialog(page).get_by_role("alert")).to_have_text("The code does not fit.")
        await page.get_by_label("Code from your authenticator").fill("123456")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("A code is asked for from the next sign-in")).to_be_visible()
        await expect(page.get_by_role("button", name="Set up another")).to_be_visible()


async def test_a_callers_data_is_saved_as_a_file_with_a_reason(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/privacy") as tab:
        page = tab.page
        await page.get_by_role("button", name="Export…").click()
        await expect(page.locator(".sheet .problem")).to_have_text(
            "Enter the caller's whole number."
        )
        await page.get_by_label("Caller's whole number").fill(NUMBER)
        await page.keyboard.press("Enter")
        await agree(page, "Export")
        await expect(dialog(page).get_by_role("alert")).to_contain_text("A reason is needed")
        await page.get_by_label("Reason").fill("Asked by letter")
        console.refusals["/export"] = (404, "not_found", "Nothing is recorded of that caller.")
        await agree(page, "Export")
        await expect(dialog(page).get_by_role("alert")).to_contain_text("Nothing is recorded")
        console.refusals.clear()
        async with page.expect_download() as saving:
            await agree(page, "Export")
        saved = await saving.value
        assert saved.suggested_filename == "caller-442079460018.zip"
        await saved.save_as(tmp_path / "saved.zip")
        assert (tmp_path / "saved.zip").read_bytes() == b"PK not really"
        assert console.bodies("/export")[-1] == {"number": NUMBER, "reason": "Asked by letter"}


async def test_erasing_wants_the_number_twice_and_says_what_is_gone(tmp_path: Path) -> None:
    console = a_floor()
    console.answers["/api/erase"] = {
        "calls": 2, "turns": 9, "handoffs": 0, "recordings": 1, "recording_bytes": 9,
        "other": {"grades": 3}, "failed": [EVIL],
    }  # fmt: skip
    async with looking_at(console, tmp_path, "#/privacy") as tab:
        page = tab.page
        await page.get_by_label("Caller's whole number").fill(NUMBER)
        await page.get_by_role("button", name="Erase…").click()
        await expect(dialog(page)).to_contain_text("This cannot be undone.")
        await page.get_by_label("Reason").fill("Asked by letter")
        await page.get_by_label("The number again").fill("+44 20 7946 0019")
        await agree(page, "Erase for good")
        await expect(dialog(page).get_by_role("alert")).to_have_text("That is another number.")
        assert console.bodies("/erase") == []
        await page.get_by_label("The number again").fill("442079460018")
        await agree(page, "Erase for good")
        report = page.locator(".sheet").last
        await expect(report).to_contain_text("Not all of it")
        await expect(report).to_contain_text(EVIL)
        await expect(report).to_contain_text("Grades3")
        assert console.bodies("/erase") == [{"number": NUMBER, "reason": "Asked by letter"}]
        assert await page.locator("img").count() == 0
        assert tab.complaints == []


async def test_a_callers_sip_address_without_digits_is_a_caller_too(tmp_path: Path) -> None:
    console = a_floor()
    console.answers["/api/erase"] = {"calls": 1}
    async with looking_at(console, tmp_path, "#/privacy") as tab:
        page = tab.page
        await page.get_by_label("Caller's whole number").fill("sip:ada@example.com")
        await page.get_by_role("button", name="Erase…").click()
        await page.get_by_label("Reason").fill("Asked by letter")
        await page.get_by_label("The number again").fill("SIP:Ada@Example.com")
        await agree(page, "Erase for good")
        await expect(page.locator(".sheet").last).to_contain_text("Erased")
        assert console.bodies("/erase")[0]["number"] == "sip:ada@example.com"


async def test_exporting_has_time_and_what_has_not_answered_may_have_been_done(
    tmp_path: Path,
) -> None:
    console = a_floor()
    late = "AbortSignal.abort(new DOMException('', 'TimeoutError'))"
    async with looking_at(console, tmp_path, "#/privacy") as tab:
        page = tab.page
        await page.evaluate(
            "() => { const real = AbortSignal.timeout.bind(AbortSignal);"
            f" AbortSignal.timeout = (ms) => ms < 60_000 ? {late} : real(ms); }}"
        )
        await page.get_by_label("Caller's whole number").fill(NUMBER)
        await page.keyboard.press("Enter")
        await page.get_by_label("Reason").fill("Asked by letter")
        async with page.expect_download():
            await agree(page, "Export")
        await page.evaluate(f"() => {{ AbortSignal.timeout = () => {late}; }}")
        await page.get_by_role("button", name="Export…").click()
        await page.get_by_label("Reason").fill("Asked by letter")
        await agree(page, "Export")
        alert = dialog(page).get_by_role("alert")
        await expect(alert).to_contain_text("It may have been done all the same")


async def test_what_is_being_done_cannot_be_cancelled_and_the_focus_comes_back(
    tmp_path: Path,
) -> None:
    console = a_floor()
    people(console)
    async with looking_at(console, tmp_path, "#/users") as tab:
        page = tab.page
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def hold(route: Route) -> None:
            asked.set()
            await go_on.wait()
            await route.continue_()

        await page.route("**/api/users/ada/sessions", hold)
        await page.get_by_role("button", name="Manage ada").click()
        await dialog(page).get_by_role("button", name="End sessions").click()
        await agree(page, "End sessions")
        await asked.wait()
        await expect(dialog(page).get_by_role("button", name="Cancel")).to_be_disabled()
        await page.keyboard.press("Escape")
        await expect(dialog(page)).to_be_visible()
        go_on.set()
        async with page.expect_response("**/api/users"):
            await expect(page.get_by_text("ada is signed out.")).to_be_visible()
        await expect(page.locator("[aria-busy]")).to_have_count(0)
        await expect(page.get_by_role("button", name="Manage ada")).to_be_focused()


async def test_who_may_only_export_is_offered_no_more(tmp_path: Path) -> None:
    console = a_floor()
    console.permissions = ["live", "export"]
    async with looking_at(console, tmp_path, "#/privacy") as tab:
        await expect(tab.page.get_by_role("button", name="Export…")).to_be_visible()
        await expect(tab.page.get_by_role("button", name="Erase…")).to_have_count(0)
