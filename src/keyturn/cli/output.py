"""How results are printed: tables for people, JSON for programs. It knows no command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

P = ParamSpec("P")
R = TypeVar("R")


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command that lists also print JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")(command)


def yes_option(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command that destroys run without asking."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, empty: str
) -> None:
    """Print a list.

    Args:
        rows: What to print; JSON has all members, a table those with a column.
        columns: Member to heading.
        as_json: Print JSON.
        empty: The sentence for an empty table.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(row[name])) for name in columns))
    console().print(table)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one to a line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(f"{name:<{width}}  {_printable(value)}")


def console() -> Console:
    """Give standard output; through a pipe, lines are as long as they are."""
    screen = Console(highlight=False, soft_wrap=False)
    return screen if screen.is_terminal else Console(highlight=False, width=10_000)


def _printable(value: object) -> str:
    """Keep what others wrote, such as a user agent, from steering the terminal."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return "".join(each if each.isprintable() else "?" for each in text)
