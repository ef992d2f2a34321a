"""Who may sign in: names, roles, argon2 hashes and second factors, in SQLite for the owner alone.

Also sessions: only a digest of a session's token is kept, so the file lets nobody in.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from voice_agent.console.errors import BadRequest, Conflict, NotFound, Unavailable
from voice_agent.console.roles import Role
from voice_agent.private_database import create_database

log = structlog.get_logger(__name__)

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
MAX_SESSIONS_A_USER = 10
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE, role TEXT NOT NULL, password TEXT NOT NULL,
    totp TEXT NOT NULL DEFAULT '', totp_used INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, last_sign_in REAL, blocked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL COLLATE NOCASE, csrf TEXT NOT NULL,
    began_at REAL NOT NULL, used_at REAL NOT NULL, address TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions (user);
"""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in; an empty ``password`` is one who comes by OpenID Connect only."""

    name: str
    role: Role
    password: str = ""
    totp: str = ""
    totp_used: int = 0
    """The last time step a code of which was used; a code counts once."""
    last_sign_in: float | None = None
    blocked: bool = False
    """Comes by the company's sign-in, which would make the account anew, and was removed here."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. ``digest`` names it and is no secret; the token is not kept."""

    digest: str
    user: str
    role: Role
    csrf: str
    began_at: float
    used_at: float
    second_factor: bool = True
    """There is one: an authenticator, or the company's sign-in, which has its own."""


