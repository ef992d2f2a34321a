"""Signing in: passwords, second factors, locks, sessions, forged requests."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing

import pyotp
import pytest
from yarl import URL

from tests.voice_agent.console.conftest import PASSWORD, Browser, Stage
from voice_agent.console import passwords
from voice_agent.console.roles import Permission, Role


@pytest.fixture
def somebody(stage: Stage) -> str:
    """The name of a supervisor with a password."""
    stage.console.desk.accounts.add(
        "kim", Role.SUPERVISOR, passwords.hash_password("kim", PASSWORD)
    )
    return "kim"


async def code_of(browser: Browser, method: str, path: str, **more: object) -> str:
    response = await browser.ask(method, path, {}, **more)
    return str((await response.json())["error"]["code"])


async def test_the_right_password_opens_a_session(stage: Stage, somebody: str) -> None:
    browser = stage.browser()
    assert (await (await browser.ask("GET", "/api/me")).json())["error"]["code"] == "not_signed_in"
    response = await browser.sign_in(somebody)
    assert response.status == 200
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    me = await browser.get("/api/me")
    assert (me["user"], me["role"]) == ("kim", "supervisor")
    assert "takeover" in me["permissions"]
    assert me["phones"] == [{"name": "desk", "uri": "desk"}]
    assert (await browser.get("/api/entry"))["signed_in"] is True


@pytest.mark.parametrize("stage", [{"public_url": "https://console.example.com"}], indirect=True)
async def test_beyond_this_machine_the_cookie_travels_over_https_alone(
    stage: Stage, somebody: str
) -> None:
    cookie = (await stage.browser().sign_in(somebody)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-console=")
    assert "Secure" in cookie


async def test_a_wrong_name_and_a_wrong_password_read_the_same(stage: Stage, somebody: str) -> None:
    refused = [
        await (await stage.browser().sign_in(name, password)).json()
        for name, password in ((somebody, "not this one, sorry"), ("nobody", PASSWORD))
    ]
    assert refused[0] == refused[1]
    assert refused[0]["error"]["code"] == "sign_in_refused"


@pytest.mark.parametrize("name", ["kim", "KIM", "nobody"])
async def test_a_name_is_locked_after_five_wrong_passwords(
    stage: Stage, somebody: str, name: str
) -> None:
    browser = stage.browser()
    codes = []
    for _ in range(5):
        response = await browser.sign_in(name, "wrong, wrong, wrong")
        codes.append((await response.json())["error"]["code"])
    assert codes == ["sign_in_refused"] * 5
    response = await browser.sign_in(name)
    assert response.status == 429
    error = (await response.json())["error"]
    assert error["code"] == "locked"
    assert re.fullmatch(r"Too many wrong passwords: try again in \d+ seconds\.", error["message"])
    assert 0 < int(response.headers["Retry-After"]) <= 61
    assert int(response.headers["Retry-After"]) > 30


async def test_sign_ins_of_one_address_are_bounded(stage: Stage) -> None:
    browser = stage.browser()
    statuses = {(await browser.sign_in(f"name{n}", "x")).status for n in range(20)}
    assert statuses == {401, 429}


@pytest.mark.parametrize(
    "body",
    [
        None, [], "kim", {"user": "kim"}, {"user": 7, "password": PASSWORD},
        {"user": "kim", "password": ["x"]}, {"user": "kim\x00", "password": "x"},
        {"user": "k" * 65, "password": "x"}, {"user": "kim", "password": "x" * 2000},
    ],
)  # fmt: skip
async def test_a_sign_in_that_says_too_little_or_too_much_is_refused(
    stage: Stage, body: object
) -> None:
    response = await stage.browser().ask("POST", "/api/sign-in", body)
    assert response.status == 400


async def test_a_second_factor_is_asked_for_and_counts_once(stage: Stage, somebody: str) -> None:
    secret = passwords.new_totp_secret()
    stage.console.desk.accounts.set_totp(somebody, secret)
    browser = stage.browser()
    asked = await browser.sign_in(somebody)
    assert (await asked.json())["error"]["code"] == "totp_required"
    code = pyotp.TOTP(secret).now()
    assert (await browser.sign_in(somebody, totp=code)).status == 200
    again = await stage.browser().sign_in(somebody, totp=code)
    assert (await again.json())["error"]["code"] == "sign_in_refused"


async def test_guessing_codes_locks_although_the_password_is_right(
    stage: Stage, somebody: str
) -> None:
    stage.console.desk.accounts.set_totp(somebody, passwords.new_totp_secret())
    browser = stage.browser()
    codes = []
    for _ in range(5):
        await browser.sign_in(somebody)  # without a code: no failure, and no fresh start
        response = await browser.sign_in(somebody, totp="000000")
        codes.append((await response.json())["error"]["code"])
    assert codes[:4] == ["sign_in_refused"] * 4
    assert (await browser.sign_in(somebody)).status == 429


async def test_a_second_factor_can_be_set_up_by_oneself(stage: Stage, somebody: str) -> None:
    browser = stage.browser()
    await browser.sign_in(somebody)
    await browser.do("/api/me/totp", status=400)
    await browser.do("/api/me/totp", {"password": "not this one, sorry"}, status=403)
    begun = await browser.do("/api/me/totp", {"password": PASSWORD})
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["code"]["path"].startswith("M0 0h1v1h-1z")
    assert not (await browser.get("/api/me/account"))["totp"]
    await browser.do("/api/me/totp/confirm", {"totp": "000000"}, status=400)
    await browser.do("/api/me/totp/confirm", {"totp": pyotp.TOTP(begun["secret"]).now()})
    user = stage.console.desk.accounts.user(somebody)
    assert user is not None
    assert user.totp == begun["secret"]
    assert (await browser.get("/api/me/account"))["totp"]


@pytest.mark.parametrize("stage", [{"totp_roles": ["supervisor"]}], indirect=True)
async def test_who_lacks_the_factor_their_role_needs_may_only_set_it_up(
    stage: Stage, somebody: str
) -> None:
    browser = stage.browser()
    me = await (await browser.sign_in(somebody)).json()
    assert (me["permissions"], me["factor_missing"]) == ([], True)
    for endpoint in stage.console.endpoints:
        if endpoint.needs is Permission.PUBLIC or endpoint.path == "/api/sign-out":
            continue
        path = endpoint.path.replace("{", "").replace("}", "")
        response = await browser.ask(endpoint.method, path, {})
        setting_up = endpoint.path in ("/api/me/account", "/api/me/totp", "/api/me/totp/confirm")
        assert (response.status == 403) is not setting_up, endpoint.path
    begun = await browser.do("/api/me/totp", {"password": PASSWORD})
    await browser.do("/api/me/totp/confirm", {"totp": pyotp.TOTP(begun["secret"]).now()})
    assert "listen" in (await browser.get("/api/me"))["permissions"]
    assert (await browser.ask("GET", "/api/calls")).status == 200


async def test_changing_the_password_ends_every_other_session(stage: Stage, somebody: str) -> None:
    browser, other = stage.browser(), stage.browser()
    await browser.sign_in(somebody)
    await other.sign_in(somebody)
    wrong = {"old": "not this one, sorry", "new": "another long password"}
    await browser.do("/api/me/password", wrong, status=403)
    assert (await browser.ask("GET", "/api/me")).status == 200
    short = {"old": PASSWORD, "new": "short"}
    await browser.do("/api/me/password", short, status=400)
    await browser.do("/api/me/password", {"old": PASSWORD, "new": "another long password"})
    assert (await browser.ask("GET", "/api/me")).status == 200
    assert (await other.ask("GET", "/api/me")).status == 401


async def test_signing_out_ends_the_session_itself(stage: Stage, somebody: str) -> None:
    browser = stage.browser()
    response = await browser.sign_in(somebody)
    token = response.cookies[stage.console.desk.door.cookie].value
    await browser.do("/api/sign-out")
    assert stage.console.desk.accounts.session(token) is None


async def test_an_administrator_ends_somebodys_sessions(stage: Stage, somebody: str) -> None:
    browser = stage.browser()
    await browser.sign_in(somebody)
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    assert (await administrator.do("/api/users/kim/sessions", method="DELETE"))["ended"] == 1
    assert (await browser.ask("GET", "/api/me")).status == 401


async def test_who_guesses_the_password_of_an_open_session_is_locked_out(
    stage: Stage, somebody: str
) -> None:
    browser = stage.browser()
    await browser.sign_in(somebody)
    codes = []
    for n in range(6):
        asked = {"password": f"wrong password {n}"}
        response = await browser.ask("POST", "/api/me/totp", asked)
        codes.append((await response.json())["error"]["code"])
    assert codes == ["wrong_password"] * 5 + ["locked"]
    noted = [each.action for each in stage.console.desk.audit.entries()]
    assert noted.count("password_refused") == 5


async def test_an_administrator_resets_what_was_lost(stage: Stage, somebody: str) -> None:
    accounts = stage.console.desk.accounts
    accounts.set_totp(somebody, pyotp.random_base32())
    administrator, browser = await stage.signed_in(Role.ADMINISTRATOR), stage.browser()
    one = f"/api/users/{somebody}"
    await administrator.do(f"{one}/totp", method="DELETE")
    short = {"password": "short"}
    await administrator.do(f"{one}/password", short, method="PUT", status=400)
    new = {"password": "a quite different one"}
    await administrator.do(f"{one}/password", new, method="PUT")
    assert (await browser.sign_in(somebody)).status == 401
    assert (await browser.sign_in(somebody, new["password"])).status == 200
    await administrator.do(f"{one}/totp", method="DELETE")
    assert (await browser.ask("GET", "/api/me")).status == 401
    own = "/api/users/administrator"
    await administrator.do(f"{own}/totp", method="DELETE", status=409)
    await administrator.do(f"{own}/password", new, method="PUT", status=409)
    noted = [each.action for each in stage.console.desk.audit.entries()]
    assert [each for each in noted if "reset" in each] == [
        "totp_reset", "password_reset", "totp_reset",
    ]  # fmt: skip


async def test_a_new_password_ends_a_lock_which_the_list_shows(stage: Stage, somebody: str) -> None:
    administrator, browser = await stage.signed_in(Role.ADMINISTRATOR), stage.browser()
    for _ in range(5):
        await browser.sign_in(somebody, "not this one, sorry")
    assert (await browser.sign_in(somebody)).status == 429

    async def locked() -> list[str]:
        users = (await administrator.get("/api/users"))["users"]
        return [each["name"] for each in users if each["locked"]]

    assert await locked() == [somebody]
    new = {"password": "a quite different one"}
    await administrator.do(f"/api/users/{somebody}/password", new, method="PUT")
    assert await locked() == []
    assert (await browser.sign_in(somebody, new["password"])).status == 200


async def test_a_name_no_file_can_have_is_not_found(stage: Stage) -> None:
    response = await stage.browser().client.get(URL("/static/%00", encoded=True))
    assert response.status == 404


async def test_a_factor_taken_away_at_the_command_line_ends_sessions_too(
    stage: Stage, somebody: str
) -> None:
    browser = stage.browser()
    await browser.sign_in(somebody)
    stage.console.desk.accounts.set_totp(somebody, "")
    assert (await browser.ask("GET", "/api/me")).status == 401


async def test_a_changed_role_ends_sessions_of_the_old_one(stage: Stage, somebody: str) -> None:
    browser = stage.browser()
    await browser.sign_in(somebody)
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    await administrator.do("/api/users/kim/role", {"role": "auditor"}, "PUT")
    assert (await browser.ask("GET", "/api/me")).status == 401


async def test_sessions_end_by_age_by_idling_and_when_the_clock_is_set_back(
    stage: Stage, somebody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = stage.console.desk.accounts
    user = accounts.user(somebody)
    assert user is not None
    real = time.time()
    for later_s, known in ((600, True), (3_700, False), (13 * 3_600, False), (-7_200, False)):
        monkeypatch.setattr("voice_agent.console.accounts.time.time", lambda: real)
        token, _ = accounts.begin_session(user, "")
        monkeypatch.setattr("voice_agent.console.accounts.time.time", lambda at=real + later_s: at)
        assert (accounts.session(token) is not None) is known, later_s


async def test_a_request_without_the_sessions_token_is_refused(stage: Stage) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    for token in ("", "wrong", (await stage.signed_in(Role.ENGINEER)).csrf):
        browser.csrf = token
        assert await code_of(browser, "POST", "/api/calls/c1/end") == "forbidden"
    assert stage.gateway.asked == []


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_a_request_from_another_sites_page_is_refused(
    stage: Stage, headers: dict[str, str]
) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    assert await code_of(browser, "POST", "/api/calls/c1/end", headers=headers) == "forbidden"
    assert await code_of(browser, "POST", "/api/sign-in", headers=headers) == "forbidden"


async def test_a_strangers_name_for_this_console_is_refused(stage: Stage) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    response = await browser.ask("GET", "/api/calls", headers={"Host": "evil.example"})
    assert response.status == 403


@pytest.mark.parametrize("stage", [{"requests_per_s": 2}], indirect=True)
async def test_a_flood_from_one_address_leaves_others_served(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stage.console.desk.door, "address_of", lambda request: request.headers.get("X-From", "a")
    )
    browser = await stage.signed_in(Role.SUPERVISOR)
    flood = [await browser.ask("GET", "/api/calls", headers={"X-From": "b"}) for _ in range(30)]
    assert {each.status for each in flood} == {200, 429}
    assert (await browser.ask("GET", "/api/calls", headers={"X-From": "c"})).status == 200


@pytest.mark.parametrize("stage", [{"trusted_proxies": ["127.0.0.1"]}], indirect=True)
async def test_behind_a_trusted_proxy_the_last_address_it_did_not_make_up_counts(
    stage: Stage,
) -> None:
    browser = await stage.signed_in(Role.ADMINISTRATOR)
    await browser.ask(
        "DELETE", "/api/users/administrator/sessions", {},
        headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"},
    )  # fmt: skip
    assert [*stage.console.desk.audit.entries()][-1].detail["address"] == "192.0.2.7"


async def test_every_answer_carries_the_headers_that_keep_browsers_safe(stage: Stage) -> None:
    for path in ("/healthz", "/api/entry", "/api/nothing", "/static/../app.py"):
        headers = (await stage.browser().ask("GET", path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "path", ["/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"]
)
async def test_nothing_outside_the_pages_folder_is_served(stage: Stage, path: str) -> None:
    assert (await stage.browser().ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("kim", "short"), ("kim", "kimkimkimkimkim"), ("kim", "aaaaaaaaaaaaaaaaaa"),
        ("kim", "x" * 300), ("k m", PASSWORD), ("", PASSWORD), ("../kim", PASSWORD),
        ("<b>kim</b>", PASSWORD),
    ],
)  # fmt: skip
async def test_a_user_with_a_weak_password_or_a_strange_name_is_not_made(
    stage: Stage, name: str, password: str
) -> None:
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    body = {"name": name, "role": "agent", "password": password}
    await administrator.do("/api/users", body, status=400)


async def test_users_are_made_listed_and_removed(stage: Stage) -> None:
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    body = {"name": "Robin", "role": "auditor", "password": PASSWORD}
    await administrator.do("/api/users", body, status=201)
    await administrator.do("/api/users", body, status=409)
    listed = (await administrator.get("/api/users"))["users"]
    assert ("Robin", "auditor") in [(each["name"], each["role"]) for each in listed]
    assert PASSWORD not in str(listed)
    await administrator.do("/api/users/robin", method="DELETE")
    assert (await stage.browser().sign_in("Robin")).status == 401


async def test_nobody_takes_away_their_own_rights(stage: Stage) -> None:
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    await administrator.do("/api/users/administrator", method="DELETE", status=409)
    role = {"role": "agent"}
    await administrator.do("/api/users/administrator/role", role, "PUT", status=409)


def test_a_code_fits_one_step_around_its_time_and_nothing_else() -> None:
    secret = passwords.new_totp_secret()
    totp = pyotp.TOTP(secret)
    assert passwords.totp_step(secret, totp.at(1_000 * 30), 1_000 * 30 + 20) == 1_000
    assert passwords.totp_step(secret, totp.at(999 * 30), 1_000 * 30) == 999
    assert passwords.totp_step(secret, totp.at(998 * 30), 1_000 * 30) is None
    for code in ("", "12345", "abcdef", "١٢٣٤٥٦"):
        assert passwords.totp_step(secret, code, 1_000 * 30) is None


async def test_a_crowd_at_the_door_is_bounded(
    stage: Stage, somebody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.sign_in._WAITING", 0)
    assert (await stage.browser().sign_in(somebody)).status == 429
    monkeypatch.setattr("voice_agent.console.sign_in._WAITING", 1)
    assert (await stage.browser().sign_in(somebody)).status == 200


@pytest.mark.parametrize(("idle_s", "status"), [(600, 200), (60 * 60 * 24, 401)])
async def test_a_locked_database_keeps_nobody_from_what_they_came_for(
    stage: Stage, idle_s: float, status: int
) -> None:
    browser = await stage.signed_in(Role.SUPERVISOR)
    path = stage.console.desk.settings.console.folder / "accounts.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("UPDATE sessions SET used_at = used_at - ?", (idle_s,))
        writer.execute("BEGIN IMMEDIATE")
        assert (await browser.ask("GET", "/api/answering")).status == status


async def test_who_goes_on_trying_a_locked_name_does_not_fill_the_audit_log(
    stage: Stage, somebody: str
) -> None:
    for _ in range(12):
        await stage.browser().sign_in(somebody, "not this one, sorry")
    noted = [each for each in stage.console.desk.audit.entries() if each.action == "sign_in_locked"]
    assert [each.detail["attempts"] for each in noted] == [1]
