"""`keyturn keys` on every place where keys can be: whole turns, refusals, emergencies, encryption."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyturn._core.schedule import PUBLISH_FOR
from keyturn.cli.root import keyturn
from keyturn.keys import KeyRing
from keyturn.keystores import KeyKeeper, TurnPlan, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.manager import TokenManager
from keyturn.stores.urls import store_from_url

PASSPHRASE = "correct horse battery staple"
DAY = 86_400
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"

Place = tuple[str, ...]


@pytest.fixture(params=["file", "sqlite", "postgres_url", "redis_url"])
def place(request: pytest.FixtureRequest, empty_folder: Path) -> Place:
    """Flags that name an empty place for keys, and the sessions' store beside it."""
    match request.param:
        case "file":
            return ("--keys-file", "keys.json")
        case "sqlite":
            return ("--keys", "store", "--store", "sqlite:///keyturn.db")
        case name:
            return ("--keys", "store", "--store", request.getfixturevalue(name))


def invoke(
    *arguments: str, stdin: str | None = None, status: int = 0, env: dict[str, str] | None = None
) -> Result:
    """Run a command of `keyturn keys`, which must end with a status."""
    result = CliRunner().invoke(keyturn, ["keys", *arguments], input=stdin, env=env)
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    assert "Traceback" not in result.output
    return result


