"""`keyturn sessions history`, on a real file: the audit trail as an operator reads it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from keyturn.errors import ReusedToken
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.policy import Policy
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from tests.cli.test_commands import run
from tests.cli.test_settings_on_the_command_line import shown

KEPT = ("--audit-retention", "30d")


@pytest.fixture
def stolen(empty_folder: Path) -> str:
    """A session whose refresh token two clients used, in the database of the current folder; its id."""
    run("db", "upgrade")
    start, passed = time.time() - 3600, [0.0]
    manager = TokenManager(
        store=SQLAlchemyStore.from_url("sqlite:///keyturn.db"),
        keys=KeyRing.generate(),
        policy=Policy(audit_retention="30d"),
        issuer="i",
        audience="a",
        clock=lambda: start + passed[0],
    )
    pair = manager.issue("user-1", device={"name": "Firefox on \x1b[31mLinux"}, context="victim")
    victim = manager.refresh(pair.refresh_token, context="victim")
    passed[0] = 1
    thief = manager.refresh(pair.refresh_token, context="thief")
    passed[0] = 60
    manager.refresh(thief.refresh_token, context="thief")
    passed[0] = 120
    with pytest.raises(ReusedToken):
        manager.refresh(victim.refresh_token, context="victim")
    manager.close()
    return pair.session_id


def told(*arguments: str) -> list[dict[str, Any]]:
    """Read a session's history as JSON."""
    lines: list[dict[str, Any]] = json.loads(run("sessions", "history", *arguments, "--json"))
    return lines


def test_a_history_reads_as_a_table(stolen: str) -> None:
    """One line per event, oldest first; a client's own words cannot steer the terminal."""
    output = run("sessions", "history", stolen, *KEPT)
    heading, *lines = output.splitlines()
    assert heading.split() == ["TIME", "WHAT", "REASON", "GENERATION", "CLIENT", "CONTEXT"]
    assert [line.split()[3] for line in lines] == [
        *("sign-in", "rotation", "convergence", "rotation", "reuse", "revocation"),
    ]
    assert lines[4].split()[4:6] == ["fork", "2"]
    assert "Firefox on ?[31mLinux" in lines[0]
    contexts = [line.split()[-1] for line in lines[:5]]
    assert contexts[0] == contexts[1] == contexts[4]
    assert contexts[2] == contexts[3] != contexts[0]
    assert len(contexts[0]) == 8


def test_a_history_reads_as_json(stolen: str) -> None:
    """With every member of the line, the digest of the context in full."""
    lines = told(stolen, *KEPT)
    assert [(line["kind"], line["reason"], line["generation"]) for line in lines] == [
        *(("sign_in", "", 0), ("rotation", "", 1), ("convergence", "race", 1), ("rotation", "", 2)),
        *(("reuse", "fork", 2), ("revocation", "reuse", 2)),
    ]
    assert len(lines[0]["context"]) == 16
    assert lines[1]["at"] > time.time() - 3700


def test_what_the_command_line_ends_is_told_too(stolen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's revocation leaves its line, wherever the retention is set."""
    manager = TokenManager(
        store=SQLAlchemyStore.from_url("sqlite:///keyturn.db"),
        keys=KeyRing.generate(),
        issuer="i",
        audience="a",
    )
    session = manager.issue("user-1").session_id
    manager.close()
    monkeypatch.setenv("KEYTURN_AUDIT_RETENTION", "30d")
    run("sessions", "revoke", session, "--yes")
    assert [(line["kind"], line["reason"]) for line in told(session)] == [("revocation", "admin")]


def test_a_history_of_nothing_is_a_sentence(stolen: str) -> None:
    """Nothing kept, nothing switched on, and no id at all are told apart."""
    unknown = "01a1fc82-ef44-799c-9103-c609711cebf7"
    said = run("sessions", "history", unknown, *KEPT)
    assert said == "There are no lines of this session from the last 30 days.\n"
    for bad in ("nonsense", unknown[:-1], unknown.upper()):
        assert "That is not the id of a session" in run("sessions", "history", bad, *KEPT, status=1)
    assert told(unknown, *KEPT) == []
    for off in ([], ["--audit-retention", "off"]):
        said = run("sessions", "history", stolen, *off, status=1)
        assert "no audit trail is kept: set audit_retention (KEYTURN_AUDIT_RETENTION)" in said


def test_a_purge_forgets_old_lines(stolen: str) -> None:
    """With the retention that is set, and only with one."""
    assert run("purge", "--yes") == "0 rows removed.\n"
    assert "6 rows removed." in run("purge", "--yes", "--audit-retention", "5m")
    assert told(stolen, *KEPT) == []


def test_the_retention_is_a_setting_like_any_other(empty_folder: Path) -> None:
    """By flag, variable or file; `off` and `none` keep no trail, which is the default."""
    assert shown()["audit_retention"] == ("none", "default")
    (empty_folder / "keyturn.toml").write_text('audit_retention = "90d"\n')
    assert shown()["audit_retention"] == ("90d", "file")
    assert shown(KEYTURN_AUDIT_RETENTION="30d")["audit_retention"] == ("30d", "environment")
    assert shown("--audit-retention", "12h")["audit_retention"] == ("12h", "flag")
    for off in ("off", "none"):
        assert shown("--audit-retention", off)["audit_retention"] == ("none", "flag")


def test_it_says_when_the_beginning_is_gone(stolen: str) -> None:
    """Lines that retention has removed are not passed over in silence."""
    gone = "Earlier lines are no longer kept."
    assert gone not in run("sessions", "history", stolen, *KEPT)
    store = SQLAlchemyStore.from_url("sqlite:///keyturn.db")
    first, *_ = store.history(UUID(stolen))
    assert store.forget(first.at + 1, 10) > 0
    store.close()
    assert run("sessions", "history", stolen, *KEPT).splitlines()[-1] == gone


def test_it_says_when_the_end_may_be_missing(stolen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest lines come first, so a limit hides what ended the session: that is told, too."""
    missing = "there may be later ones"
    assert missing not in run("sessions", "history", stolen, *KEPT)
    monkeypatch.setattr("keyturn.cli.sessions._MOST_LINES", 4)
    *lines, last = run("sessions", "history", stolen, *KEPT).splitlines()
    assert last == "These are the first 4 lines; there may be later ones."
    assert len(lines) == 1 + 4
