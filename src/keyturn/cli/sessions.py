"""`keyturn sessions`: list them, tell their history, end them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from keyturn._core.commands import Where
from keyturn._core.ids import parse_session_id
from keyturn._core.records import Json, Session
from keyturn.cli.opening import Opened, end_sessions, opened
from keyturn.cli.options import with_settings
from keyturn.cli.output import json_option, print_rows, yes_option
from keyturn.durations import seconds
from keyturn.errors import ConfigurationError, InvalidInput
from keyturn.results import HistoryEntry, describe
from keyturn.server.settings import BY_NAME, Settings
from keyturn.server.words import moment, span

_PAGE = 10_000  # in Redis, each page is a walk through all keys: so few, and large
_COLUMNS = {
    "id": "SESSION",
    "user": "USER",
    "client": "CLIENT",
    "signed_in": "SIGNED IN",
    "last_seen": "LAST SEEN",
    "state": "STATE",
}
_LINE_COLUMNS = {
    "time": "TIME",
    "what": "WHAT",
    "reason": "REASON",
    "generation": "GENERATION",
    "client": "CLIENT",
    "told_apart_by": "CONTEXT",
}
_MOST_LINES = 100_000  # a session of 90 days that rotates every 15 minutes leaves 8,640
_CONTEXT_DIGITS = 8  # enough to tell the few clients of one session apart


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
@with_settings("store", "users", "audit_retention")
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


@sessions.command()
@click.argument("session_id", metavar="SESSION_ID")
@json_option
@with_settings("store", "users", "audit_retention")
def history(settings: Settings, *, session_id: str, as_json: bool) -> None:
    """Tell how a session got where it is: its audit trail, the oldest line first."""
    kept = settings.audit_retention
    if kept is None:
        variable = BY_NAME["audit_retention"].variable
        raise ConfigurationError(f"no audit trail is kept: set audit_retention ({variable}), such as 30d")
    if parse_session_id(session_id) is None:
        raise InvalidInput("That is not the id of a session: see `keyturn sessions list --all`.")
    with opened(settings) as database:
        lines = database.manager.history(session_id, limit=_MOST_LINES)
    empty = f"There are no lines of this session from the last {span(seconds(kept))}."
    print_rows([_line(line) for line in lines], _LINE_COLUMNS, as_json=as_json, empty=empty)
    if lines and lines[0].kind != "sign_in" and not as_json:  # a session's first line is its sign-in
        click.echo("Earlier lines are no longer kept.")
    if len(lines) == _MOST_LINES:
        click.echo(f"These are the first {_MOST_LINES:,} lines; there may be later ones.", err=as_json)


def _pages(database: Opened, where: Where) -> Iterator[Session]:
    while page := database.store.find(where, limit=_PAGE):
        yield from page
        where = Where(user_id=where.user_id, live_at=where.live_at, after=page[-1].sid)


def _line(line: HistoryEntry) -> dict[str, object]:
    return {
        **asdict(line),
        "time": moment(line.at),
        "what": line.kind.replace("_", "-"),
        "client": _client(line.device),
        "told_apart_by": line.context[:_CONTEXT_DIGITS],
    }


def _client(device: Json) -> object:
    return device.get("name") or device.get("user_agent") or ""


def _row(session: Session, now: int, names: dict[str, str]) -> dict[str, object]:
    info = describe(session, now=now)
    return {
        **asdict(info),
        "user": names.get(info.user_id, info.user_id),
        "client": _client(info.device),
        "signed_in": moment(info.created_at),
        "last_seen": moment(info.last_seen_at),
        "state": "active" if info.active else f"ended ({info.end_reason})",
    }
