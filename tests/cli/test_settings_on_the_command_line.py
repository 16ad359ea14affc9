"""Settings as flags, variables and a file: one precedence, one way to be wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.root import keyturn
from keyturn.server.settings import SETTINGS


def run(*arguments: str, **env: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(keyturn, list(arguments), env=env)


def shown(*arguments: str, **env: str) -> dict[str, tuple[str, str]]:
    """Give what `keyturn config` says: value and source, by name."""
    result = run("config", "--json", *arguments, **env)
    assert result.exit_code == 0, result.output
    return {row["name"]: (row["value"], row["source"]) for row in json.loads(result.stdout)}


def test_precedence(empty_folder: Path) -> None:
    """A flag wins over the environment, that over the file, and that over the default."""
    assert shown()["race_window"] == ("10s", "default")
    (empty_folder / "keyturn.toml").write_text('race_window = "4s"\nport = 8004\nrotation = false\n')
    assert shown()["race_window"] == ("4s", "file")
    assert shown()["rotation"] == ("false", "file")
    assert shown(KEYTURN_RACE_WINDOW="3s")["race_window"] == ("3s", "environment")
    assert shown("--race-window", "2s", KEYTURN_RACE_WINDOW="3s")["race_window"] == ("2s", "flag")
    assert shown("--rotation")["rotation"] == ("true", "flag")
    assert shown(KEYTURN_ROTATION="on")["rotation"] == ("true", "environment")
    assert shown("--race-window", "2s")["port"] == ("8004", "file")


def test_another_file_by_flag_or_variable(empty_folder: Path) -> None:
    """`--config` and KEYTURN_CONFIG name the file; the flag wins."""
    (empty_folder / "keyturn.toml").write_text("port = 1001")
    (empty_folder / "one.toml").write_text('port = 1002\nallowed_origins = ["https://a.example"]')
    (empty_folder / "two.toml").write_text("port = 1003")
    assert shown("--config", "one.toml")["port"] == ("1002", "file")
    assert shown("--config", "one.toml")["allowed_origins"] == ("https://a.example", "file")
    assert shown(KEYTURN_CONFIG="two.toml")["port"] == ("1003", "file")
    assert shown("--config", "one.toml", KEYTURN_CONFIG="two.toml")["port"] == ("1002", "file")


def test_every_setting_has_one_name_everywhere(empty_folder: Path) -> None:
    """Each is shown, and has its flag and its variable in the help of `serve`."""
    result = run("config", "--json")
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == [setting.name for setting in SETTINGS]
    usage = " ".join(run("serve", "--help").output.split())
    for row in rows:
        dashed = row["name"].replace("_", "-")
        assert (row["flag"], row["variable"]) == (f"--{dashed}", f"KEYTURN_{row['name'].upper()}")
        assert re.search(rf"{row['flag']}[ ,]", usage)
        assert f"[env var: {row['variable']}" in usage


def test_none_and_off(empty_folder: Path) -> None:
    """What may be absent can be said to be, from everywhere."""
    (empty_folder / "keyturn.toml").write_text('login_rate = "off"')
    found = shown("--idle-ttl", "none", KEYTURN_MAX_SESSIONS_PER_USER="none")
    assert found["idle_ttl"] == ("none", "flag")
    assert found["login_rate"] == ("none", "file")
    assert found["max_sessions_per_user"] == ("none", "environment")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'race_windw = "1s"', "did you mean 'race_window'"),
        (b'race_window = "soon"', "race_window must be a duration"),
        (b"race_window = [", "is no TOML"),
        (b"\xff\xfe", "is no TOML"),
        (b"port = true", "port must be a number"),
        (b'access_ttl = "30d"', "access_ttl must be shorter"),
        (b"[race_window]\nx = 1", "race_window must be a duration"),
    ],
)
def test_a_wrong_file_is_explained(empty_folder: Path, content: bytes, message: str) -> None:
    """Exit status 2, and one sentence that names the setting or the file."""
    (empty_folder / "keyturn.toml").write_bytes(content)
    result = run("config")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--race-window", "soon"], {}),
        (["--config", "missing.toml"], {}),
        (["--no-such-flag"], {}),
        ([], {"KEYTURN_PORT": "eighty"}),
        ([], {"KEYTURN_COOKIE_SECURE": "perhaps"}),
        (["--cookie-samesite", "None", "--no-cookie-secure"], {}),
    ],
)
def test_wrong_usage_is_exit_status_2(empty_folder: Path, arguments: list[str], env: dict[str, str]) -> None:
    """Flags and variables are held to the same rules."""
    assert run("config", *arguments, **env).exit_code == 2


def test_a_password_in_a_url_is_masked(empty_folder: Path) -> None:
    """What `config` prints can be shown to others."""
    url = "postgresql://keyturn:hunter2@db/keyturn?sslpassword=hunter2"
    for name, (value, _) in shown("--store", url, "--users", url).items():
        assert "hunter2" not in value, name
    assert "hunter2" not in run("serve", "--help", KEYTURN_STORE=url, KEYTURN_USERS=url).output
