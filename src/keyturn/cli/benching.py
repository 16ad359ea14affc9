"""`keyturn bench`: the benchmark, in a process of its own. It knows where the suite is, none of its parts."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

import keyturn

_PACKAGE: Final = Path(keyturn.__file__).resolve().parent
# In a wheel the suite is beside the package; in a checkout it stands where people look for it.
PLACES: Final = (_PACKAGE / "_benchmarks" / "suite.py", _PACKAGE.parents[1] / "benchmarks" / "suite.py")
_NEEDED: Final = ("psycopg", "redis", "pymysql", "asyncmy", "flask", "hypothesis", "pytest")


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure Keyturn on this machine, beside its limits and its peers.

    `keyturn bench --help` says what it takes.
    """
    suite = next((place for place in PLACES if place.exists()), None)
    if suite is None:
        raise click.ClickException("the benchmark is not part of this installation")
    missing = sorted(name for name in _NEEDED if find_spec(name) is None)
    if missing:
        raise click.ClickException(
            f"the benchmark needs {', '.join(missing)}: pip install 'keyturn[all]' brings what it measures"
        )
    # Nothing of the command line is loaded where it measures.
    raise SystemExit(subprocess.run([sys.executable, suite, *arguments], check=False).returncode)  # noqa: S603
