"""`keyturn keys`: make the keys file, and see what is in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from keyturn.cli.options import with_settings
from keyturn.cli.output import json_option, print_rows, yes_option
from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from keyturn.server import keys_file
from keyturn.server.settings import Settings
from keyturn.server.words import moment

_COLUMNS = {"kid": "KEY", "alg": "ALGORITHM", "state": "STATE", "since": "SINCE"}


@click.group()
def keys() -> None:
    """Manage the keys that tokens are signed with."""


@keys.command()
@click.option("--force", is_flag=True, help="Replace a keys file: every token until now is refused then.")
@yes_option
@with_settings("keys_file", "key_algorithm")
def generate(settings: Settings, *, force: bool, yes: bool) -> None:
    """Make a keys file with one new key, readable to its owner only."""
    path = Path(settings.keys_file)
    if not keys_file.create(path, settings.key_algorithm):
        if not force:
            raise ConfigurationError(
                f"there is a keys file {path}; --force replaces it, and signs everybody out"
            )
        if not yes:
            click.confirm(f"Replace {path}? Everybody has to sign in again.", abort=True)
        KeyRing.generate(settings.key_algorithm).save(path)
    info = KeyRing.load(path).infos()[0]
    click.echo(f"{path} has a new key, {info.kid} ({info.alg}).")


@keys.command("list")
@json_option
@with_settings("keys_file")
def list_keys(settings: Settings, *, as_json: bool) -> None:
    """List the keys; what is secret is not shown."""
    infos = KeyRing.load(settings.keys_file).infos()
    rows = [{**asdict(info), "since": moment(info.changed_at)} for info in infos]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="There are no keys.")