class Accounts:
    """The file of accounts and sessions. Its calls block for a moment: use them from a thread."""

    def __init__(self, path: Path, *, idle_s: float, age_s: float) -> None:
        self._path = path
        self._idle_s = idle_s
        self._age_s = age_s
        try:
            create_database(path, _SCHEMA, folder_mode=0o700)
            self._add_columns()
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"{path}: cannot be used for accounts: {error}") from error

    # --- people --------------------------------------------------------------------------------

    def user(self, name: str) -> User | None:
        """One person, by name in any case."""
        with self._open() as database:
            row = database.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
        return _user(row) if row else None

    def users(self) -> list[tuple[User, int]]:
        """Everybody, with how many sessions they have."""
        query = (
            "SELECT users.*, (SELECT COUNT(*) FROM sessions WHERE user = name AND began_at > ?"
            " AND used_at > ?) AS open FROM users ORDER BY name"
        )
        now = time.time()
        with self._open() as database:
            rows = database.execute(query, (now - self._age_s, now - self._idle_s)).fetchall()
        return [(_user(row), int(row["open"])) for row in rows]

    def add(self, name: str, role: Role, password_hash: str) -> None:
        """Let somebody in from now on.

        Raises:
            BadRequest: the name cannot be one.
            Conflict: there is somebody of that name.
        """
        check_name(name)
        with self._open() as database:
            try:
                database.execute(
                    "INSERT INTO users (name, role, password, created_at) VALUES (?, ?, ?, ?)",
                    (name, role.value, password_hash, time.time()),
                )
            except sqlite3.IntegrityError as error:
                raise Conflict(f"There is already a user {name}.") from error

    def set_role(self, name: str, role: Role) -> None:
        """Another role; the person has to sign in again, so that no session outlives its rights."""
        self._change("UPDATE users SET role = ? WHERE name = ?", role.value, name)
        self.end_sessions(name)

    def set_password(self, name: str, password_hash: str) -> None:
        """Another password; every session of theirs is over.

        Raises:
            Conflict: they come by the company's sign-in, which a password would shut out.
        """
        user = self.user(name)
        if user is not None and not user.password:
            raise Conflict(f"{name} signs in with a company account, which has no password here.")
        self._change("UPDATE users SET password = ? WHERE name = ?", password_hash, name)
        self.end_sessions(name)

    def rehash(self, name: str, password_hash: str) -> None:
        """The same password, hashed as is usual now."""
        self._change("UPDATE users SET password = ? WHERE name = ?", password_hash, name)

    def set_totp(self, name: str, secret: str) -> None:
        """The second factor's secret; empty takes it away, and every session of theirs is over."""
        self._change("UPDATE users SET totp = ?, totp_used = 0 WHERE name = ?", secret, name)
        if not secret:  # what a session was let do may hang on the factor
            self.end_sessions(name)

    def use_totp(self, name: str, step: int) -> bool:
        """Note that a code of this time step was used; false if one as late was used before."""
        with self._open() as database:
            done = database.execute(
                "UPDATE users SET totp_used = ? WHERE name = ? AND totp_used < ?",
                (step, name, step),
            )
            return done.rowcount == 1

    def remove(self, name: str) -> None:
        """Nobody of that name gets in any more, and who is in is out.

        Who comes by the company's sign-in is remembered as blocked: they would only be let in anew.
        """
        user = self.user(name)
        if user is not None and not user.password:
            self._change("UPDATE users SET blocked = 1 WHERE name = ?", name)
        else:
            self._change("DELETE FROM users WHERE name = ?", name)
        self.end_sessions(name)

    def let_back(self, name: str) -> None:
        """Somebody who was blocked may come by the company's sign-in again."""
        self._change("UPDATE users SET blocked = 0 WHERE name = ?", name)

    # --- sessions ------------------------------------------------------------------------------

    def begin_session(self, user: User, address: str) -> tuple[str, Session]:
        """Sign somebody in; gives the token for their cookie. Their oldest sessions make room."""
        token, now = secrets.token_urlsafe(32), time.time()
        session = Session(
            _digest(token), user.name, user.role, secrets.token_urlsafe(24), now, now,
            bool(user.totp) or not user.password,
        )  # fmt: skip
        with self._open() as database:
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
                (session.digest, user.name, session.csrf, now, now, address),
            )
            database.execute("UPDATE users SET last_sign_in = ? WHERE name = ?", (now, user.name))
            database.execute(
                "DELETE FROM sessions WHERE began_at < ? OR digest IN (SELECT digest FROM sessions"
                " WHERE user = ? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
                (now - self._age_s, user.name, MAX_SESSIONS_A_USER),
            )
        return token, session

    def session(self, token: str) -> Session | None:
        """The session of a cookie, if it is not over; using it keeps it from idling out."""
        return self.session_named(_digest(token), used=True)

    def session_named(self, digest: str, *, used: bool = False) -> Session | None:
        """The session of that digest, if it is not over.

        A clock that was set back makes a session look as if it began later: it is over then.
        """
        query = (
            "SELECT sessions.*, role, password, totp FROM sessions JOIN users ON users.name = user"
            " WHERE digest = ? AND NOT blocked"
        )
        now = time.time()
        with self._open() as database:
            row = database.execute(query, (digest,)).fetchone()
            if row is None:
                return None
        aged = not -60 <= now - row["began_at"] <= self._age_s
        if aged or now - row["used_at"] > self._idle_s:
            self._write_in_passing("DELETE FROM sessions WHERE digest = ?", digest)
            return None
        if used and abs(now - row["used_at"]) > 30:
            self._write_in_passing("UPDATE sessions SET used_at = ? WHERE digest = ?", now, digest)
        return Session(
            digest, row["user"], Role(row["role"]), row["csrf"], row["began_at"], row["used_at"],
            bool(row["totp"]) or not row["password"],
        )  # fmt: skip

    def signed_in(self) -> dict[str, Role]:
        """Everybody who has a session that is not over, by their name in lower case."""
        query = (
            "SELECT DISTINCT users.name, users.role FROM sessions JOIN users ON users.name = user"
            " WHERE began_at BETWEEN ? AND ? AND used_at >= ?"
        )
        now = time.time()
        with self._open() as database:
            rows = database.execute(
                query, (now - self._age_s, now + 60, now - self._idle_s)
            ).fetchall()
        return {str(row["name"]).lower(): Role(row["role"]) for row in rows}

    def end_session(self, digest: str) -> None:
        """Sign one browser out."""
        with self._open() as database:
            database.execute("DELETE FROM sessions WHERE digest = ?", (digest,))

    def end_sessions(self, name: str) -> int:
        """Sign somebody out everywhere; gives how many sessions that ended."""
        with self._open() as database:
            return database.execute("DELETE FROM sessions WHERE user = ?", (name,)).rowcount

    # --- the file ------------------------------------------------------------------------------

    def _change(self, query: str, *values: str) -> None:
        with self._open() as database:
            if database.execute(query, values).rowcount == 0:
                raise NotFound(f"There is no user {values[-1]}.")

    def _write_in_passing(self, query: str, *values: object) -> None:
        """What a request must not fail for: on a full disk the kill switch still has its users."""
        try:
            with self._open(patience_s=0.2) as database:
                database.execute(query, values)
        except sqlite3.OperationalError as error:
            log.warning("session_not_written", reason=str(error))

    def _add_columns(self) -> None:
        """What a file of an earlier version lacks."""
        with self._open() as database:
            known = {row["name"] for row in database.execute("PRAGMA table_info(users)")}
            if "blocked" not in known:
                database.execute("ALTER TABLE users ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0")

    @contextlib.contextmanager
    def _open(self, patience_s: float = 5.0) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=patience_s)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()


def check_name(name: str) -> None:
    """Whether somebody can be called that.

    Raises:
        BadRequest: not here.
    """
    if not NAME.fullmatch(name):
        raise BadRequest("A name has 1 to 64 letters, digits, dots, dashes or underscores.")


def _user(row: sqlite3.Row) -> User:
    return User(
        row["name"], Role(row["role"]), row["password"], row["totp"], row["totp_used"],
        row["last_sign_in"], bool(row["blocked"]),
    )  # fmt: skip


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