def listed(*flags: str, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """List the keys as JSON."""
    rows: list[dict[str, Any]] = json.loads(invoke("list", "--json", *flags, env=env).stdout)
    return rows


@contextmanager
def kept(place: Place, *, ahead: float = 0) -> Generator[KeyKeeper]:
    """Open the place beside the command line, at a later moment."""
    flags = dict(zip(place[::2], place[1::2], strict=True))
    file = flags.get("--keys-file")
    with closing(key_store_from_url(flags["--store"]) if file is None else FileKeyStore(file)) as store:
        yield KeyKeeper(store, clock=lambda: time.time() + ahead)


def test_a_turn_from_beginning_to_end(place: Place) -> None:
    """Made, listed, turned; each moment is said; a second turn waits; the rest happens by itself."""
    assert "has a new key" in invoke("generate", "--alg", "EdDSA", *place).stdout
    (first,) = listed(*place)
    told = invoke("rotate", *place).stdout
    old, new = listed(*place)
    assert (old["state"], new["state"], new["alg"]) == ("active", "pending", "EdDSA")
    assert old["kid"] == first["kid"]
    assert old["verifying_at"] == new["active_at"] == pytest.approx(time.time() + PUBLISH_FOR, abs=60)
    assert old["retired_at"] == pytest.approx(new["active_at"] + 90 * DAY + 65)
    assert f"A new key is published from now on: {new['kid']} (EdDSA)." in told
    assert re.search(rf"{MOMENT}, in (9|10) minutes: it begins to sign\. {old['kid']} goes on", told)
    assert re.search(rf"{MOMENT}, in 90 days: {old['kid']} is retired\.", told)
    assert re.search(rf"the key {new['kid']} signs from {MOMENT}", invoke("rotate", *place, status=1).output)
    assert len(listed(*place)) == 2
    for ahead, states in ((PUBLISH_FOR + 1, ["verifying", "active"]), (91 * DAY, ["retired", "active"])):
        with kept(place, ahead=ahead) as keeper:
            assert [info.state for info in keeper.load().infos()] == states


def test_a_key_is_not_dropped_too_early(place: Place) -> None:
    """The one that signs never; a pending one is called off; a name that is unknown is no success."""
    invoke("generate", *place)
    (first,) = listed(*place)
    assert "signs now" in invoke("retire", first["kid"], *place, status=1).output
    invoke("rotate", *place)
    pending = listed(*place)[1]["kid"]
    assert "is called off" in invoke("retire", pending, *place).stdout
    rows = listed(*place)
    assert [row["kid"] for row in rows] == [first["kid"], pending]
    assert rows[0]["next"] == ""
    assert re.fullmatch(f"retired from {MOMENT}", rows[1]["next"])
    assert "was called off" in invoke("retire", pending, *place, status=1).output
    assert "no key 'x'" in invoke("retire", "x", *place, status=1).output
    with kept(place, ahead=-PUBLISH_FOR - 1) as earlier:  # as if this had been done a while ago
        earlier.replace()
        earlier.rotate(TurnPlan(drain=5.0))
    verifying = listed(*place)[0]["kid"]
    refused = invoke("retire", verifying, *place, status=1).output
    assert re.search(rf"may be alive until {MOMENT}", refused)
    assert "--emergency" in refused
    assert len(listed(*place)) == 2


def test_an_emergency_says_what_it_costs(place: Place) -> None:
    """It asks first, counts the sessions that end, and then drops the key and its successor at once."""
    invoke("generate", *place)
    store = dict(zip(place[::2], place[1::2], strict=True)).get("--store", "sqlite:///keyturn.db")
    with closing(store_from_url(store)) as sessions:
        sessions.create_schema()
        manager = TokenManager(store=sessions, keys=KeyRing.generate(), issuer="https://a", audience="b")
        pairs = [manager.issue("alice"), manager.issue("bob")]
        manager.revoke(pairs[1].session_id)
        manager.close()
    invoke("rotate", *place)
    old, pending = (row["kid"] for row in listed(*place))
    asked = invoke("rotate", "--emergency", *place, stdin="n\n", status=1).output
    assert f"Every access and refresh token of {old}, {pending} will be refused" in asked
    assert "Up to 1 live session must sign in again" in asked
    assert "at most 5 minutes later" in asked
    assert [row["kid"] for row in listed(*place)] == [old, pending], "nothing happens without a yes"
    done = invoke("rotate", "--emergency", "--yes", "--alg", "eddsa", *place).stdout
    (new,) = listed(*place)
    assert (new["state"], new["alg"]) == ("active", "EdDSA")
    assert f"{old}, {pending} dropped. {new['kid']} (EdDSA) signs now." in done


def test_an_emergency_names_what_stays(empty_folder: Path) -> None:
    """A key that only verifies goes on, with a word about --all; with that, it goes too."""
    invoke("generate")
    keeper = KeyKeeper(FileKeyStore("keyturn-keys.json"), clock=lambda: time.time() - PUBLISH_FOR - 1)
    keeper.start_over("ES256")
    keeper.rotate(TurnPlan(drain=DAY))
    verifying, active = (row["kid"] for row in listed())
    asked = invoke("rotate", "--emergency", stdin="n\n", status=1).output
    assert re.search(rf"{verifying} goes on verifying until {MOMENT}, in 23 hours\. .* --all drops it", asked)
    assert "How many that are is not known: there is no database keyturn.db" in asked
    done = json.loads(invoke("rotate", "--emergency", "--yes", "--json").stdout)
    assert [info["kid"] for info in done["dropped"]] == [active]
    assert [info["kid"] for info in done["kept"]] == [verifying]
    done = json.loads(invoke("rotate", "--emergency", "--all", "--yes", "--json").stdout)
    assert done["kept"] == []
    assert len(listed()) == 1


def test_the_keys_are_encrypted(place: Place) -> None:
    """From the environment alone: made, listed, turned; wrong and missing secrets are one clear sentence."""
    secret, wrong = {"KEYTURN_KEYS_PASSPHRASE": PASSPHRASE}, {"KEYTURN_KEYS_PASSPHRASE": PASSPHRASE + "!"}
    made = invoke("generate", *place)
    assert ("in a database in clear" in made.stderr) == (place[0] == "--keys")
    assert "are not encrypted yet" in invoke("list", *place, env=secret).stderr
    assert "is encrypted" in invoke("encrypt", *place, env=secret).stdout
    (row,) = listed(*place, env=secret)
    assert "it is missing" in invoke("list", *place, status=1).output
    said = invoke("list", *place, status=1, env=wrong).output
    assert "passphrase is wrong" in said
    assert PASSPHRASE not in said
    invoke("rotate", *place, env=secret)
    with kept(place) as keeper:
        assert keeper.is_encrypted()
    assert listed(*place, env=secret)[0]["kid"] == row["kid"]
    assert "set KEYTURN_KEYS_PASSPHRASE" in invoke("encrypt", *place, status=1).output


def test_a_secret_is_never_shown_and_not_taken_from_the_command_line(empty_folder: Path) -> None:
    """Neither `config` nor an error shows it; a flag would stand in the list of processes."""
    for name, value in (("keys_passphrase", PASSPHRASE), ("keys_key", "A" * 42 + "E")):
        variable = f"KEYTURN_{name.upper()}"
        shown = CliRunner().invoke(keyturn, ["config"], env={variable: value}).output
        assert re.search(rf"{name} +\(not shown\) +environment", shown)
        assert value not in shown
        refused = invoke("list", f"--{name.replace('_', '-')}", value, status=2).output
        assert f"set {variable} instead" in refused
        assert value not in refused
    short = invoke("list", status=2, env={"KEYTURN_KEYS_PASSPHRASE": "hunter2"}).output
    assert "at least 12 characters" in short
    assert "hunter2" not in short
    both = {"KEYTURN_KEYS_PASSPHRASE": PASSPHRASE, "KEYTURN_KEYS_KEY": "A" * 42 + "E"}
    assert "one of them is enough" in invoke("list", status=2, env=both).output
    for name in both:
        for empty in ("", "  "):
            said = invoke("list", status=2, env={name: empty}).output
            assert f"{name} is empty: unset it, or give the secret" in said
    Path("keyturn.toml").write_text("keys_passphrase = 123456789012\n", encoding="utf-8")
    said = invoke("list", status=2).output
    assert "keys_passphrase must be a text" in said
    assert "123456789012" not in said


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["rotate", "--publish-for", "1m"], 2, "--publish-for must be at least 6m"),
        (["rotate", "--publish-for", "soon"], 2, "--publish-for must be a duration"),
        (["rotate", "--drain", "7d"], 2, "--drain must be at least 8d1m15s"),
        (["rotate", "--all"], 2, "--all needs --emergency"),
        (["rotate", "--emergency", "--drain", "90d"], 2, "waits for nothing"),
        (["rotate", "--alg", "none"], 2, "none"),
        (["rotate"], 1, "there are no keys in keyturn-keys.json: `keyturn keys generate` makes them"),
        (["list", "--keys", "memory://"], 2, "would forget them"),
        (["list", "--keys", "store", "--store", "memory://"], 2, "would forget them"),
        (["list", "--keys", "stor"], 2, "keys: that is not the URL of a store"),
        (["list", "--keys", "sqlite:///none.db"], 1, "there is no database none.db"),
        (["list", "--keys", "redis://:hunter2@127.0.0.1:1/0"], 1, "cannot be reached"),
    ],
)
def test_mistakes(empty_folder: Path, arguments: list[str], status: int, message: str) -> None:
    """Each is one sentence that says what to do; nothing is made, and no password is shown."""
    said = invoke(*arguments, status=status).output
    assert message in said
    assert "hunter2" not in said
    assert list(empty_folder.iterdir()) == []


