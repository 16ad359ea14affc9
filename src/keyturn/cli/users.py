"""`keyturn users`: add, change and list those who may sign in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from keyturn._core.encoding import EncodingError, parse_json_object
from keyturn.cli.input import read_line
from keyturn.cli.opening import end_sessions, opened, opened_store, opened_users
from keyturn.cli.options import with_settings
from keyturn.cli.output import json_option, print_rows, yes_option
from keyturn.server.passwords import LONGEST, check_password
from keyturn.server.settings import Settings
from keyturn.server.users import check_username
from keyturn.server.words import moment

_COLUMNS = {"username": "USER", "id": "ID", "state": "STATE", "added": "ADDED", "claims": "CLAIMS"}

_password_option = click.option(
    "--password-stdin",
    "from_stdin",
    is_flag=True,
    help="Read the password from the first line of standard input.",
)


@click.group()
def users() -> None:
    """Manage who may sign in."""


@users.command()
@click.argument("name")
@click.option(
    "--claims",
    "claims_text",
    metavar="JSON",
    default="{}",
    help='Goes into access tokens: {"roles": ["member"]}.',
)
@_password_option
@with_settings("store", "users")
def add(settings: Settings, *, name: str, claims_text: str, from_stdin: bool) -> None:
    """Add a user. The password is asked for twice; it needs at least 8 characters, and no more rules."""
    claims = _claims(claims_text)
    check_username(name)
    password = _password(from_stdin=from_stdin)
    with opened_users(settings, create=True) as table:
        table.create_schema()
        user = table.add(name, password, claims)
    if settings.users_url == settings.store:
        with opened_store(settings, create=True) as store:
            store.create_schema()  # the other commands need the sessions' tables too
    click.echo(f"Added {user.username}, with the id {user.id}.")


@users.command()
@click.argument("name")
@_password_option
@with_settings("store", "users", "audit_retention")
def passwd(settings: Settings, *, name: str, from_stdin: bool) -> None:
    """Give a user a new password, and end all of the user's sessions."""
    with opened(settings) as database, opened_users(settings) as table:
        table.get(name)
        user = table.set_password(name, _password(from_stdin=from_stdin))
        click.echo(f"{user.username} has a new password. {end_sessions(database, user.id)}")


@users.command("list")
@json_option
@with_settings("store", "users")
def list_users(settings: Settings, *, as_json: bool) -> None:
    """List all users."""
    with opened_users(settings) as table:
        rows = [
            {
                **asdict(user),
                "state": "disabled" if user.disabled else "active",
                "added": moment(user.created_at),
            }
            for user in table.list()
        ]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="There are no users.")


@users.command()
@click.argument("name")
@yes_option
@with_settings("store", "users", "audit_retention")
def disable(settings: Settings, *, name: str, yes: bool) -> None:
    """Let a user sign in no more, and end all of the user's sessions."""
    with opened(settings) as database, opened_users(settings) as table:
        table.get(name)
        if not yes:
            click.confirm(f"Disable {name} and end all sessions?", abort=True)
        user = table.set_disabled(name, disabled=True)
        click.echo(f"{user.username} is disabled. {end_sessions(database, user.id)}")


@users.command()
@click.argument("name")
@with_settings("store", "users")
def enable(settings: Settings, *, name: str) -> None:
    """Let a disabled user sign in again."""
    with opened_users(settings) as table:
        click.echo(f"{table.set_disabled(name, disabled=False).username} may sign in again.")


def _claims(text: str) -> Mapping[str, Any]:
    try:
        return parse_json_object(text.encode())
    except (EncodingError, UnicodeEncodeError) as error:
        raise click.UsageError(f"--claims: {error}") from None


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return check_password(read_line(LONGEST * 4 + 2))
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return check_password(password)
