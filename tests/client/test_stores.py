"""Tokens are kept privately, whole, and changed by one at a time. Files are real, keyrings are plugged in."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError

from keyturn.client import FileTokens, MemoryTokens, Tokens, TokenStore
from keyturn.client.keyring import KeyringTokens
from keyturn.errors import ConfigurationError, InvalidInput
from tests.client.served import ACCESS_TTL, OVER, Api, Colour, tokens_in

ONE = Tokens("access-1", "refresh-1", asked_at=1_800_000_000.123, expires_in=900, session_id="s")
TWO = Tokens("access-2", "refresh-2", asked_at=1_800_000_900.5, expires_in=900)


class Drawer(KeyringBackend):
    """A keyring as a desktop's would be: a plug-in of the package `keyring`, in memory."""

    priority = 1  # pyright: ignore[reportAssignmentType]  (a number is what it asks for)
    entries: ClassVar[dict[tuple[str, str], str]] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def drawer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Drawer]:
    """A keyring, and an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    before, drawer = keyring.get_keyring(), Drawer()  # type: ignore[no-untyped-call] # keyring's own class
    drawer.entries.clear()
    keyring.set_keyring(drawer)
    yield drawer
    keyring.set_keyring(before)


@pytest.fixture(params=["memory", "file", "keyring"])
def store(request: pytest.FixtureRequest, tmp_path: Path, drawer: Drawer) -> TokenStore:
    """Each store in turn."""
    stores: dict[str, TokenStore] = {
        "memory": MemoryTokens(),
        "file": FileTokens(tmp_path / "tokens"),
        "keyring": KeyringTokens("orders", "ann"),
    }
    chosen: TokenStore = stores[request.param]
    return chosen


def test_what_is_saved_is_found(store: TokenStore) -> None:
    """Nothing at first, then the last that was saved, then nothing again; clearing twice is no error."""
    assert store.load() is None
    for tokens in (ONE, TWO, ONE):
        store.save(tokens)
        assert store.load() == tokens
    store.clear()
    store.clear()
    assert store.load() is None


def test_one_at_a_time(store: TokenStore) -> None:
    """A lock that is held is not given again, and can be when it is given up."""
    assert store.try_lock()
    assert not store.try_lock()
    store.unlock()
    assert store.try_lock()
    store.unlock()


def test_every_store_serves(api: Api, colour: Colour, store: TokenStore) -> None:
    """Each of them carries a session through sign-in, refresh and sign-out."""
    auth = api.auth(store)
    api.world.clock.advance(OVER)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert tokens_in(store).asked_at == api.world.clock()
    colour.logout(auth)
    assert store.load() is None


def test_a_restart_signs_nobody_out(api: Api, colour: Colour, tmp_path: Path) -> None:
    """What one process has written the next one reads, and with it when the token expires."""
    api.auth(FileTokens(tmp_path / "tokens"))
    api.world.clock.advance(ACCESS_TTL - 60)
    auth = api.signed_out(FileTokens(tmp_path / "tokens"))
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 0
    api.world.clock.advance(60)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 1


def test_a_token_file_is_private_from_the_beginning(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, the lock file too; nothing else is left beside it."""
    code = (
        "import os, sys; os.umask(0)\n"
        "from keyturn.client import FileTokens, Tokens\n"
        "store = FileTokens(sys.argv[1])\n"
        "store.try_lock(); store.save(Tokens('a', 'r', 0, 900)); store.unlock()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "tokens")], check=True, timeout=60)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"tokens": 0o600, "tokens.lock": 0o600}
    assert (tmp_path / "tokens.lock").read_bytes() == b""


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Tokens that others may have read, or written, are not used: the error says what to do."""
    path = tmp_path / "tokens"
    FileTokens(path).save(ONE)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        FileTokens(path).load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"refresh-secret",
        b"[]",
        b'{"version":2,"access_token":"a","refresh_token":"refresh-secret","asked_at":1,"expires_in":1}',
        b'{"version":1,"access_token":"a b","refresh_token":"refresh-secret","asked_at":1,"expires_in":1}',
        b'{"version":1,"access_token":"a","refresh_token":"refresh-secret","asked_at":"1","expires_in":1}',
        b'{"version":1,"access_token":"a","refresh_token":"refresh-secret"}',
        b'{"version":1,"access_token":"a","refresh_token":"refresh-secret","asked_at":1,"expires_in":1,"x":1}',
        b"{" * 70_000,
    ],
)
def test_a_file_that_holds_something_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    """It is neither overlooked nor overwritten, and the error quotes nothing of it."""
    path = tmp_path / "tokens"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        FileTokens(path).load()
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert path.read_bytes() == content


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    """A half-written file beside the tokens may hold some: the next who writes takes it away."""
    store = FileTokens(tmp_path / "tokens")
    (tmp_path / ".tokens.abc.new").write_bytes(b"half")
    store.save(ONE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Who shares a token file by a link shares its lock too."""
    target, link = tmp_path / "tokens", tmp_path / "link"
    link.symlink_to(target)
    direct, linked = FileTokens(target), FileTokens(link)
    linked.save(ONE)
    assert direct.load() == ONE
    assert direct.try_lock()
    assert not linked.try_lock()
    direct.unlock()
    assert link.is_symlink()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Neither lock nor tokens can be written there: the error names the place."""
    store = FileTokens(tmp_path / "missing" / "tokens")
    assert store.load() is None
    for action in (lambda: store.save(ONE), store.try_lock):
        with pytest.raises(ConfigurationError, match="missing"):
            action()


def test_a_keyring_shows_no_token(drawer: Drawer, tmp_path: Path) -> None:
    """What is in the home folder is a lock, which nobody else may open, and holds nothing."""
    store = KeyringTokens("orders", "ann")
    assert store.try_lock()
    store.save(ONE)
    store.unlock()
    (lock,) = (tmp_path / ".keyturn").iterdir()
    assert (lock.read_bytes(), stat.S_IMODE(lock.parent.stat().st_mode)) == (b"", 0o700)
    assert repr(store) == "KeyringTokens('orders', 'ann')"
    assert list(drawer.entries) == [("orders", "ann")]


def test_entries_of_a_keyring_have_locks_of_their_own(drawer: Drawer, tmp_path: Path) -> None:
    """Who has another entry is not held up; who has the same is."""
    ann, same, bo = (KeyringTokens("orders", name) for name in ("ann", "ann", "bo"))
    named = KeyringTokens("orders", "ann", lock_file=tmp_path / "lock")
    assert ann.try_lock()
    assert [each.try_lock() for each in (same, bo, named)] == [False, True, True]
    for each in (ann, bo, named):
        each.unlock()


def test_a_keyring_that_cannot_be_used_is_an_error(drawer: Drawer) -> None:
    """On a machine without one, or with one that is locked, the error says so, and nobody is signed out."""
    store = KeyringTokens("orders", "ann")
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call] # keyring's own class
    for action in (store.load, lambda: store.save(ONE), store.clear):
        with pytest.raises(ConfigurationError, match="NoKeyringError"):
            action()


def test_a_keyring_entry_of_something_else_is_an_error(drawer: Drawer) -> None:
    """An entry that another program wrote is not overwritten unseen."""
    drawer.set_password("orders", "ann", "a secret")
    with pytest.raises(ConfigurationError, match="KeyringTokens") as caught:
        KeyringTokens("orders", "ann").load()
    assert "a secret" not in str(caught.value)


def run_without(package: str, code: str) -> tuple[str, str]:
    """Run code where a package cannot be imported, and give what it says, on both streams."""
    block = f"import sys; sys.modules[{package!r}] = None\n{code}"
    command = [sys.executable, "-c", block]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return run.stdout, run.stderr.strip()


def test_keyring_is_optional() -> None:
    """The client works without the package `keyring`; the module that needs it names it."""
    said, error = run_without(
        "keyring", "import keyturn.client\nprint('fine')\nimport keyturn.client.keyring"
    )
    assert said == "fine\n"
    assert "pip install 'keyturn[keyring]'" in error


@pytest.mark.parametrize("package", ["anyio", "filelock", "httpx"])
def test_a_missing_extra_names_itself(package: str) -> None:
    """Without any of what it brings, the import error is the command that brings it."""
    _, error = run_without(package, "import keyturn.client")
    assert error.endswith("pip install 'keyturn[client]'")


@pytest.mark.parametrize(
    ("access", "refresh", "expires_in"),
    [
        ("", "r", 1),
        ("a", "", 1),
        ("a\r\nX: y", "r", 1),
        ("ä", "r", 1),
        ("a b", "r", 1),
        ("a", "r", -1),
        ("a", "r", float("nan")),
        ("a", "r", float("inf")),
        ("a", "r", True),
        ("a" * 20_000, "r", 1),
    ],
)
def test_what_cannot_be_tokens_is_refused(access: str, refresh: str, expires_in: float) -> None:
    """What would break a header, or never expire, is no token; the error quotes nothing of it."""
    with pytest.raises(InvalidInput) as caught:
        Tokens(access, refresh, 0, expires_in)
    assert "X: y" not in str(caught.value)
