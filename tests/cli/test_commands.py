"""The commands, on real files: users, sessions, keys, tokens, the database."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.root import keyturn
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.policy import Policy
from keyturn.results import TokenPair
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.servers.programs import free_port
from tests.support.keyturn_server import COMMAND

ISSUER = "http://127.0.0.1:8000"
PASSWORD = "correct horse\n"


def run(*arguments: str, stdin: str | bytes | None = None, status: int = 0) -> str:
    """Run a command that must end with a status, and give what it printed, both streams."""
    result: Result = CliRunner().invoke(keyturn, list(arguments), input=stdin)
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    assert "Traceback" not in result.output
    return result.output


def listed(*arguments: str) -> list[dict[str, Any]]:
    """Run a command that lists, as JSON."""
    rows: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))
    return rows


def issue(user_id: str, *, days_ago: float = 0, **options: Any) -> TokenPair:
    """Begin a session in the database and with the keys of the current folder, now or some time ago."""
    if not Path("keyturn-keys.json").exists():
        run("keys", "generate")
    store = SQLAlchemyStore.from_url("sqlite:///keyturn.db")
    store.create_schema()
    manager = TokenManager(
        store=store,
        keys=KeyRing.load("keyturn-keys.json"),
        issuer=ISSUER,
        audience="keyturn",
        clock=lambda: time.time() - days_ago * 86_400,
    )
    pair = manager.issue(user_id, **options)
    manager.close()
    return pair


@pytest.fixture
def alice(empty_folder: Path) -> str:
    """A user in the database of the current folder; her id."""
    run("db", "upgrade")
    run("users", "add", "Alice", "--claims", '{"roles": ["member"]}', "--password-stdin", stdin=PASSWORD)
    found: str = listed("users", "list")[0]["id"]
    return found


# --- users ------------------------------------------------------------------------------------------


def test_users_are_added_and_listed(alice: str) -> None:
    """The password may be typed twice instead; a list shows no hash."""
    typed = "another password\nanother password\n"
    assert "Added bob" in run("users", "add", "bob", stdin=typed)
    output = run("users", "list")
    assert re.findall(r"(?m)^(alice|bob)\b", output) == ["alice", "bob"]
    assert "argon2" not in output + json.dumps(listed("users", "list"))
    assert listed("users", "list")[0]["claims"] == {"roles": ["member"]}


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "message"),
    [
        (["alice", "--password-stdin"], PASSWORD, 1, "already"),
        (["bob", "--password-stdin"], "short\n", 1, "at least 8"),
        (["bob", "--password-stdin"], "", 1, "at least 8"),
        (["bob", "--password-stdin"], "x" * 5000, 1, "must not"),
        (["bob", "--password-stdin"], b"not \xff in UTF-8\n", 1, "surrogate"),
        (["a\tb", "--password-stdin"], PASSWORD, 1, "printable"),
        (["bob", "--password-stdin", "--claims", "{"], PASSWORD, 2, "--claims"),
        (["bob", "--password-stdin", "--claims", '{"sub": "x"}'], PASSWORD, 1, "sub"),
        ([], None, 2, "NAME"),
    ],
)
def test_users_that_cannot_be(
    alice: str, arguments: list[str], stdin: str | bytes | None, status: int, message: str
) -> None:
    """Each is one sentence, and nobody is added."""
    assert message in run("users", "add", *arguments, stdin=stdin, status=status)
    assert len(listed("users", "list")) == 1


def test_a_new_password_ends_all_sessions(alice: str) -> None:
    """And says how many there were."""
    issue(alice)
    issue(alice)
    issue("somebody else")
    said = run("users", "passwd", "ALICE", "--password-stdin", stdin="another password\n")
    assert "2 sessions ended" in said
    assert [row["user_id"] for row in listed("sessions", "list")] == ["somebody else"]
    assert "no user" in run("users", "passwd", "nobody", "--password-stdin", stdin=PASSWORD, status=1)


def test_disabling_ends_sessions_after_asking(alice: str) -> None:
    """Without a yes nothing happens; with one, the sessions end."""
    issue(alice)
    assert "Aborted" in run("users", "disable", "alice", stdin="n\n", status=1)
    assert len(listed("sessions", "list")) == 1
    assert "1 session ended" in run("users", "disable", "alice", "--yes")
    assert listed("users", "list")[0]["state"] == "disabled"
    assert listed("sessions", "list") == []
    run("users", "enable", "alice")
    assert listed("users", "list")[0]["state"] == "active"


# --- sessions ---------------------------------------------------------------------------------------


def test_sessions_are_listed_by_name(alice: str) -> None:
    """Users by name where there is one; a client's own words cannot steer the terminal."""
    issue(alice, device={"name": "Firefox on \x1b[31mLinux"})
    issue("somebody else")
    output = run("sessions", "list")
    assert "\x1b" not in output
    assert "Firefox on ?[31mLinux" in output
    assert [row["user"] for row in listed("sessions", "list")] == ["alice", "somebody else"]
    for who in ("ALICE", alice):
        assert [row["user_id"] for row in listed("sessions", "list", "--user", who)] == [alice]
    for command in (["list"], ["revoke", "--yes"]):  # a typo must not look like success
        said = run("sessions", *command, "--user", "nobody", status=1)
        assert "There is no user 'nobody', and no session of such an id." in said


