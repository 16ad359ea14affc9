#!/usr/bin/env python3
"""Shows what Keyturn and its peers do in a race, or after a lost answer: `behaviours.py --help`.

It measures no speed. It installs peers as the benchmark does, and writes what the page comparison.md shows:
`behaviours.py --output docs/explanation/behaviours.json`, then `docs/render_behaviours.py`.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from _environments import (
    BEHAVIOUR,
    DJANGO,
    FLASK,
    Environment,
    NotInstalled,
    Peers,
    in_cache,
    python_of,
)
from keyturn import AccessTokenError, KeyRing, RefreshError, TokenManager, __version__
from keyturn.stores.urls import store_from_url
from keyturn.testing.clock import ManualClock
from keyturn.testing.servers import PostgresServer, ServerMissing
from parts.on_postgres import for_django

PEERS: Final = Path(__file__).parent / "peers"
sys.path.insert(0, str(PEERS))

from _situations import REFRESHES, again, in_step, out, races, spent  # noqa: E402  (it is in the folder of peers)

SCRIPTS: Final[dict[str, Environment]] = {
    "behave_django.py": DJANGO,
    "behave_flask.py": FLASK,
    "behave_fastapi.py": BEHAVIOUR,
}


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@in_cache
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("behaviours.json"),
    help="The file for what was found.",
)
def main(cache: Path, output: Path) -> None:
    """Ask Keyturn and its peers what they do, on a PostgreSQL of their own, and write it down."""
    peers = Peers(cache, frozenset(each.name for each in SCRIPTS.values()))
    try:
        with PostgresServer() as postgres:
            told = _asked(peers, postgres.new_database)
    except (ServerMissing, NotInstalled) as error:
        raise click.ClickException(str(error)) from error
    output.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(f"wrote {output}")


def _asked(peers: Peers, new_database: Callable[[], str]) -> dict[str, Any]:
    versions = {"keyturn": __version__}
    findings = {"Keyturn": _keyturn(new_database())}
    for script, environment in SCRIPTS.items():
        given = {"secret": secrets.token_hex(32), "database": for_django(new_database())}
        done = subprocess.run(
            [str(python_of(environment, peers)), str(PEERS / script)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KEYTURN_BENCH_GIVEN": json.dumps(given)},
        )
        told = json.loads(done.stdout)
        versions |= told["versions"]
        findings |= told["findings"]
    return {"date": time.strftime("%Y-%m-%d"), "versions": versions, "findings": findings}


def _keyturn(url: str) -> dict[str, str]:
    """Ask Keyturn, under its defaults."""
    clock = ManualClock()
    with closing(store_from_url(url)) as store:
        store.create_schema()
        keys = KeyRing.generate(clock=clock)
        with closing(
            TokenManager(store=store, keys=keys, issuer="https://i", audience="a", clock=clock)
        ) as made:
            return _situations(made, clock)


def _situations(manager: TokenManager[Any], clock: ManualClock) -> dict[str, str]:
    def refresh(token: str, context: str = "") -> str | None:
        try:
            return manager.refresh(token, context=context).refresh_token
        except RefreshError:
            return None

    told = {"race": races(lambda: manager.issue("ann").refresh_token, refresh)}

    shared = manager.issue("ann").refresh_token
    one, other = manager.refresh(shared, context="owner"), manager.refresh(shared, context="thief")
    clock.advance("15m")
    mine, theirs = refresh(one.refresh_token, "owner"), refresh(other.refresh_token, "thief")
    goes_on = mine is not None and refresh(mine, "owner") is not None
    told["step"] = in_step(mine, theirs, goes_on=goes_on)

    lost = manager.issue("ann").refresh_token
    first = manager.refresh(lost).refresh_token
    told["lost"] = again(refresh(lost), first)

    old = manager.issue("ann").refresh_token
    pair = manager.refresh(old)
    manager.authenticate(pair.access_token)
    manager.flush()
    clock.advance("15m")
    pair = manager.refresh(pair.refresh_token)
    told["spent"] = spent(accepted=refresh(old) is not None, goes_on=refresh(pair.refresh_token) is not None)

    pair = manager.refresh(manager.issue("ann").refresh_token)
    manager.revoke(pair.session_id)
    told["out"] = out(accepted=_accepts(manager, pair.access_token))

    token = manager.issue("rows").refresh_token
    for _ in range(REFRESHES):
        clock.advance("15m")
        token = manager.refresh(token).refresh_token
    told["rows"] = f"{len(manager.sessions('rows', active=False)) - 1} more"
    return told


def _accepts(manager: TokenManager[Any], access: str) -> bool:
    try:
        manager.authenticate(access)
    except AccessTokenError:
        return False
    return True


if __name__ == "__main__":
    main()
