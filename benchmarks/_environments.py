"""Virtual environments for what is measured beside Keyturn, so that it does not meet Keyturn's own packages.

Each is made once and kept in a cache folder, under a name that changes with what it holds. It knows no peer's
ways: only what pip is to install.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

import click

_LAST_WORDS: Final = 300


class NotInstalled(RuntimeError):
    """An environment could not be made. The message says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages that are installed together.

    Attributes:
        name: For options and for the folder.
        what: For people.
        requirements: What pip is to install.
    """

    name: str
    what: str
    requirements: tuple[str, ...]


JWT: Final = Environment(
    "jwt", "PyJWT, joserfc and authlib", ("pyjwt[crypto]>=2.10", "authlib>=1.6.5", "joserfc>=1.7")
)
DJANGO: Final = Environment(
    "django",
    "simplejwt and django-oauth-toolkit",
    (
        "django>=5.2",
        "djangorestframework>=3.16",
        "djangorestframework-simplejwt[crypto]>=5.5",
        "django-oauth-toolkit>=3.1",
        "psycopg[binary]>=3.3",
    ),
)
FLASK: Final = Environment(
    "flask", "flask-jwt-extended", ("flask>=3.1", "flask-jwt-extended>=4.7", "redis[hiredis]>=6.2")
)
HTTP: Final = Environment(
    "http",
    "uvloop and httptools, PyJWT in a route, Flask on gunicorn",
    ("uvloop>=0.21", "httptools>=0.6", "pyjwt>=2.10", "gunicorn>=23"),
)
PLOT: Final = Environment("plot", "the plot by matplotlib", ("matplotlib>=3.10",))
# Not measured, only asked what they do: behaviours.py.
BEHAVIOUR: Final = Environment(
    "behaviour",
    "fastapi-users and authx",
    ("fastapi-users[sqlalchemy]>=15", "authx>=1.7", "fastapi>=0.120", "httpx>=0.28", "aiosqlite>=0.22"),
)

ALL: Final = (JWT, DJANGO, FLASK, HTTP, PLOT)


@dataclass(frozen=True, slots=True)
class Peers:
    """Where environments are kept, and which are wanted.

    Attributes:
        folder: The cache.
        wanted: Their names.
    """

    folder: Path
    wanted: frozenset[str]


def default_folder() -> Path:
    """Say where environments are kept unless somebody says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keyturn" / "bench"


in_cache: Final = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_folder,
    show_default="the user's cache",
    help="Where the environments of peers are kept.",
)


def python_of(environment: Environment, peers: Peers) -> Path:
    """Give an environment's Python; it is made where there is none yet.

    Raises:
        NotInstalled: It cannot be made, or is not wanted.
    """
    if environment.name not in peers.wanted:
        raise NotInstalled(f"it was left out (--peers, without {environment.name})")
    cache = peers.folder
    told = "\n".join((*environment.requirements, sys.version, sys.base_prefix))
    folder = cache / f"{environment.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    click.echo(f"  installing what is needed for {environment.what} (once) …")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    flags = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", "--timeout=10")
    _run([str(python), "-m", "pip", "install", *flags, *environment.requirements])
    done.touch()
    return python


def site_of(python: Path) -> Path:
    """Give the folder of an environment's packages."""
    return next(python.parent.parent.glob("lib/python3*/site-packages"))


def versions_in(site: Path, names: Iterable[str]) -> dict[str, str]:
    """Give the versions of packages in such a folder."""
    return {name: next(iter(distributions(name=name, path=[str(site)]))).version for name in names}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-_LAST_WORDS:]
        raise NotInstalled(
            f"pip could not install it: {words.splitlines()[-1] if words else done.returncode}"
        )
