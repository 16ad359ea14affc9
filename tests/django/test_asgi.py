"""Django's ASGI application with a lifespan, and WebSockets in front of it; the HTTP suite has the rest."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.test import override_settings

from keyturn import AsyncTokenManager, KeyRing
from keyturn.django import get_async_manager, get_manager
from keyturn.django.asgi import KeyturnSockets, get_asgi_application
from keyturn.django.users import user_id_of
from keyturn.http import MAX_BODY
from keyturn.http.asgi_types import Message, Receive, Scope, Send
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.faults import BEFORE, AsyncFaultyStore, FaultPlan
from tests.django.project.accounts.models import User
from tests.django.test_guarding import with_keyturn
from tests.support.sources import ROOT

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    """Serve the pages."""
    with override_settings(ROOT_URLCONF="tests.django.project.pages"), with_keyturn():
        yield


async def talk(app: Any, scope: Scope, *messages: Message) -> list[Message]:
    """Send messages to an application, and give what it sends; then nothing more comes."""
    sent: list[Message] = []
    coming = list(messages)

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    await get_async_manager().flush()
    return sent


def handshake(path: str = "/feed", bearer: str | None = None) -> Scope:
    """Give the scope of a handshake."""
    headers = [] if bearer is None else [(b"authorization", b"Bearer " + bearer.encode())]
    return {
        "type": "websocket",
        "path": path,
        "scheme": "ws",
        "headers": headers,
        "extensions": {"websocket.http.response": {}},
    }


def opened(sockets: Any, *args: Any) -> Any:
    """Open a socket; give the status of the refusal, or the scope that the application had."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await receive()
        await send({"type": "websocket.accept"})

    scope = handshake(*args)
    sent = async_to_sync(talk)(sockets(app), scope, {"type": "websocket.connect"})
    return seen[0] if seen else sent[0].get("status", sent[0]["type"])


def ann(**claims: Any) -> tuple[User, str]:
    """Make a user with an access token."""
    user = User.objects.create_user("ann")
    return user, get_manager().issue(user_id_of(user), claims=claims).access_token


def test_a_consumer_knows_the_principal_and_the_user() -> None:
    """As a view does: one who may not go on is nobody."""
    user, token = ann()
    scope = opened(KeyturnSockets, "/feed", token)
    assert (scope["keyturn"].user_id, scope["user"]) == (str(user.pk), user)
    User.objects.update(is_active=False)
    assert isinstance(opened(KeyturnSockets, "/feed", token)["user"], AnonymousUser)


def test_sockets_need_a_token_and_what_else_is_said() -> None:
    """Without a word, a token; with words, what they say."""
    _, token = ann(roles=["member"])
    assert opened(KeyturnSockets) == 401
    assert opened(KeyturnSockets, "/feed", "garbage") == 401
    assert opened(lambda app: KeyturnSockets(app, "orders:read"), "/feed", token) == 403
    assert opened(lambda app: KeyturnSockets(app, roles=("member",)), "/feed", token)["keyturn"]
    optional = opened(lambda app: KeyturnSockets(app, optional=True))
    assert (optional["keyturn"], optional["user"]) == (None, AnonymousUser())


def test_sockets_are_guarded_by_their_paths() -> None:
    """Where paths are, and nothing else is said."""
    _, token = ann()
    with with_keyturn(EXEMPT=["/open"], REQUIRE={"/orders": {"scope": "x"}}):
        assert opened(KeyturnSockets, "/open")["keyturn"] is None
        assert opened(KeyturnSockets, "/feed") == 401
        assert opened(KeyturnSockets, "/orders", token) == 403
        assert opened(lambda app: KeyturnSockets(app, optional=True))["keyturn"] is None


def test_other_connections_pass() -> None:
    """What is no WebSocket is none of its business."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async_to_sync(talk)(KeyturnSockets(app), {"type": "http"})
    assert seen == ["http"]


def test_sockets_go_to_whoever_serves_them() -> None:
    """Beside Django, which serves none."""
    _, token = ann()
    app = get_asgi_application(sockets=KeyturnSockets(get_asgi_application()))
    assert opened(lambda _: app, "/feed") == 401
    with pytest.raises(ValueError, match="websocket"):
        opened(lambda _: app, "/feed", token)


@pytest.mark.parametrize("is_out", [False, True])
def test_the_lifespan_starts_and_closes_the_manager(is_out: bool) -> None:  # noqa: FBT001  (a parameter)
    """A store that is out at the start does not stop the server."""
    plan, closed = FaultPlan(), []

    class Store(AsyncFaultyStore):
        async def close(self) -> None:
            closed.append(True)
            await super().close()

    def manager() -> AsyncTokenManager[Any]:
        store = Store(AsyncMemoryStore(), plan)
        return AsyncTokenManager(store=store, keys=KeyRing.generate(), issuer="i", audience="a")

    if is_out:
        plan.next(*[BEFORE] * 3)

    async def live() -> list[Message]:
        return await talk(
            get_asgi_application(),
            {"type": "lifespan"},
            {"type": "lifespan.startup"},
            {"type": "lifespan.shutdown"},
        )

    with override_settings(KEYTURN={"ASYNC_MANAGER": manager}):
        sent = async_to_sync(live)()
    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == [True]


def test_only_bodies_of_the_endpoints_are_cut_off() -> None:
    """An upload to another view is read to its end, as Django does."""

    async def post(path: str, *, is_endless: bool) -> int:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"host", b"testserver"), (b"content-type", b"application/json")],
            "query_string": b"",
        }
        chunk = {"type": "http.request", "body": b" " * MAX_BODY, "more_body": True}
        last = {"type": "http.request", "body": b" ", "more_body": is_endless}
        async with asyncio.timeout(20):
            sent = await talk(get_asgi_application(), scope, chunk, dict(chunk), last)
        status: int = sent[0]["status"]
        return status

    assert async_to_sync(post)("/auth/refresh", is_endless=True) == 413
    assert async_to_sync(post)("/nothing", is_endless=False) == 404


def test_a_projects_asgi_module_may_import_it_before_anything_is_set_up() -> None:
    """As Django's own: `asgi.py` names the settings and asks for the application, and nothing else."""
    code = (
        "from keyturn.django.asgi import KeyturnSockets, get_asgi_application\n"
        "print(callable(get_asgi_application(sockets=KeyturnSockets(None))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.django.project.settings"},
    )
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr
