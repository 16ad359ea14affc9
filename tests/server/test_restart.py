"""Sessions outlive the server process: the same file and keys bring them back."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import httpx

from tests.support.keyturn_server import demo_password, keyturn_server, sign_in


def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
    """After an orderly end and a new start, both tokens are as good as before, and a logout stays one."""
    with keyturn_server(tmp_path, "--demo") as first:
        password = demo_password(first, "alice")
        kept, left = sign_in(first, password), sign_in(first, password)
        gone = httpx.post(f"{first.url}/auth/logout", json={"refresh_token": left["refresh_token"]})
        assert gone.status_code == 204
        assert first.stop() in {0, -signal.SIGTERM}
    with keyturn_server(tmp_path, port=first.port) as second:
        bearer = {"Authorization": f"Bearer {kept['access_token']}"}
        assert httpx.get(f"{second.url}/auth/me", headers=bearer).status_code == 200
        again = httpx.post(f"{second.url}/auth/refresh", json={"refresh_token": kept["refresh_token"]})
        assert again.status_code == 200
        assert again.json()["session_id"] == kept["session_id"]
        dead = httpx.post(f"{second.url}/auth/refresh", json={"refresh_token": left["refresh_token"]})
        assert dead.status_code == 401


def test_what_it_writes_is_its_owners(tmp_path: Path) -> None:
    """Database and keys are readable to their owner only."""
    with keyturn_server(tmp_path, "--demo"):
        written = [*tmp_path.glob("keyturn.db*"), tmp_path / "keys.json"]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in written}
    assert len(modes) >= 2
    assert set(modes.values()) == {0o600}, modes


def test_lost_keys_are_not_made_up_for(tmp_path: Path) -> None:
    """With sessions in the store and no keys file, a start is refused: new keys would log everybody out."""
    with keyturn_server(tmp_path, "--demo") as server:
        sign_in(server, demo_password(server, "alice"))
    (tmp_path / "keys.json").unlink()
    try:
        with keyturn_server(tmp_path):
            started = True
    except AssertionError as error:
        started, said = False, str(error)
        assert "is gone, but the store holds sessions" in said
    assert not started
