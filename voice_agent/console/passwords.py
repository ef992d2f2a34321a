"""Passwords and second factors: hashed with argon2id, compared in constant time."""

from __future__ import annotations

import hmac
import math
import time

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from voice_agent.console.accounts import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS
from voice_agent.console.errors import BadRequest

_STEP_S = 30
_hasher = PasswordHasher()
_nobodys = _hasher.hash("nobody has this password")
"""What a name that nobody has is checked against, so that it takes as long as any other."""


def hash_password(name: str, password: str) -> str:
    """What is kept of a password. Blocks for some 50 ms.

    Raises:
        BadRequest: too short, too long, or made of the name.
    """
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise BadRequest(f"A password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.")
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise BadRequest("That password is too easy to guess: it repeats itself or your name.")
    return _hasher.hash(password)


def password_fits(kept: str, password: str) -> bool:
    """Whether this is the password; takes as long where there is nobody. Blocks for some 50 ms."""
    try:
        _hasher.verify(kept or _nobodys, password[: MAX_PASSWORD_CHARS + 1])
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


def needs_rehash(kept: str) -> bool:
    """Whether the hash was made with weaker settings than are usual now."""
    return _hasher.check_needs_rehash(kept)


def new_totp_secret() -> str:
    """A secret for an authenticator."""
    return pyotp.random_base32()


def totp_uri(secret: str, name: str, company: str) -> str:
    """What an authenticator's camera wants to see."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"{company} console")


def totp_step(secret: str, code: str, now: float | None = None) -> int | None:
    """The time step a code is of, at most one step off (RFC 6238); ``None``: it is of none."""
    code = code.replace(" ", "")
    if not (code.isascii() and code.isdecimal() and len(code) == 6):
        return None
    step = math.floor((time.time() if now is None else now) / _STEP_S)
    totp = pyotp.TOTP(secret)
    fitting = [
        each
        for each in (step, step - 1, step + 1)
        if hmac.compare_digest(totp.at(each * _STEP_S), code)
    ]
    return fitting[0] if fitting else None
