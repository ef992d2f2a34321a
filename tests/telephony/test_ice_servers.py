"""What pages and the gateway are told of STUN and TURN servers."""

from __future__ import annotations

import base64
import hashlib
import hmac

from telephony.ice_servers import for_gateway, for_page

URLS = ("stun:stun.example", "turn:turn.example:3478", "turns:turn.example?transport=tcp")


def test_turn_servers_get_a_credential_that_expires_and_checks_with_the_secret() -> None:
    stun, turn, turns = for_page(URLS, "secret", now_s=1000.5)
    assert stun == {"urls": URLS[0]}
    assert turn["username"] == "4600:caller"
    expected = hmac.new(b"secret", b"4600:caller", hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == expected
    assert turns["credential"] == turn["credential"]


def test_without_a_secret_servers_are_only_named() -> None:
    assert for_page(URLS, "", now_s=0.0) == [{"urls": url} for url in URLS]


def test_the_gateway_asks_only_stun() -> None:
    assert for_gateway(URLS) == ["stun:stun.example"]
