"""`voice-agent console`: the supervisors' page, and who may sign in."""

from __future__ import annotations

import json as json_module
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import GetPassWarning
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands.operator import operator
from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

if TYPE_CHECKING:
    from voice_agent.config import Settings
    from voice_agent.console.accounts import Accounts
    from voice_agent.console.roles import Role

PASSWORD_ENV = "VOICE_AGENT_CONSOLE_PASSWORD"  # noqa: S105  # its name, not itself

app = typer.Typer(help="Run the supervisors' console, and say who may sign in.")

NameArgument = Annotated[str, typer.Argument(help="Name to sign in with.")]
RoleOption = Annotated[
    str,
    typer.Option("--role", help="agent, supervisor, quality, engineer, administrator or auditor."),
]


@app.callback(invoke_without_command=True)
def console(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the console alone; the subcommands say who may sign in.

    Example: voice-agent console --config configs/local.yaml
    """
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(config)
    from voice_agent.console.app import run
    from voice_agent.records.logs import configure

    configure(settings.logging)
    raise typer.Exit(run(settings))


@app.command("add-user")
def add_user_command(
    name: NameArgument, role: RoleOption, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Let somebody sign in. The password is asked for, or is in VOICE_AGENT_CONSOLE_PASSWORD.

    Example: voice-agent console add-user kim --role administrator
    """
    settings = read_settings(config)
    from voice_agent.console.accounts import check_name
    from voice_agent.console.passwords import hash_password

    wanted = _role(role)
    check_name(name)
    accounts = _accounts(settings)
    kept = hash_password(name, _password())
    with noted(settings, "user_added", name, role=wanted.value):
        accounts.add(name, wanted, kept)
    typer.echo(f"{name} may sign in as {wanted.value}")


@app.command("remove-user")
def remove_user_command(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let somebody in no more, and end their sessions.

    Example: voice-agent console remove-user kim
    """
    settings = read_settings(config)
    with noted(settings, "user_removed", name):
        _accounts(settings).remove(name)
    typer.echo(f"{name} is let in no more")


@app.command("password")
def password_command(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Give somebody another password, and end their sessions.

    Example: voice-agent console password kim
    """
    settings = read_settings(config)
    from voice_agent.console.passwords import hash_password

    kept = hash_password(name, _password())
    with noted(settings, "password_set", name):
        _accounts(settings).set_password(name, kept)
    typer.echo(f"{name} has another password")


@app.command("totp")
def totp_command(
    name: NameArgument,
    off: Annotated[bool, typer.Option("--off", help="Take the second factor away.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give somebody a second factor, and end their sessions: prints what their authenticator wants.

    Example: voice-agent console totp kim
    """
    settings = read_settings(config)
    from voice_agent.console.passwords import new_totp_secret, totp_uri

    secret = "" if off else new_totp_secret()
    with noted(settings, "totp_removed" if off else "totp_set", name):
        accounts = _accounts(settings)
        accounts.set_totp(name, secret)
        accounts.end_sessions(name)
    typer.echo("taken away" if off else totp_uri(secret, name, settings.answering.company))


@app.command("users")
def users_command(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List who may sign in.

    Example: voice-agent console users --json
    """
    rows = [
        {
            "name": user.name,
            "role": user.role.value,
            "totp": bool(user.totp),
            "password": bool(user.password),
            "blocked": user.blocked,
            "sessions": sessions,
        }
        for user, sessions in _accounts(read_settings(config)).users()
    ]
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    for row in rows:
        factor = "second factor" if row["totp"] else "no second factor"
        if row["blocked"]:
            factor = "removed"
        typer.echo(f"{row['name']:24}{row['role']:16}{factor}, {row['sessions']} sessions")
    if not rows:
        typer.echo("nobody yet: voice-agent console add-user NAME --role administrator")


@app.command("sign-out")
def sign_out_command(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """End every session somebody has.

    Example: voice-agent console sign-out kim
    """
    settings = read_settings(config)
    with noted(settings, "sessions_ended", name):
        ended = _accounts(settings).end_sessions(name)
    typer.echo(f"{ended} sessions ended")


@app.command("roles")
def roles_command(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Print what each role may do: a row for every endpoint.

    Example: voice-agent console roles
    """
    from voice_agent.console.app import Console
    from voice_agent.console.endpoints import role_table
    from voice_agent.console.roles import Role

    table = role_table(Console(read_settings(config)).endpoints)
    if json:
        typer.echo(json_module.dumps(table, indent=2))
        return
    typer.echo(f"{'':46}{'needs':17}" + " ".join(role.value for role in Role))
    for row in table:
        marks = " ".join(
            ("yes" if row["roles"][role.value] else "-").ljust(len(role.value)) for role in Role
        )
        typer.echo(f"{row['method']:7}{row['path']:39}{row['needs']:17}{marks}".rstrip())


def _accounts(settings: Settings) -> Accounts:
    from voice_agent.console.app import accounts

    return accounts(settings)


def note(settings: Settings, action: str, target: str, **detail: object) -> None:
    """Who runs commands here may do everything; it is noted under the system's name for them."""
    from voice_agent.console.app import audit_log

    audit_log(settings).add(f"{operator()} (command line)", "", action, target, **detail)


@contextmanager
def noted(settings: Settings, action: str, target: str, **detail: object) -> Iterator[None]:
    """Note an act, then do it inside; one that is not done is noted as such as well."""
    note(settings, action, target, **detail)
    try:
        yield
    except Exception as error:
        note(settings, f"{action}_refused", target, reason=getattr(error, "code", "failed"))
        raise


def _password() -> str:
    given = os.environ.get(PASSWORD_ENV)
    if given:
        return given
    from voice_agent.config import ConfigError

    with warnings.catch_warnings():
        # without a terminal the password would be shown, or be read from whatever is piped in
        warnings.simplefilter("error", GetPassWarning)
        try:
            return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
        except GetPassWarning as error:
            raise ConfigError(
                f"there is no terminal to ask for the password: put it into {PASSWORD_ENV}"
            ) from error


def _role(name: str) -> Role:
    from voice_agent.console.roles import Role

    try:
        return Role(name)
    except ValueError as error:
        raise typer.BadParameter(f"one of {', '.join(Role)}", param_hint="--role") from error
