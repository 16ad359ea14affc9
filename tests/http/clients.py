"""Clients of an ASGI application that a test has made. They know no framework's features."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import httpx
from starlette.applications import Starlette

from keyturn import AsyncTokenManager, KeyRing
from keyturn.errors import StoreUnavailable
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.stores.protocol import Follow, Followed
from tests.http.starlette_app import serve

PASSWORD = "correct horse battery staple"


@contextmanager
def client_of(app: Starlette, *, log_level: str = "critical") -> Generator[httpx.Client]:
    """Serve an application, and give a client for it."""
    with serve(app, log_level=log_level) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def bearer(client: httpx.Client, username: str) -> dict[str, str]:
    """Sign in and give the header that says so."""
    body = {"username": username, "password": PASSWORD, "transport": "body"}
    answer = client.post("/auth/login", json=body)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


class RemoteStore(AsyncMemoryStore):
    """A store that is followed as one elsewhere, and says that it was closed."""

    at_hand = False

    def __init__(self, *, reachable: bool) -> None:
        super().__init__()
        self.reachable = reachable
        self.closed = False

    async def follow(self, command: Follow, /) -> Followed:
        if not self.reachable:
            raise StoreUnavailable
        return await super().follow(command)

    async def close(self) -> None:
        self.closed = True


async def check_lifespan(
    application: Callable[[AsyncTokenManager], Starlette], *, manages: bool = True
) -> None:
    """Run an application from start to end, with a store that can be reached and with one that cannot.

    Args:
        application: Makes it.
        manages: Whether it starts and closes its manager.
    """
    for reachable in (True, False):
        store = RemoteStore(reachable=reachable)
        manager = AsyncTokenManager(store=store, keys=KeyRing.generate(), issuer="i", audience="a")
        app = application(manager)
        async with app.router.lifespan_context(app):
            view = manager.revocations
            assert view is not None
            assert (view.staleness(manager.now()) is not None) is (reachable and manages)
            assert not store.closed
        assert store.closed is manages
        await manager.close()