def test_sessions_are_ended(alice: str) -> None:
    """One by id, or all of a user; ended ones show with --all, with the reason."""
    one, two, three = issue(alice), issue(alice), issue(alice)
    assert "Aborted" in run("sessions", "revoke", one.session_id, stdin="\n", status=1)
    assert "has ended" in run("sessions", "revoke", one.session_id, "--yes")
    assert {row["id"] for row in listed("sessions", "list")} == {two.session_id, three.session_id}
    assert "2 sessions ended" in run("sessions", "revoke", "--user", "alice", "--yes")
    assert listed("sessions", "list") == []
    assert {row["state"] for row in listed("sessions", "list", "--all")} == {"ended (admin)"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["01a1fc82-ef44-799c-9103-c609711cebf7", "--yes"], 1, "no session"),
        (["nonsense", "--yes"], 1, "no session"),
        ([], 2, "either"),
        (["nonsense", "--user", "alice"], 2, "either"),
    ],
)
def test_sessions_that_are_not_there(alice: str, arguments: list[str], status: int, message: str) -> None:
    """Each is one sentence."""
    assert message in run("sessions", "revoke", *arguments, status=status)


def test_purge_tells_how_far_it_is(alice: str) -> None:
    """Batch by batch, after asking; live sessions stay."""
    for _ in range(5):
        issue(alice, days_ago=95)  # its absolute end was five days ago
    kept = issue(alice)
    assert "Aborted" in run("purge", stdin="n\n", status=1)
    assert len(listed("sessions", "list", "--all")) == 6
    assert "--retention must be" in run("purge", "--retention", "soon", "--yes", status=2)
    assert run("purge", "--retention", "6d", "--yes") == "0 rows removed.\n"
    output = run("purge", "--retention", "4d", "--batch", "2", "--yes")
    assert output.splitlines() == [
        *("2 removed so far", "4 removed so far", "5 removed so far"),
        "5 rows removed.",
    ]
    assert [row["id"] for row in listed("sessions", "list", "--all")] == [kept.session_id]


