"""`keyturn db` and `keyturn purge`: the schema, and what is old."""

from __future__ import annotations

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keyturn.cli.opening import opened, opened_store, opened_users, refuse_memory
from keyturn.cli.options import with_settings
from keyturn.cli.output import console, json_option, print_rows, yes_option
from keyturn.durations import seconds
from keyturn.errors import ConfigurationError
from keyturn.manager_base import DEFAULT_BATCH, DEFAULT_RETENTION
from keyturn.server.databases import has_users, open_url, prepare_store
from keyturn.server.settings import Settings
from keyturn.server.users import HISTORY
from keyturn.server.words import span
from keyturn.stores import schema
from keyturn.stores.urls import OwnStore, kind_of

_COLUMNS = {"part": "PART", "version": "VERSION", "newest": "NEWEST"}


@click.group()
def db() -> None:
    """Manage the database's tables."""


@db.command()
@with_settings("store", "users")
def upgrade(settings: Settings) -> None:
    """Make the tables, or bring them to this version of Keyturn; check what a store without tables needs."""
    kind = kind_of(settings.store)
    with opened_store(settings, create=True) as store:
        _prepare(store)
    if settings.users_url is not None:
        with opened_users(settings, create=True) as users:
            users.create_schema()
    if kind.is_sql:
        click.echo("The database is up to date.")
    else:
        click.echo(f"{kind.name} has no tables, so there is nothing to upgrade. The users are up to date.")


@db.command()
@json_option
@with_settings("store", "users")
def current(settings: Settings, *, as_json: bool) -> None:
    """Show the versions of the tables, and the newest that this Keyturn knows."""
    rows: list[dict[str, str]] = []
    kind = kind_of(settings.store)
    if kind.is_sql:
        rows.append(_version("sessions", settings.store, schema.SESSIONS))
    else:
        with opened_store(settings) as store:
            _prepare(store)  # without tables, all that can be told is whether it will do
        rows.append({"part": "sessions", "version": f"no tables in {kind.name}", "newest": ""})
    if settings.users_url is not None and has_users(settings):
        rows.append(_version("users", settings.users_url, HISTORY))
    print_rows(rows, _COLUMNS, as_json=as_json, empty="")


def _version(part: str, url: str, history: schema.History) -> dict[str, str]:
    refuse_memory(url)
    engine = open_url(url, create=False)
    try:
        version = schema.current(engine, history) or "none"
    finally:
        engine.dispose()
    return {"part": part, "version": version, "newest": schema.head(history)}


def _prepare(store: OwnStore) -> None:
    for warning in prepare_store(store):
        click.echo(f"Warning: {warning}", err=True)


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
@with_settings("store", "audit_retention")
def purge(settings: Settings, *, retention: str, batch: int, yes: bool) -> None:
    """Remove what is old, batch by batch: ended sessions and lines of the audit trail. Others may work on."""
    try:
        kept = seconds(retention, name="--retention")
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    with opened(settings) as database:
        if not yes:
            click.confirm(f"Remove sessions whose end is more than {span(kept)} ago?", abort=True)
        screen = console()
        # How much there is to remove is not counted first: that would take as long as removing it.
        columns = (BarColumn(20), TextColumn("{task.completed} removed"), TimeElapsedColumn())
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
            task = progress.add_task("purge", total=None)

            def tell(removed: int) -> None:
                if screen.is_terminal:
                    progress.update(task, completed=removed)
                else:
                    click.echo(f"{removed} removed so far")

            removed = database.manager.purge(retention=kept, batch=batch, progress=tell)
    click.echo(f"{removed} rows removed.")
