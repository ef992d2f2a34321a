"""Every endpoint for every role: what the table allows is answered, all else is refused."""

from __future__ import annotations

import re

import pytest

from tests.voice_agent.console.conftest import SettingsMaker, Stage
from voice_agent.console.app import Console
from voice_agent.console.endpoints import role_table
from voice_agent.console.roles import GRANTS, Permission, Role, may

STREAMS = ("/api/events", "/api/handoffs/{call_id}/events")


def test_every_route_is_an_endpoint_of_the_table(make_settings: SettingsMaker) -> None:
    console = Console(make_settings())
    routed = {
        (route.method, route.resource.canonical)
        for route in console.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routed == {(each.method, each.path) for each in console.endpoints}


def test_the_table_says_for_every_role_whether_it_may(make_settings: SettingsMaker) -> None:
    table = role_table(Console(make_settings()).endpoints)
    assert all(set(row["roles"]) == set(Role) for row in table)
    public = {row["path"] for row in table if row["needs"] == "public"}
    assert public == {
        *("/", "/static/{path}", "/healthz", "/readyz", "/api/entry", "/api/sign-in", "/api/me"),
        *("/api/oidc/start", "/api/oidc/return"),
    }


def test_nobody_may_do_anything_without_a_role() -> None:
    assert [each for each in Permission if may(None, each)] == [Permission.PUBLIC]
    assert set(GRANTS) == set(Role)


def test_who_grants_roles_hears_no_calls() -> None:
    for granted in GRANTS.values():
        assert not (Permission.USERS in granted and Permission.LISTEN in granted)


@pytest.mark.parametrize("role", list(Role))
async def test_every_endpoint_is_refused_to_those_who_may_not(stage: Stage, role: Role) -> None:
    browser = await stage.signed_in(role)
    for endpoint in stage.console.endpoints:
        if endpoint.path == "/api/sign-out":
            continue
        path = re.sub(r"\{\w+\}", "none-such", endpoint.path)
        allowed = may(role, endpoint.needs)
        if allowed and endpoint.path in STREAMS:
            continue  # it would not end; see test_live_api
        body = None if endpoint.method == "GET" else {}
        response = await browser.ask(endpoint.method, path, body, allow_redirects=False)
        refused = response.status == 403 and (await response.json())["error"]["message"].startswith(
            "The role"
        )
        assert refused is not allowed, f"{role}: {endpoint.method} {path}: {response.status}"
        assert response.status != 500, f"{role}: {endpoint.method} {path}"


async def test_every_endpoint_is_refused_to_those_who_are_not_signed_in(stage: Stage) -> None:
    browser = stage.browser()
    for endpoint in stage.console.endpoints:
        if endpoint.needs is Permission.PUBLIC:
            continue
        path = re.sub(r"\{\w+\}", "none-such", endpoint.path)
        response = await browser.ask(endpoint.method, path, {})
        assert response.status == 401, f"{endpoint.method} {path}"


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("mode", ["listen", "whisper", "barge", "takeover"])
async def test_a_mode_needs_its_own_permission(stage: Stage, role: Role, mode: str) -> None:
    browser = await stage.signed_in(role)
    response = await browser.ask(
        "POST", "/api/calls/c1/supervise", {"mode": mode, "sdp": "v=0\r\noffer"}
    )
    allowed = may(role, Permission(mode)) and may(role, Permission.LISTEN)
    assert response.status == (200 if allowed else 403)
    assert bool(stage.gateway.asked) is allowed


@pytest.mark.parametrize("path", ["/api/nothing", "/admin", "/api/users/x/y/z", "/.git/config"])
async def test_what_is_in_no_table_is_not_there(stage: Stage, path: str) -> None:
    browser = await stage.signed_in(Role.ADMINISTRATOR)
    for method in ("GET", "POST", "DELETE", "PATCH"):
        response = await browser.ask(method, path, {})
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "not_found"


async def test_a_method_that_is_not_in_the_table_is_not_answered(stage: Stage) -> None:
    browser = await stage.signed_in(Role.ADMINISTRATOR)
    for method in ("PATCH", "PUT", "DELETE", "OPTIONS"):
        response = await browser.ask(method, "/api/audit", {})
        assert response.status in (404, 405)
