"""Sign-in with company accounts, against a provider of the test's own that may lie."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.voice_agent.console.conftest import Browser, SettingsMaker, Stage
from tests.voice_agent.console.fake_gateway import FakeGateway
from voice_agent.console.app import Console
from voice_agent.console.roles import Role

CLIENT = "the-console"


class Provider:
    """An OpenID provider; ``claims`` and ``key`` say what its next token holds."""

    def __init__(self) -> None:
        self.key = self.published = rsa.generate_private_key(65_537, 2_048)
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.asked: dict[str, str] = {}
        app = web.Application()
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._metadata),
                web.get("/keys", self._keys),
                web.post("/token", self._token),
            ]
        )
        self.server = TestServer(app)

    @property
    def issuer(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _metadata(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def _keys(self, _: web.Request) -> web.Response:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.published.public_key(), as_dict=True)
        return web.json_response({"keys": [key | {"kid": "k1", "alg": "RS256", "use": "sig"}]})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked = {key: str(value) for key, value in (await request.post()).items()}
        signing: Any = self.key if self.algorithm == "RS256" else "a shared secret of 32 bytes, yes"
        if self.algorithm == "none":
            signing = None
        token = jwt.encode(self.claims, signing, algorithm=self.algorithm, headers={"kid": "k1"})
        return web.json_response({"id_token": token, "token_type": "Bearer"})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    await provider.server.start_server()
    yield provider
    await provider.server.close()


@pytest.fixture
async def company(provider: Provider, make_settings: SettingsMaker) -> AsyncIterator[Stage]:
    """A console whose people sign in at the provider."""
    oidc = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "roles": {"floor-leads": "supervisor", "auditors": "auditor"},
    }
    console = Console(make_settings(oidc=oidc, public_url="http://127.0.0.1"))
    server = TestServer(console.app)
    await server.start_server()
    stage = Stage(console, FakeGateway(), server, [])
    yield stage
    for client in stage.clients:
        await client.close()
    await server.close()


async def begun(browser: Browser) -> dict[str, str]:
    """Begin, as the page does; what the provider is told."""
    response = await browser.ask("GET", "/api/oidc/start", allow_redirects=False)
    assert response.status == 302
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    return {key: values[0] for key, values in query.items()}


def honest(provider: Provider, told: dict[str, str], **other: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": provider.issuer, "aud": CLIENT, "sub": "u1", "exp": now + 300, "iat": now,
        "nonce": told["nonce"], "preferred_username": "ada.hill", "groups": ["floor-leads"],
        **other,
    }  # fmt: skip


async def test_a_person_of_a_known_group_is_let_in_with_its_role(
    provider: Provider, company: Stage
) -> None:
    browser = company.browser()
    assert (await browser.get("/api/entry"))["oidc"] is True
    told = await begun(browser)
    assert told["code_challenge_method"] == "S256"
    provider.claims = honest(provider, told)
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    response = await browser.ask("GET", path, allow_redirects=False)
    assert response.status == 302
    assert response.headers["Location"] == "/"
    me = await browser.get("/api/me")
    assert (me["user"], me["role"]) == ("ada.hill", "supervisor")
    assert provider.asked["code"] == "abc"
    assert len(provider.asked["code_verifier"]) >= 43
    again = await browser.ask("GET", path, allow_redirects=False)
    assert again.status == 403  # what came back counts once


@pytest.mark.parametrize(
    "lie",
    [
        {"aud": "another-program"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1_000_000_000},
        {"nonce": "another sign-in"},
        {"azp": "another-program"},
        {"groups": ["cleaners"]},
        {"groups": []},
        {"groups": "auditors-not"},
        {"preferred_username": "../../etc"},
        {"preferred_username": "<script>"},
    ],
)
async def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    provider: Provider, company: Stage, lie: dict[str, Any]
) -> None:
    browser = company.browser()
    told = await begun(browser)
    provider.claims = honest(provider, told) | lie
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    response = await browser.ask("GET", path, allow_redirects=False)
    assert response.status == 403
    assert (await browser.ask("GET", "/api/me")).status == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256", "another key"])
async def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    provider: Provider, company: Stage, algorithm: str
) -> None:
    browser = company.browser()
    told = await begun(browser)
    provider.claims = honest(provider, told)
    if algorithm == "another key":
        provider.key = rsa.generate_private_key(65_537, 2_048)
    else:
        provider.algorithm = algorithm
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    assert (await browser.ask("GET", path, allow_redirects=False)).status == 403


async def test_a_sign_in_begun_in_another_browser_is_refused(
    provider: Provider, company: Stage
) -> None:
    told = await begun(company.browser())
    provider.claims = honest(provider, told)
    other = company.browser()
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    assert (await other.ask("GET", path, allow_redirects=False)).status == 403
    assert provider.asked == {}


async def test_a_company_account_does_not_take_over_one_with_a_password(
    provider: Provider, company: Stage
) -> None:
    company.console.desk.accounts.add("ada.hill", Role.ADMINISTRATOR, "$argon2id$hash")
    browser = company.browser()
    told = await begun(browser)
    provider.claims = honest(provider, told)
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    assert (await browser.ask("GET", path, allow_redirects=False)).status == 403
    user = company.console.desk.accounts.user("ada.hill")
    assert user is not None
    assert user.role is Role.ADMINISTRATOR


async def test_a_provider_that_does_not_answer_is_said_so(
    provider: Provider, company: Stage
) -> None:
    await provider.server.close()
    response = await company.browser().ask("GET", "/api/oidc/start", allow_redirects=False)
    assert response.status == 503


async def test_without_a_provider_there_is_no_such_sign_in(stage: Stage) -> None:
    for path in ("/api/oidc/start", "/api/oidc/return?state=&code=x"):
        assert (await stage.browser().ask("GET", path, allow_redirects=False)).status == 404


async def came(provider: Provider, browser: Browser) -> int:
    """The status of a whole sign-in."""
    told = await begun(browser)
    provider.claims = honest(provider, told)
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    return (await browser.ask("GET", path, allow_redirects=False)).status


async def test_who_was_removed_is_not_made_anew_by_their_company(
    provider: Provider, company: Stage
) -> None:
    browser, administrator = company.browser(), await company.signed_in(Role.ADMINISTRATOR)
    assert await came(provider, browser) == 302
    await administrator.do("/api/users/ada.hill", method="DELETE")
    assert (await browser.ask("GET", "/api/me")).status == 401
    assert await came(provider, browser) == 403
    users = (await administrator.get("/api/users"))["users"]
    assert [each["name"] for each in users if each["blocked"]] == ["ada.hill"]
    await administrator.do("/api/users/ada.hill/block", method="DELETE")
    assert await came(provider, browser) == 302
    acts = [(each.action, each.target) for each in company.console.desk.audit.entries()]
    assert ("sign_in_failed", "ada.hill") in acts


async def test_a_company_account_gets_no_password_that_would_shut_it_out(
    provider: Provider, company: Stage
) -> None:
    browser, administrator = company.browser(), await company.signed_in(Role.ADMINISTRATOR)
    assert await came(provider, browser) == 302
    new = {"password": "a quite different one"}
    await administrator.do("/api/users/ada.hill/password", new, "PUT", status=409)
    assert await came(provider, browser) == 302


async def test_a_flood_of_sign_ins_pushes_out_nobody_elses(
    provider: Provider, company: Stage
) -> None:
    browser = company.browser()
    told = await begun(browser)
    provider.claims = honest(provider, told)
    flood = company.browser()
    asked = [
        (await flood.ask("GET", "/api/oidc/start", allow_redirects=False)).status for _ in range(60)
    ]
    assert asked[-1] == 429
    path = f"/api/oidc/return?code=abc&state={told['state']}"
    assert (await browser.ask("GET", path, allow_redirects=False)).status == 302
