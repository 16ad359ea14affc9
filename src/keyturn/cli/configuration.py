"""`keyturn config`: every setting, its value and where that comes from."""

from __future__ import annotations

import click
from click.core import ParameterSource

from keyturn.cli.options import SOURCES, show, with_settings
from keyturn.cli.output import json_option, print_rows
from keyturn.server.settings import SETTINGS, Settings

_COLUMNS = {"name": "SETTING", "value": "VALUE", "source": "FROM"}


@click.command()
@json_option
@with_settings()
@click.pass_context
def config(ctx: click.Context, settings: Settings, *, as_json: bool) -> None:
    """Show every setting, its value and where it comes from.

    A flag wins over the environment, that over the file, and that over the default.
    """
    rows = [
        {
            "name": setting.name,
            "value": show(setting, getattr(settings, setting.name)),
            "source": SOURCES[ctx.get_parameter_source(setting.name) or ParameterSource.DEFAULT],
            "flag": setting.flag,
            "variable": setting.variable,
        }
        for setting in SETTINGS
    ]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="")
