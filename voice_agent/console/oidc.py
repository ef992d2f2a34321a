"""Sign-in with the company's accounts: OpenID Connect, authorisation code with PKCE (RFC 7636).

The provider says who somebody is and which groups they are in; which role that makes is in our
settings, and a person in none of the groups is not let in. What is expected back is kept here, one
use each, bound to the browser by a cookie of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import structlog
from aiohttp import web

from voice_agent.config import secret
from voice_agent.console.accounts import NAME, User
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint
from voice_agent.console.errors import Forbidden, NotFound, TooManyRequests, Unavailable
from voice_agent.console.limits import Buckets
from voice_agent.console.roles import Permission, Role
from voice_agent.console.settings import OidcSettings
from voice_agent.console.sign_in import SignIn

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures of public keys only: neither `none` nor one made with a shared secret."""
PATIENCE_S = 300.0
CLOCK_OFF_S = 60
MAX_EXPECTED = 10_000
STARTS = 40
"""Sign-ins an address may begin at once, and in ``PATIENCE_S``; an office may share one."""
METADATA_KEPT_S = 3_600.0
_COOKIE = "console-oidc"


class ProviderUnreachable(Unavailable):
    """The provider does not answer, or not as one."""

    code = "oidc_unavailable"


@dataclass(frozen=True, slots=True)
class _Expected:
    nonce: str
    verifier: str
    until: float