def test_purge_on_a_terminal_shows_one_moving_line(alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees how far it is and how long it took, and then only the result."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that somebody is looking
    for _ in range(3):
        issue(alice, days_ago=95)
    output = run("purge", "--retention", "4d", "--batch", "2", "--yes")
    assert "removed so far" not in output
    assert re.search(r"3 removed.*0:00:0", output)
    assert output.endswith("3 rows removed.\n")


# --- database and keys ------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_not_made_by_looking(empty_folder: Path) -> None:
    """Commands that only look, and those that change what should be there, make no file."""
    for arguments in (["sessions", "list"], ["users", "list"], ["purge", "--yes"], ["db", "current"]):
        assert "there is no database" in run(*arguments, status=1)
    assert list(empty_folder.iterdir()) == []
    add = ["users", "add", "bob", "--password-stdin"]
    for arguments in (["sessions", "list"], add, ["db", "upgrade"]):
        assert "lives inside" in run(*arguments, "--store", "memory://", stdin=PASSWORD, status=1)


def test_the_schema_is_made_and_shown(empty_folder: Path) -> None:
    """`db upgrade` makes both parts, and again does no harm."""
    (empty_folder / "keyturn.db").touch()
    assert {row["version"] for row in listed("db", "current")} == {"none"}
    assert "keyturn db upgrade" in run("sessions", "list", status=1)
    run("db", "upgrade")
    run("db", "upgrade")
    assert all(row["version"] == row["newest"] for row in listed("db", "current"))


def test_a_file_that_is_no_database(empty_folder: Path) -> None:
    """It is left alone, and named."""
    (empty_folder / "keyturn.db").write_text("a letter to my aunt" * 100)
    for arguments in (["sessions", "list"], ["db", "upgrade"], ["users", "list"]):
        assert "not an SQLite database" in run(*arguments, status=1)


def test_keys_are_made_once(empty_folder: Path) -> None:
    """A keys file is its owner's; it is replaced only by force and after asking."""
    assert "(EdDSA)" in run("keys", "generate", "--alg", "eddsa")
    path = empty_folder / "keyturn-keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = listed("keys", "list")
    assert [(row["alg"], row["state"]) for row in first] == [("EdDSA", "active")]
    assert '"d"' not in json.dumps(first)
    assert "--force" in run("keys", "generate", status=1)
    assert "Aborted" in run("keys", "generate", "--force", stdin="n\n", status=1)
    assert listed("keys", "list") == first
    run("keys", "generate", "--force", "--yes")
    assert listed("keys", "list") != first
    assert [path.name for path in empty_folder.iterdir()] == ["keyturn-keys.json"]


def test_of_many_processes_one_makes_the_keys(empty_folder: Path) -> None:
    """Started at once, one wins and the others say so: there never are two rings."""
    started = [
        subprocess.Popen([*COMMAND, "keys", "generate"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60) for process in started]
    assert sorted(process.returncode for process in started) == [0, 1, 1, 1], said
    assert [path.name for path in empty_folder.iterdir()] == ["keyturn-keys.json"]


# --- tokens -----------------------------------------------------------------------------------------


def facts(token: str, *flags: str) -> dict[str, str]:
    """Inspect a token that comes through standard input."""
    found: dict[str, str] = json.loads(run("token", "inspect", "-", "--json", *flags, stdin=f"{token}\n"))
    return found


def test_an_access_token_is_explained(alice: str) -> None:
    """Header, claims with times in words, the key, the signature, and the state of its session."""
    pair = issue(alice, claims={"roles": ["member"]})
    told = facts(f"Bearer {pair.access_token}")
    assert told["kind"].startswith("access token")
    assert told["header kid"].endswith("(ours: ES256, active)")
    assert "in 14 minutes" in told["claim exp"]
    assert told["signature"] == "verified"
    assert told["verdict"] == "acceptable by signature and claims"
    assert told["session"].startswith("active, generation 0")
    run("sessions", "revoke", pair.session_id, "--yes")
    assert facts(pair.access_token)["session"].startswith("ENDED (admin)")
    assert facts(pair.access_token, "--audience", "other")["verdict"].startswith("REFUSED")


def test_what_is_not_verified_is_marked(alice: str) -> None:
    """A changed token, another's key, no key at all: decoded all the same, and marked."""
    token = issue(alice).access_token
    head, _, signature = token.rpartition(".")
    changed = f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    assert facts(changed)["signature"].startswith("NOT VERIFIED")
    assert facts(changed)["claim sub"] == alice
    run("keys", "generate", "--force", "--yes")
    assert facts(token)["signature"] == "NOT VERIFIED: none of our keys has this kid"
    Path("keyturn-keys.json").unlink()
    assert facts(token)["signature"].startswith("NOT VERIFIED: there are no keys in keyturn-keys.json")
    Path("keyturn.db").unlink()
    assert facts(token)["session"].startswith("not asked: there is no database")


@pytest.mark.parametrize("form", ["opaque", "jwt"])
def test_a_refresh_token_is_explained_without_its_secret(alice: str, form: str) -> None:
    """Session, generation and tag; the secret is not printed, and nothing is redeemed."""
    run("keys", "generate")
    store = SQLAlchemyStore.from_url("sqlite:///keyturn.db")
    manager = TokenManager(
        store=store,
        keys=KeyRing.load("keyturn-keys.json"),
        policy=Policy(refresh_format="jwt" if form == "jwt" else "opaque"),
        issuer=ISSUER,
        audience="keyturn",
    )
    pair = manager.issue(alice)
    told = facts(pair.refresh_token)
    assert told["tag"].startswith("verified")
    assert told["state"].startswith("active, generation 0")
    assert pair.session_id in json.dumps(told)
    assert told["secret" if form == "opaque" else "claim secret"] == "(not shown)"
    assert manager.inspect(pair.refresh_token).generation == 0
    manager.close()
    changed = pair.refresh_token[:-2] + ("AA" if not pair.refresh_token.endswith("AA") else "QQ")
    assert facts(changed)["tag"].startswith("NOT VERIFIED")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "ktr_damaged", "a.b.c", "x" * 20_000, "\udcff", "ktr_\u00e9"]
)
def test_what_is_no_token(empty_folder: Path, text: str) -> None:
    """One sentence, which quotes nothing of what was given."""
    said = CliRunner().invoke(
        keyturn, ["token", "inspect", "-"], input=text.encode("utf-8", "surrogateescape")
    )
    assert said.exit_code == 1
    assert said.output.startswith("Error: That ")
    assert not text or text[:8] not in said.output


