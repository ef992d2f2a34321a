"""Every refusal of the console: a stable code, and a sentence that may be shown."""

from __future__ import annotations


class ConsoleError(Exception):
    """Something that is not done; ``status`` is its HTTP status."""

    code = "failed"
    status = 500
    retryable = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotSignedIn(ConsoleError):
    """No session, or one that is over."""

    code = "not_signed_in"
    status = 401


class SignInRefused(ConsoleError):
    """Wrong name, password or code; which of them is not said."""

    code = "sign_in_refused"
    status = 401


class WrongPassword(ConsoleError):
    """Somebody who is signed in did not prove that it is still them; they stay signed in."""

    code = "wrong_password"
    status = 403


class TotpRequired(ConsoleError):
    """The password was right, and a code is needed as well."""

    code = "totp_required"
    status = 401


class Locked(ConsoleError):
    """Too many wrong passwords; nobody gets in for a while."""

    code = "locked"
    status = 429
    retryable = True


class TooManyRequests(ConsoleError):
    """This address asks for more than its share."""

    code = "rate_limited"
    status = 429
    retryable = True


class Forbidden(ConsoleError):
    """Signed in, but not for this."""

    code = "forbidden"
    status = 403


class FactorMissing(Forbidden):
    """Signed in by password alone, where the role needs an authenticator too."""

    code = "factor_missing"


class NotFound(ConsoleError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class BadRequest(ConsoleError):
    """The request does not say what is needed."""

    code = "bad_request"
    status = 400


class Conflict(ConsoleError):
    """It is already so, or somebody else was first."""

    code = "conflict"
    status = 409


class Unavailable(ConsoleError):
    """A part that is needed does not answer just now."""

    code = "unavailable"
    status = 503
    retryable = True


class GatewayRefused(ConsoleError):
    """The gateway does not do it; its own code, status and sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
