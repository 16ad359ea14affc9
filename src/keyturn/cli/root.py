"""The group of all commands, and what every error becomes. It knows no store."""

from __future__ import annotations

from typing import Any

import click

import keyturn as package
from keyturn.cli.benching import bench
from keyturn.cli.configuration import config
from keyturn.cli.database import db, purge
from keyturn.cli.keyring import keys
from keyturn.cli.serving import serve
from keyturn.cli.sessions import sessions
from keyturn.cli.tokens import token
from keyturn.cli.users import users
from keyturn.errors import KeyturnError


class Commands(click.Group):
    """Commands whose failures are one sentence and exit status 1; wrong usage is 2."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (as click has it)
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyturnError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package.__version__, prog_name="keyturn")
def keyturn() -> None:
    """Sign-in that lasts: refresh-token rotation, theft detection, sessions and instant revocation.

    Begin with `keyturn serve --demo`. Settings come from flags, then `KEYTURN_…` variables, then
    `keyturn.toml`, then the defaults: `keyturn config` shows each and where it comes from.
    """


for command in (serve, users, sessions, token, keys, purge, db, config, bench):
    keyturn.add_command(command)
