"""The endpoints and the guard as plain ASGI: what frameworks build on, without any."""

from __future__ import annotations

from typing import Any

from keyturn.http import Admitted, AsyncGuard, HttpReply, HttpSettings, needs
from keyturn.http.asgi import AsgiGuard, answer_instead
from keyturn.http.asgi_types import Message, Receive, Scope, Send
from keyturn.http.replies import no_credentials, refuse
from keyturn.testing.http_suite import World

BEGIN: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


def get(path: str, *headers: tuple[bytes, bytes]) -> Scope:
    """Write a request."""
    return {"type": "http", "method": "GET", "path": path, "headers": list(headers)}


async def no_body() -> Message:
    """Receive nothing."""
    raise AssertionError("nobody asks for the body")


async def test_an_answer_that_is_kept_does_not_have_the_renewed_token() -> None:
    """A cache behind the guard holds on to what the application has sent; the next one gets that."""
    world, kept, sent = World(), dict(BEGIN), list[Message]()
    manager = world.async_manager()
    guard = AsyncGuard(manager, settings=HttpSettings(renew_within="1h"))

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(kept)

    async def send(message: Message) -> None:
        sent.append(message)

    token = (await manager.issue("ann")).access_token
    scope = get("/", (b"authorization", f"Bearer {token}".encode()))
    await AsgiGuard(app, guard, lambda *_: None)(scope, no_body, send)
    assert kept == BEGIN
    assert "authorization-refreshed" in {name.decode() for name, _ in sent[0]["headers"]}


async def test_a_framework_may_say_what_a_connection_needs() -> None:
    """Then the path does not matter."""
    guard, sent = AsyncGuard(World().async_manager(), exempt=("/health",)), list[Message]()

    async def judge(scope: Scope) -> Admitted | HttpReply:
        return refuse(no_credentials()) if scope["path"] == "/health" else Admitted(None)

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        await send({**BEGIN, "status": 299})

    async def send(message: Message) -> None:
        sent.append(message)

    for path in ("/health", "/page"):
        await AsgiGuard(app, guard, lambda *_: None, judge=judge)(get(path), no_body, send)
    assert [message["status"] for message in sent if "status" in message] == [401, 299]


def test_the_answer_of_a_framework_is_replaced_as_a_whole() -> None:
    """Nothing of it stays but what it lets other origins read, once."""
    reply = HttpReply(
        401, (("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "b")), b"{}"
    )
    theirs = [
        (b"Content-Length", b"9"),
        (b"Allow", b"GET"),
        (b"access-control-allow-origin", b"a"),
        (b"Access-Control-Allow-Methods", b"GET"),
    ]
    begin: Message = {"type": "http.response.start", "status": 404, "headers": theirs}
    body: Message = {"type": "http.response.body", "body": b"not found"}
    for message in (begin, body):
        answer_instead(get("/"), message, reply)
    assert begin["status"] == 401
    assert begin["headers"] == [
        (b"access-control-allow-methods", b"GET"),
        (b"content-type", b"application/json"),
        (b"access-control-allow-origin", b"b"),
        (b"content-length", b"2"),
    ]
    assert body["body"] == b"{}"
    answer_instead({**get("/"), "method": "HEAD"}, body, reply)
    assert body["body"] == b""


def test_a_guard_tells_which_paths_ask_for_somebody() -> None:
    """For documents: what is exempt or optional does not, nor do the endpoints, which see to themselves."""
    guard = AsyncGuard(
        World().async_manager(),
        exempt=("/health", "/public/*"),
        require={"/shop/*": needs(optional=True), "/shop/admin": {"roles": "admin"}},
    )
    asked = ["/page", "/orders/{number}", "/shop/admin", "/auth/own", ""]
    assert [path for path in asked if not guard.asks(path)] == []
    free = ["/health", "/public", "/public/{page}", "/shop", "/shop/cart", "/auth/me"]
    assert [path for path in free if guard.asks(path)] == []
