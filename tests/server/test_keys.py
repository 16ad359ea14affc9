"""Servers follow the keys that they share: real processes, no restart, nobody signed out who need not be."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from keyturn.cli.root import keyturn
from keyturn.deferred import run_coroutine
from keyturn.errors import ConfigurationError
from keyturn.keystores import KeyKeeper, TurnPlan, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.sealing import Seal
from keyturn.server.opening import open_service
from keyturn.server.settings import Settings
from tests.support.keyturn_server import demo_password, keyturn_server, me, refresh, sign_in
from tests.support.processes import Server, wait_until

PASSPHRASE = "correct horse battery staple"
QUICK = ("--keys-refresh", "50ms")


def kid_of(tokens: dict[str, str]) -> str:
    """Give the name of the key that signed an access token."""
    head = tokens["access_token"].partition(".")[0]
    header: dict[str, str] = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return header["kid"]


def published(server: Server) -> list[str]:
    """Give the names of the published keys."""
    answer = httpx.get(f"{server.url}/.well-known/jwks.json", timeout=20)
    return [key["kid"] for key in answer.json()["keys"]]


def publishes(server: Server, kids: list[str]) -> bool:
    """Tell whether a server publishes these keys."""
    return published(server) == kids


def signs_with(server: Server, tokens: dict[str, str], kid: str) -> bool:
    """Tell whether a server signs with this key: within the race window, a refresh changes nothing else."""
    return kid_of(refresh(server, tokens).json()) == kid


def refuses(server: Server, tokens: dict[str, str]) -> bool:
    """Tell whether a server refuses an access token."""
    return me(server, tokens) == 401


def keys(*arguments: str) -> Any:
    """Run a command of `keyturn keys`, and give what it printed as JSON."""
    done = CliRunner().invoke(keyturn, ["keys", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["file", "database"])
def test_two_servers_follow_one_ring(
    kind: str, empty_folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn is published, switches at its moment, and signs nobody out; an emergency acts everywhere."""
    place: tuple[str, ...] = ("--keys-file", f"{empty_folder}/keys.json")
    if kind == "database":
        monkeypatch.setenv("KEYTURN_KEYS_PASSPHRASE", PASSPHRASE)
        place = ("--keys", "store", "--store", request.getfixturevalue("postgres_url"))
        store = key_store_from_url(place[-1])
    else:
        store = FileKeyStore(place[-1])
        place = (*place, "--store", f"sqlite:///{empty_folder}/shared.db")
    flags = (*place, *QUICK, "--issuer", "https://auth.example.com")
    folders = [empty_folder / "first", empty_folder / "second"]
    for folder in folders:
        folder.mkdir()
    with (
        closing(store),
        keyturn_server(folders[0], *flags, "--demo") as first,
        keyturn_server(folders[1], *flags) as second,
    ):
        servers = (first, second)
        password = demo_password(first, "alice")
        tokens = sign_in(first, password)
        (old,) = published(second)
        assert kid_of(tokens) == old

        pending = keys("rotate", *place)["new"]["kid"]
        for server in servers:
            wait_until(partial(publishes, server, [old, pending]), what="the pending key")
        assert kid_of(refresh(second, tokens).json()) == old

        seal = Seal.from_passphrase(PASSPHRASE) if kind == "database" else None
        keeper = KeyKeeper(store, seal=seal)
        keeper.retire(pending, drain=0.0)
        new = keeper.rotate(TurnPlan(drain=3600.0, publish_for=1.0)).new.kid
        for server in servers:
            wait_until(partial(signs_with, server, tokens, new), what="the switch")
        assert [me(server, tokens) for server in servers] == [200, 200]
        later = refresh(second, tokens)
        assert later.status_code == 200, later.text
        tokens = later.json()
        assert kid_of(tokens) == new
        assert refresh(first, tokens).status_code == 200

        dropped = keys("rotate", "--emergency", "--yes", *place)
        assert [info["kid"] for info in dropped["dropped"]] == [new]
        for server in servers:
            wait_until(partial(refuses, server, tokens), what="the refusal")
            assert refresh(server, tokens).status_code == 401
            assert published(server) == [old, dropped["new"]["kid"]]
        tokens = sign_in(first, password)
        assert (me(second, tokens), kid_of(tokens)) == (200, dropped["new"]["kid"])
        said = first.output() + second.output()
    assert PASSPHRASE not in said
    assert "Traceback" not in said
    assert "in clear" not in said


def test_keys_in_a_database_in_clear_are_warned_of(empty_folder: Path) -> None:
    """A leaked database would let its reader sign access tokens: the start says so, and where they are."""
    with keyturn_server(empty_folder, "--keys", "store") as server:
        said = server.output()
        assert said.count("the keys are in a database in clear") == 1
        assert "keys       sqlite:///" in said
        assert published(server)
    assert not (empty_folder / "keys.json").exists()


def test_keys_that_cannot_be_decrypted_stop_the_start(empty_folder: Path) -> None:
    """A server without the secret, or with another, does not start with keys of its own."""
    run_coroutine(open_service(Settings(keys_passphrase=PASSPHRASE)).close())
    kept = Path("keyturn-keys.json").read_bytes()
    with pytest.raises(ConfigurationError, match="it is missing"):
        open_service(Settings())
    with pytest.raises(ConfigurationError, match="passphrase is wrong"):
        open_service(Settings(keys_passphrase=PASSPHRASE + "!"))
    run_coroutine(open_service(Settings(keys_passphrase=PASSPHRASE)).close())
    assert Path("keyturn-keys.json").read_bytes() == kept