def test_a_drain_that_is_shorter_for_those_who_know(empty_folder: Path) -> None:
    """Where no session has limits of its own, the idle limit is what counts; lifetimes are the servers'."""
    invoke("generate")
    told = json.loads(invoke("rotate", "--drain", "2d", "--idle-ttl", "12h", "--json").stdout)
    assert told["old"]["retired_at"] == pytest.approx(told["new"]["active_at"] + 2 * DAY)


def test_another_algorithm_is_not_chosen_by_accident(empty_folder: Path) -> None:
    """A secret is published nowhere, so other services would refuse all: it is asked for, each time."""
    invoke("generate", "--alg", "ES256")
    for emergency in ((), ("--emergency",)):
        said = invoke("rotate", "--alg", "HS256", *emergency, status=1).output
        assert "HS256 has no public key" in said
    assert [row["alg"] for row in listed()] == ["ES256"]
    assert "must accept EdDSA" in invoke("rotate", "--alg", "EdDSA").output
    (pending,) = (row["kid"] for row in listed() if row["state"] == "pending")
    assert "is called off" in invoke("retire", pending).stdout
    assert "HS256 has no public key" in invoke("rotate", "--alg", "HS256", "--yes").output
    assert {row["alg"] for row in listed()} == {"ES256", "EdDSA", "HS256"}