def test_a_jwt_of_somebody_else(empty_folder: Path) -> None:
    """It is decoded, and nothing of it is vouched for."""
    token = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpYXQiOjF9.AA"
    told = facts(token)
    assert told["kind"] == "JWT of another kind (typ JWT)"
    assert told["signature"].startswith("NOT VERIFIED")
    assert told["claim iat"].startswith("1 = 1970-01-01 00:00:01 UTC")


# --- the program ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *("", "serve", "config", "keys", "keys generate", "keys list", "sessions", "sessions list", "purge"),
        *("sessions history", "sessions revoke", "db", "db upgrade", "db current", "token inspect"),
        *("users", "users add", "users passwd", "users list", "users disable", "users enable"),
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    """`--help` says what a command does, and every option what it is for."""
    output = run(*command.split(), "--help")
    assert output.startswith(f"Usage: keyturn{f' {command}' if command else ''} [OPTIONS]")
    bare = re.findall(r"(?m)^  (--[a-z-]+(?: [A-Z|]+)?)\n  --", output)
    assert bare == [], "options without a word"


def test_without_its_packages_it_names_them() -> None:
    """In one sentence, with exit status 1, and no traceback."""
    code = "import sys; sys.modules['click'] = None\nfrom keyturn.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "pip install 'keyturn[server]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--host", "0.0.0.0"], 2, "others can reach"),  # noqa: S104  (that it is public is what is tested)
        (["--demo", "--authenticator", "os.path:join"], 2, "use one of them"),
        (["--authenticator", "nowhere_at_all:x"], 1, "cannot import"),
        (["--store", "oracle://db/x"], 2, "store: there is no store for oracle://"),
        (["--store", "sqlite://"], 1, "an SQLite database is written sqlite:///FILE"),
        (["--users", "redis://db"], 2, "users: Redis keeps sessions only"),
        (["--store", "sqlite:///no/such/folder/keyturn.db"], 1, "cannot make the database"),
        (["--keys-file", "no/such/folder/keys.json"], 1, "cannot write the key file"),
    ],
)
def test_a_start_that_is_refused(empty_folder: Path, flags: list[str], status: int, message: str) -> None:
    """Before it listens, with a sentence."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", str(free_port()), *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
