"""Who signs in, how often, and off the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest
from limits.storage import MemoryStorage

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.http import HttpRequest, SignIn
from keyturn.server import throttle
from keyturn.server.login import Desk, OwnLogin, load_authenticator
from keyturn.server.throttle import Throttle


def attempt(client: str | None = "192.0.2.7") -> HttpRequest:
    """A sign-in from an address."""
    return HttpRequest("POST", "/auth/login", client=client)


def test_the_limit_holds_per_account() -> None:
    """From however many addresses, an account is tried so often and no more, however it is spelt."""
    limited = Throttle("3/minute")
    taken = [
        limited.take(attempt(f"192.0.2.{i}"), name) for i, name in enumerate(["alice", "ALICE", "alice"])
    ]
    assert taken == [None] * 3
    wait = limited.take(attempt("192.0.2.9"), " Alice")
    assert wait is not None
    assert 1 <= wait <= 60
    assert limited.take(attempt("192.0.2.9"), "bob") is None


def test_the_limit_holds_per_address() -> None:
    """From one address, however many accounts are tried; all of an IPv6 network is one address."""
    limited = Throttle("3/minute")
    assert [limited.take(attempt("2001:db8::1"), f"user-{i}") for i in range(3)] == [None] * 3
    assert limited.take(attempt("2001:db8::ffff"), "user-9") is not None
    assert limited.take(attempt("2001:db8:0:1::1"), "user-9") is None
    assert [limited.take(attempt("192.0.2.1"), f"user-{i}") for i in range(10, 13)] == [None] * 3
    assert limited.take(attempt("::ffff:192.0.2.1"), "user-13") is not None


def test_a_refused_attempt_does_not_count() -> None:
    """Who was refused by address has used up nothing of the account's allowance."""
    limited = Throttle("2/minute")
    assert [limited.take(attempt(), "alice") for _ in range(2)] == [None, None]
    assert all(limited.take(attempt(), "bob") for _ in range(5))
    assert [limited.take(attempt("192.0.2.8"), "bob") for _ in range(2)] == [None, None]


def test_without_an_address_the_account_still_counts() -> None:
    """Behind a UNIX socket there is no address."""
    limited = Throttle("1/minute")
    assert limited.take(attempt(None), "alice") is None
    assert limited.take(attempt(None), "alice") is not None


def test_memory_is_bounded_and_holds_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is tried, no more is kept than there are places, and nobody's name or address is."""
    monkeypatch.setattr(throttle, "PLACES", 8)
    limited = Throttle("1000/minute")
    for i in range(200):
        limited.take(attempt(f"192.0.2.{i}"), f"user-{i}")
    storage = limited._limiter.storage
    assert isinstance(storage, MemoryStorage)
    kept = storage.events
    assert len(kept) <= 16
    assert not any("user" in key or "192" in key for key in kept)


async def test_many_at_once_are_told_to_come_back() -> None:
    """The queue before the hashing is bounded: one more is a 503, and nothing is lost for those who wait."""
    desk, go = Desk(), threading.Event()
    waiting = [asyncio.create_task(desk.run(go.wait)) for _ in range(100)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="Too many"):
        await desk.run(go.wait)
    go.set()
    assert await asyncio.gather(*waiting) == [True] * 100
    assert await desk.run(lambda: "free again") == "free again"
    desk.close()


AUTHENTICATORS = """
from keyturn.http import SignIn
import functools
import threading
def plain(username, password):
    assert threading.current_thread() is not threading.main_thread()
    return "user-1" if password == "right" else None
async def coroutine(username, password):
    return SignIn("user-2", claims={"roles": ["x"]}) if password == "right" else None
@functools.wraps(coroutine)
def decorated(*arguments):
    return coroutine(*arguments)
def one(username):
    return None
number = 5
"""


@pytest.fixture
def own(empty_folder: Path) -> str:
    """A module with authenticators in the current folder."""
    name = f"own_{empty_folder.name.replace('-', '_')}"
    (empty_folder / f"{name}.py").write_text(AUTHENTICATORS)
    (empty_folder / f"broken_{name}.py").write_text("import no_such_package_anywhere")
    return name


async def test_an_own_authenticator_plain_or_async(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain function runs in a thread, a coroutine function on the loop; both from the current folder."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    desk = Desk()
    plain = OwnLogin(load_authenticator(f"{own}:plain"), desk)
    coroutine = OwnLogin(load_authenticator(f"{own}:coroutine"), desk)
    assert await plain.login("alice", "right") == "user-1"
    assert await plain.login("alice", "wrong") is None
    assert await coroutine.login("alice", "right") == SignIn("user-2", claims={"roles": ["x"]})
    assert await coroutine.login("alice", "wrong") is None
    decorated = OwnLogin(load_authenticator(f"{own}:decorated"), desk)  # looks like a plain one
    assert await decorated.login("alice", "right") == SignIn("user-2", claims={"roles": ["x"]})
    desk.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-colon", "must be package.module:function"),
        (":function", "must be package.module:function"),
        ("no_such_module_at_all:check", "cannot import 'no_such_module_at_all'"),
        ("broken_{own}:check", "ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
        ("{own}:missing", "has no 'missing'"),
        ("{own}:number", "is no function"),
        ("{own}:one", "must take a username and a password"),
    ],
)
def test_a_wrong_authenticator_is_explained(own: str, name: str, message: str) -> None:
    """The error says which part of the name is wrong."""
    with pytest.raises(ConfigurationError, match=message):
        load_authenticator(name.format(own=own))
