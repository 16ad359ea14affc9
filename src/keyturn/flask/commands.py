"""`flask keyturn`: sessions and housekeeping with the application's own manager. It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup

from keyturn.errors import KeyturnError
from keyturn.flask.endpoints import extension
from keyturn.manager import TokenManager
from keyturn.manager_base import DEFAULT_RETENTION

commands = AppGroup("keyturn", help="See who is signed in, end sessions, and remove what is old.")


@contextmanager
def _manager() -> Generator[TokenManager[Any]]:
    """Give the application's manager, and flush it; whatever fails is told in one sentence."""
    try:
        manager = extension().manager
        try:
            yield manager
        finally:
            manager.flush()  # the process ends after a command, and nothing would write the trail
    except KeyturnError as error:
        raise click.ClickException(str(error)) from error


@commands.command(short_help="List the sessions of a user.")
@click.argument("user")
@click.option("--all", "ended_too", is_flag=True, help="Ended ones too, until they are purged.")
def sessions(user: str, *, ended_too: bool) -> None:
    """List the sessions of USER, an id, the newest first: one JSON document a line, times in UTC."""
    with _manager() as manager:
        found = manager.sessions(user, active=not ended_too)
    for session in found:
        facts = {
            "id": session.id,
            "signed_in": _moment(session.created_at),
            "last_seen": _moment(session.last_seen_at),
            "state": "active" if session.active else f"ended ({session.end_reason})",
            "device": dict(session.device),
        }
        click.echo(json.dumps(facts))  # in ASCII: a user agent that others wrote steers no terminal


@commands.command(short_help="End a session, or all of a user.")
@click.argument("session_id", metavar="[SESSION]", required=False)
@click.option("--user", metavar="USER", help="All sessions of this user, by id.")
def revoke(session_id: str | None, user: str | None) -> None:
    """End one SESSION, or all of a user: their refresh and access tokens are refused from now on."""
    if (session_id is None) == (user is None):
        raise click.UsageError("give either a session or --user")
    with _manager() as manager:
        if user is None:
            ended = int(manager.revoke(str(session_id), reason="admin"))
        else:
            ended = manager.revoke_user(user, reason="admin")
    if not ended:  # a typo must not look like success
        raise click.ClickException("There is no such session that lives.")
    click.echo(f"{ended} session{'' if ended == 1 else 's'} ended.")


@commands.command(short_help="Remove sessions that ended long ago.")
@click.option("--retention", default=DEFAULT_RETENTION, show_default=True, help="How long ended ones stay.")
def purge(retention: str) -> None:
    """Remove sessions whose absolute end is longer ago than the retention, and old lines of the trail."""
    with _manager() as manager:
        removed = manager.purge(retention=retention)
    click.echo(f"{removed} rows removed.")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