class OidcApi:
    """``/api/oidc/start`` and ``/api/oidc/return``."""

    def __init__(self, desk: Desk, sign_in: SignIn) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._settings = desk.settings.console.oidc
        self._expected: OrderedDict[str, _Expected] = OrderedDict()
        # one address cannot push out what others have begun, in the time they have for it
        self._starts = Buckets(per_s=STARTS / PATIENCE_S, burst=STARTS)
        self._metadata: tuple[float, dict[str, Any], jwt.PyJWKSet] | None = None

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        return [
            Endpoint("GET", "/api/oidc/start", Permission.PUBLIC, self._start),
            Endpoint("GET", "/api/oidc/return", Permission.PUBLIC, self._return),
        ]

    def _configured(self) -> OidcSettings:
        if self._settings is None:
            raise NotFound("Sign-in with company accounts is not set up.")
        return self._settings

    def _redirect_uri(self) -> str:
        return f"{self._desk.settings.console.public_url.rstrip('/')}/api/oidc/return"

    async def _start(self, request: web.Request) -> web.Response:
        settings = self._configured()
        address = self._desk.door.address_of(request)
        if wait_s := self._starts.wait_s(address, time.monotonic()):
            raise TooManyRequests("Too many attempts; please wait.", retry_after_s=wait_s)
        metadata, _keys = await self._provider(settings)
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        nonce, now = secrets.token_urlsafe(24), time.monotonic()
        self._expected[state] = _Expected(nonce, verifier, now + PATIENCE_S)
        while len(self._expected) > MAX_EXPECTED:
            self._expected.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        query = urlencode(
            {
                "response_type": "code",
                "client_id": settings.client_id,
                "redirect_uri": self._redirect_uri(),
                "scope": " ".join(settings.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge.rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        )
        where = str(metadata["authorization_endpoint"])
        response = web.Response(
            status=302, headers={"Location": f"{where}{'&' if '?' in where else '?'}{query}"}
        )
        # the way back comes from another site, so this one cookie cannot be Strict
        response.set_cookie(
            _COOKIE, state, httponly=True, samesite="Lax", secure=self._desk.door.secure,
            path="/api/oidc/return", max_age=int(PATIENCE_S),
        )  # fmt: skip
        return response

    async def _return(self, request: web.Request) -> web.Response:
        settings = self._configured()
        state = request.query.get("state", "")
        expected = self._expected.pop(state, None)
        bound = hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), state.encode())
        if expected is None or not bound or expected.until < time.monotonic():
            raise Forbidden("This sign-in was not begun here, or took too long: please try again.")
        if request.query.get("error") or not request.query.get("code"):
            raise Forbidden("The provider did not sign you in.")
        address, name = self._desk.door.address_of(request), ""
        try:
            claims = await self._claims(settings, request.query["code"], expected)
            name, role = _person(claims, settings)
            user = await asyncio.to_thread(self._kept, name, role)
        except Forbidden as error:
            await self._desk.audit.note(
                name, "", "sign_in_failed", name, address=address, by="oidc", reason=str(error)
            )
            raise
        await self._desk.audit.note(name, role.value, "signed_in", name, address=address, by="oidc")
        token, _session = await asyncio.to_thread(self._desk.accounts.begin_session, user, address)
        response = web.Response(status=302, headers={"Location": "/"})
        self._sign_in.set_cookie(response, token)
        response.del_cookie(_COOKIE, path="/api/oidc/return", secure=self._desk.door.secure)
        return response

    def _kept(self, name: str, role: Role) -> User:
        """The account that goes with a name of the provider's; made when it is new.

        Raises:
            Forbidden: somebody signs in by password under that name, or they were removed.
        """
        known = self._desk.accounts.user(name)
        if known is None:
            self._desk.accounts.add(name, role, "")
        elif known.password:
            raise Forbidden("That name belongs to an account with a password.")
        elif known.blocked:
            raise Forbidden("You are let in no more; ask an administrator.")
        elif known.role is not role:
            self._desk.accounts.set_role(name, role)
        return User(name, role)

    async def _claims(
        self, settings: OidcSettings, code: str, expected: _Expected
    ) -> dict[str, Any]:
        """What the provider's token says, once its signature, issuer, audience, time and nonce
        are right.

        Raises:
            Forbidden: one of them is not.
        """
        metadata, keys = await self._provider(settings)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri(),
            "client_id": settings.client_id,
            "code_verifier": expected.verifier,
        }
        if own := secret(settings.client_secret_env):
            form["client_secret"] = own
        answer = await _fetched("POST", str(metadata["token_endpoint"]), form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Forbidden("The provider did not say who you are.")
        try:
            header = jwt.get_unverified_header(token)
            key = _key_of(keys, header.get("kid"))
            if key is None:  # keys are changed now and then
                metadata, keys = await self._provider(settings, anew=True)
                key = _key_of(keys, header.get("kid"))
            if key is None:
                raise Forbidden("The provider's signature is not known.")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=settings.client_id,
                issuer=str(metadata["issuer"]),
                leeway=CLOCK_OFF_S,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            log.warning("oidc_token_refused", reason=str(error))
            raise Forbidden("The provider's answer cannot be trusted.") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
            raise Forbidden("The provider's answer belongs to another sign-in.")
        if claims.get("azp", settings.client_id) != settings.client_id:
            raise Forbidden("The provider's answer is for another program.")
        return claims

    async def _provider(
        self, settings: OidcSettings, *, anew: bool = False
    ) -> tuple[dict[str, Any], jwt.PyJWKSet]:
        now = time.monotonic()
        if self._metadata is not None and not anew and now < self._metadata[0]:
            return self._metadata[1], self._metadata[2]
        issuer = settings.issuer.rstrip("/")
        metadata = await _fetched("GET", f"{issuer}/.well-known/openid-configuration")
        if str(metadata.get("issuer", "")).rstrip("/") != issuer:
            raise ProviderUnreachable("The provider goes by another name than configured.")
        try:
            keys = jwt.PyJWKSet.from_dict(await _fetched("GET", str(metadata["jwks_uri"])))
            for endpoint in ("authorization_endpoint", "token_endpoint"):
                if not str(metadata[endpoint]).startswith(("https://", "http://")):
                    raise ProviderUnreachable("The provider names no usable addresses.")
        except (KeyError, jwt.PyJWTError) as error:
            raise ProviderUnreachable("The provider does not answer as one.") from error
        self._metadata = (now + METADATA_KEPT_S, metadata, keys)
        return metadata, keys


def _person(claims: dict[str, Any], settings: OidcSettings) -> tuple[str, Role]:
    name = str(claims.get(settings.user_claim) or claims["sub"])
    if not NAME.fullmatch(name):
        raise Forbidden("The provider's name for you cannot be used here.")
    given = claims.get(settings.role_claim) or []
    groups = {given} if isinstance(given, str) else {str(each) for each in given}
    for group, role in settings.roles.items():  # the first that fits, as they are written
        if group in groups:
            return name, role
    raise Forbidden("You are in none of the groups that may use the console.")


def _key_of(keys: jwt.PyJWKSet, key_id: object) -> jwt.PyJWK | None:
    if key_id is None and len(keys.keys) == 1:
        return keys.keys[0]
    return next((key for key in keys.keys if key.key_id == key_id), None)


async def _fetched(method: str, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(
                method, url, data=form, headers={"Accept": "application/json"},
                allow_redirects=False,
            ) as response,
        ):  # fmt: skip
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ProviderUnreachable("The provider does not answer.") from error
    if response.status >= 400 or not isinstance(answer, dict):
        if form is not None and response.status < 500:
            raise Forbidden("The provider did not accept the sign-in.")
        raise ProviderUnreachable("The provider does not answer as one.")
    return answer
