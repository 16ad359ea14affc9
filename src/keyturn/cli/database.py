"""`keyturn db` and `keyturn purge`: the schema, and what is old."""

from __future__ import annotations

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from keyturn.cli.opening import opened
from keyturn.cli.options import with_settings
from keyturn.cli.output import console, json_option, print_rows, yes_option
from keyturn.durations import seconds
from keyturn.errors import ConfigurationError
from keyturn.manager_base import DEFAULT_BATCH, DEFAULT_RETENTION
from keyturn.server.opening import open_engine, open_users
from keyturn.server.settings import Settings
from keyturn.server.users import HISTORY
from keyturn.server.words import span
from keyturn.stores import schema

_COLUMNS = {"part": "PART", "version": "VERSION", "newest": "NEWEST"}
_HISTORIES = {"sessions": schema.SESSIONS, "users": HISTORY}


@click.group()
def db() -> None:
    """Manage the database's tables."""


@db.command()
@with_settings("store")
def upgrade(settings: Settings) -> None:
    """Make the tables, or bring them to this version of Keyturn."""
    engine = open_engine(settings, create=True)
    try:
        schema.upgrade(engine)
        open_users(engine).create_schema()
    finally:
        engine.dispose()
    click.echo("The database is up to date.")


@db.command()
@json_option
@with_settings("store")
def current(settings: Settings, *, as_json: bool) -> None:
    """Show the versions of the tables, and the newest that this Keyturn knows."""
    engine = open_engine(settings, create=False)
    try:
        rows = [
            {
                "part": part,
                "version": schema.current(engine, history) or "none",
                "newest": schema.head(history),
            }
            for part, history in _HISTORIES.items()
        ]
    finally:
        engine.dispose()
    print_rows(rows, _COLUMNS, as_json=as_json, empty="")


@click.command()
@click.option(
    "--retention",
    metavar="DURATION",
    default=DEFAULT_RETENTION,
    show_default=True,
    help="How long to keep a session after its absolute end.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=DEFAULT_BATCH,
    show_default=True,
    help="How many rows to remove in one operation.",
)
@yes_option
@with_settings("store")
def purge(settings: Settings, *, retention: str, batch: int, yes: bool) -> None:
    """Remove sessions that ended long ago, batch by batch; others may work meanwhile."""
    try:
        kept = seconds(retention, name="--retention")
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    with opened(settings) as database:
        if not yes:
            click.confirm(f"Remove sessions whose end is more than {span(kept)} ago?", abort=True)
        screen = console()
        columns = (SpinnerColumn(), TextColumn("{task.completed} removed"), TimeElapsedColumn())
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
            task = progress.add_task("purge", total=None)

            def tell(removed: int) -> None:
                if screen.is_terminal:
                    progress.update(task, completed=removed)
                else:
                    click.echo(f"{removed} removed so far")

            removed = database.manager.purge(retention=kept, batch=batch, progress=tell)
    click.echo(f"{removed} rows removed.")
