"""Passwords and second factors: hashed with argon2id, compared in constant time."""

from __future__ import annotations

import hmac
import math
import time

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from voice_agent.console.accounts import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS
from voice_agent.console.errors import BadRequest

_STEP_S = 30
_LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: a hundred million guesses do not find it."""
_WEIGHED_CHARS = 72
"""As many as zxcvbn takes: beyond, its time grows and nothing is easy to guess."""
_hasher = PasswordHasher()
_nobodys = _hasher.hash("nobody has this password")
"""What a name that nobody has is checked against, so that it takes as long as any other."""


def hash_password(name: str, password: str) -> str:
    """What is kept of a password. Blocks for some 50 ms.

    Raises:
        BadRequest: too short, too long, made of the name, or what others choose as well.
    """
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise BadRequest(f"A password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.")
    if why := _easy_to_guess(name, password):
        raise BadRequest(f"That password is too easy to guess. {why}")
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise BadRequest("That password is too easy to guess: it repeats itself or your name.")
    return _hasher.hash(password)


def _easy_to_guess(name: str, password: str) -> str:
    """Why it is found early by who guesses (common ones, rows of keys); empty: it is not.

    After D. Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016.
    """
    found = zxcvbn(password[:_WEIGHED_CHARS], user_inputs=[name])
    if found["score"] >= _LEAST_SCORE:
        return ""
    told = found["feedback"]
    return " ".join([told["warning"], *told["suggestions"]][:2]).strip() or "Make it longer."


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
