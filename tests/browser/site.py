"""A small single-page application behind a network that can be told to misbehave. It knows no test."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from keyturn import AsyncTokenManager, KeyRing, Policy
from keyturn.events import Event
from keyturn.http import HttpSettings
from keyturn.starlette import Keyturn
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.faults import AsyncFaultyStore, FaultPlan
from keyturn.testing.proxy import Proxy
from tests.http.starlette_app import serve

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A single-page application</title>
<link rel="icon" href="data:,">
<script type="module">
  import { createAuth } from "/client/index.js";
  const lock = new URLSearchParams(location.search).has("nolock") ? (name, work) => work() : undefined;
  const options = lock ? { url: "/auth", lock } : { url: "/auth" };
  globalThis.make = () => createAuth(options);
  globalThis.auth = make();
  globalThis.seen = [];
  auth.subscribe((session) => seen.push(session.status));
</script>"""


@dataclass(slots=True)
class Site:
    """A running application.

    Attributes:
        url: Where pages find it: the proxy.
        network: What lies between them.
        clock: The server's.
        store: What its store fails at next.
        events: What its manager has published.
        bodies: What `/notes` was sent, one entry for each request that was let in.
    """

    url: str
    network: Proxy
    clock: ManualClock
    store: FaultPlan
    events: list[Event] = field(default_factory=list[Event])
    bodies: list[bytes] = field(default_factory=list[bytes])

    def happened(self, kind: type[Any]) -> int:
        """Count the events of a kind."""
        return sum(isinstance(event, kind) for event in self.events)


@contextmanager
def running_site(client: Path, policy: Policy, *, page: str = PAGE) -> Generator[Site]:
    """Serve the application until the block ends.

    Args:
        client: The folder with the built browser client.
        policy: The manager's.
        page: What is at `/`.
    """
    clock, plan = ManualClock(), FaultPlan()
    events, bodies = list[Event](), list[bytes]()
    manager: AsyncTokenManager = AsyncTokenManager(
        store=AsyncFaultyStore(AsyncMemoryStore(), plan),
        keys=KeyRing.generate(),
        policy=policy,
        issuer="https://auth.example.com",
        audience="notes",
        clock=clock,
    )
    for kind in get_args(Event):
        manager.events.subscribe(kind, events.append)
    auth = Keyturn(manager, login=lambda name, _: name, settings=HttpSettings(cookie_secure=False))

    async def notes(request: Request) -> Response:
        bodies.append(await request.body())
        return JSONResponse({"user": auth.principal(request).user_id})

    app = Starlette(
        routes=[
            *auth.routes,
            Route("/", lambda _: HTMLResponse(page)),
            Route("/notes", auth.require()(notes), methods=["GET", "POST"]),
            Mount("/client", StaticFiles(directory=client)),
        ],
    )
    with serve(app, log_level="critical") as direct, Proxy(urlsplit(direct).port or 0) as network:
        yield Site(network.url(direct), network, clock, plan, events, bodies)
