"""`keyturn sessions`: list them, end them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from keyturn._core.commands import Where
from keyturn._core.records import Session
from keyturn.cli.opening import Opened, end_sessions, opened
from keyturn.cli.options import with_settings
from keyturn.cli.output import json_option, print_rows, yes_option
from keyturn.errors import InvalidInput
from keyturn.results import describe
from keyturn.server.settings import Settings
from keyturn.server.words import moment
from keyturn.stores.protocol import PAGE

_COLUMNS = {
    "id": "SESSION",
    "user": "USER",
    "client": "CLIENT",
    "signed_in": "SIGNED IN",
    "last_seen": "LAST SEEN",
    "state": "STATE",
}


@click.group()
def sessions() -> None:
    """See who is signed in, and end sessions."""


@sessions.command("list")
@click.option("--user", metavar="NAME|ID", help="Only this user's.")
@click.option("--all", "include_ended", is_flag=True, help="Ended ones too, until they are purged.")
@json_option
@with_settings("store", "users")
def list_sessions(settings: Settings, *, user: str | None, include_ended: bool, as_json: bool) -> None:
    """List sessions, the oldest first."""
    now = round(time.time() * 1000)
    with opened(settings) as database:
        names = {known.id: known.username for known in database.known()}
        where = Where(
            user_id=None if user is None else database.user_id(user), live_at=None if include_ended else now
        )
        rows = [_row(session, now, names) for session in _pages(database, where)]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="There are no sessions.")


@sessions.command()
@click.argument("session_id", metavar="[SESSION_ID]", required=False)
@click.option("--user", metavar="NAME|ID", help="All sessions of this user.")
@yes_option
@with_settings("store", "users")
def revoke(settings: Settings, *, session_id: str | None, user: str | None, yes: bool) -> None:
    """End one session, or all of a user, at once: their refresh and access tokens are refused from now on."""
    if (session_id is None) == (user is None):
        raise click.UsageError("give either a session id or --user")
    with opened(settings) as database:
        if not yes:
            click.confirm(f"End {'this session' if user is None else f'all sessions of {user}'}?", abort=True)
        if user is not None:
            click.echo(end_sessions(database, database.user_id(user)))
        elif database.manager.revoke(str(session_id), reason="admin"):
            click.echo("The session has ended.")
        else:
            raise InvalidInput(f"There is no session {session_id}.")


def _pages(database: Opened, where: Where) -> Iterator[Session]:
    while page := database.store.find(where, limit=PAGE):
        yield from page
        where = Where(user_id=where.user_id, live_at=where.live_at, after=page[-1].sid)


def _row(session: Session, now: int, names: dict[str, str]) -> dict[str, object]:
    info = describe(session, now=now)
    return {
        **asdict(info),
        "user": names.get(info.user_id, info.user_id),
        "client": info.device.get("name") or info.device.get("user_agent") or "",
        "signed_in": moment(info.created_at),
        "last_seen": moment(info.last_seen_at),
        "state": "active" if info.active else f"ended ({info.end_reason})",
    }
