"""WebSockets behind a guard, down to their two ends: when they close, how, and what applications see."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from typing import Any

import pytest

from keyturn import AsyncTokenManager, Principal
from keyturn.http.asgi_sockets import SOCKET_KEY, AsgiSockets, GuardedSocket, SocketGone, refuse_socket
from keyturn.http.asgi_types import Message, Receive, Scope, Send
from keyturn.http.replies import no_credentials, refuse
from keyturn.http.sockets import AWAY, OVER, Ending, until_over
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.faults import BEFORE
from keyturn.testing.http_suite import World

PATIENCE = 20.0  # seconds


class Line:
    """The server's ends of a WebSocket: what the client sends is put in, what it receives is kept."""

    def __init__(self, *offered: str) -> None:
        self.scope: Scope = {"type": "websocket", "subprotocols": list(offered)}
        self.sent: list[Message] = []
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        self._coming.put_nowait({"type": "websocket.connect"})
        self._changed = asyncio.Event()

    def client_sends(self, text: str) -> None:
        self._coming.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> Message:
        return await self._coming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._changed.set()

    async def until_sent(self, kind: str) -> Message:
        async with asyncio.timeout(PATIENCE):
            while not (found := [each for each in self.sent if each["type"] == kind]):
                self._changed.clear()
                await self._changed.wait()
        return found[-1]


async def principal_of(world: World) -> tuple[AsyncTokenManager[Any], Principal[Any]]:
    """Sign somebody in."""
    manager = world.async_manager()
    pair = await manager.issue("ann")
    return manager, await manager.authenticate(pair.access_token)


async def watched(manager: AsyncTokenManager[Any]) -> None:
    """Let others go on until somebody watches a session."""
    async with asyncio.timeout(PATIENCE):
        while not len(manager.watchers):  # noqa: ASYNC110  (nothing tells when somebody begins to watch)
            await asyncio.sleep(0)


async def within(waiting: Awaitable[Ending]) -> Ending:
    """Wait, but not for ever."""
    async with asyncio.timeout(PATIENCE):
        return await waiting


async def test_what_has_ended_before_it_was_watched_is_over() -> None:
    """Between a handshake and the watch, a session may end."""
    manager, principal = await principal_of(World())
    await manager.revoke(principal.session_id or "")
    assert await within(until_over(manager, principal)) == OVER


async def test_a_revocation_is_told_without_a_look() -> None:
    """Whoever ends it tells; nobody waits for the next look."""
    manager, principal = await principal_of(World())
    waiting = asyncio.ensure_future(until_over(manager, principal, pause=3600))
    await watched(manager)
    await manager.revoke_user("ann")
    assert await within(waiting) == OVER


async def test_what_nobody_tells_is_found_by_looking() -> None:
    """Another manager on the same store has ended it, or a limit has passed."""
    world = World()
    manager, principal = await principal_of(world)
    await world.async_manager().revoke(principal.session_id or "")
    assert await within(until_over(manager, principal, pause=0.01)) == OVER
    manager, principal = await principal_of(world)
    world.clock.advance(8 * 86_400)
    assert await within(until_over(manager, principal, pause=0.01, rounds=3)) == OVER


async def test_a_socket_closes_where_nobody_can_be_asked() -> None:
    """An outage says nothing about a session, so the code is "try again later" and not "unauthorized"."""
    world = World()
    manager, principal = await principal_of(world)
    world.plan.next(BEFORE, method="check")
    assert await within(until_over(manager, principal)) == AWAY


async def test_a_socket_closes_where_asking_fails_for_a_reason_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake in a store must not keep a socket open for ever; the log has it."""

    class Mistaken(AsyncMemoryStore):
        async def check(self, _: object, /) -> Any:
            raise LookupError("a mistake")

    world = World()
    _, principal = await principal_of(world)
    manager = AsyncTokenManager(store=Mistaken(), keys=world.keys, issuer="i", audience="a")
    assert await within(until_over(manager, principal)) == AWAY
    assert "a mistake" in caplog.text


async def test_nobody_watches_any_more_when_a_socket_is_done() -> None:
    """Also where its end was not waited for."""
    manager, principal = await principal_of(World())
    waiting = asyncio.ensure_future(until_over(manager, principal))
    await watched(manager)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert len(manager.watchers) == 0


def over_when(event: asyncio.Event) -> Awaitable[Ending]:
    """Be over as soon as an event is set."""

    async def over() -> Ending:
        await event.wait()
        return OVER

    return over()


async def test_an_application_that_only_sends_is_told_like_a_lost_client() -> None:
    """The close goes out at once; the next send raises what servers raise where a client has gone."""
    line, ended, raised = Line(), asyncio.Event(), list[bool]()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    socket.close_when(over_when(ended))

    async def pushes(_: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "one"})
        ended.set()
        await line.until_sent("websocket.close")
        try:
            await send({"type": "websocket.send", "text": "two"})
        except OSError as error:
            raised.append(isinstance(error, SocketGone))
            raise

    await socket.run(pushes)
    assert raised == [True]
    kinds = [message["type"] for message in line.sent]
    assert kinds == ["websocket.accept", "websocket.send", "websocket.close"]
    assert line.sent[-1] == {"type": "websocket.close", "code": 3000, "reason": "the session has ended"}


async def test_an_application_that_waits_sees_the_client_go() -> None:
    """`receive` gives the end at once, with its code, and gives it again to whoever asks again."""
    line, ended, seen = Line(), asyncio.Event(), list[Message]()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    socket.close_when(over_when(ended))

    async def reads(receive: Receive, _: Send) -> None:
        await receive()
        line.client_sends("hello")
        seen.append(await receive())
        asyncio.get_running_loop().call_soon(ended.set)
        seen.extend([await receive(), await receive()])

    async with asyncio.timeout(PATIENCE):
        await socket.run(reads)
    assert seen[0]["text"] == "hello"
    assert [(each["type"], each["code"]) for each in seen[1:]] == [("websocket.disconnect", 3000)] * 2


async def test_a_message_that_nobody_took_is_not_lost() -> None:
    """An application that stops waiting for a while finds what came meanwhile."""
    line = Line()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    await socket.receive()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await socket.receive()
    line.client_sends("hello")
    async with asyncio.timeout(PATIENCE):
        assert (await socket.receive())["text"] == "hello"


async def test_the_beginning_of_a_socket_is_there_at_once() -> None:
    """As with a server: an application may do two things at a time before it has accepted the socket."""
    line = Line()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    with pytest.raises(StopIteration) as begun:
        socket.receive().send(None)
    assert begun.value.value == {"type": "websocket.connect"}


async def test_an_application_may_be_done_before_anybody_watches() -> None:
    """It leaves nothing that was never begun, of which Python would complain."""
    line, begun = Line(), list[bool]()
    socket = GuardedSocket(line.scope, line.receive, line.send)

    async def over() -> Ending:
        begun.append(True)
        await asyncio.Event().wait()
        return OVER

    async def closes(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    socket.close_when(over())
    await socket.run(closes)
    assert begun == [True]


async def test_each_message_goes_to_one_of_those_who_wait() -> None:
    """Two that wait at the same time get one each, and at the end both are told."""
    line, ended = Line(), asyncio.Event()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    socket.close_when(over_when(ended))
    await socket.receive()
    waiting = [asyncio.ensure_future(socket.receive()) for _ in range(4)]
    line.client_sends("one")
    line.client_sends("two")
    async with asyncio.timeout(PATIENCE):
        while sum(each.done() for each in waiting) < 2:  # noqa: ASYNC110  (nothing tells who took what)
            await asyncio.sleep(0)
        ended.set()
        messages = await asyncio.gather(*waiting)
    assert sorted(each["text"] for each in messages if "text" in each) == ["one", "two"]
    assert [each.get("code") for each in messages if "text" not in each] == [3000, 3000]


@pytest.mark.parametrize("last", ["websocket.close", "websocket.http.response.start"])
async def test_a_socket_that_the_application_has_closed_is_not_closed_again(last: str) -> None:
    """Servers refuse a second close, and one after the application has refused the handshake itself."""
    line, ended = Line(), asyncio.Event()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    socket.close_when(over_when(ended))

    async def closes(_: Receive, send: Send) -> None:
        await send({"type": last, "code": 4000})
        ended.set()
        assert socket._closing is not None
        await asyncio.wait({socket._closing}, timeout=PATIENCE)

    await socket.run(closes)
    assert [message["type"] for message in line.sent] == [last]


@pytest.mark.parametrize(
    ("offered", "own", "answered"),
    [
        (("keyturn", "keyturn.bearer.x"), None, "keyturn"),
        (("chat", "keyturn", "keyturn.bearer.x"), "chat", "chat"),
        (("keyturn.bearer.x",), None, None),
        ((), None, None),
    ],
)
async def test_a_subprotocol_is_answered_but_never_the_token(
    offered: tuple[str, ...], own: str | None, answered: str | None
) -> None:
    """The application's own choice comes first, and it does not see the token among the offers."""
    line = Line(*offered)
    socket = GuardedSocket(line.scope, line.receive, line.send)
    assert line.scope["subprotocols"] == [each for each in offered if not each.startswith("keyturn.bearer")]
    await socket.send({"type": "websocket.accept", "subprotocol": own})
    assert line.sent[0].get("subprotocol") == answered


async def test_a_server_without_denials_closes() -> None:
    """Then the client is told 403 by the server, as the specification has it."""
    reply = refuse(no_credentials())
    for extensions, kinds in (
        (None, ["websocket.close"]),
        ({"websocket.http.response": {}}, ["websocket.http.response.start", "websocket.http.response.body"]),
    ):
        line = Line()
        await refuse_socket({**line.scope, "extensions": extensions}, line.send, reply)
        assert [message["type"] for message in line.sent] == kinds
    assert line.sent[0]["status"] == 401
    assert (b"www-authenticate", b"Bearer") in line.sent[0]["headers"]


async def test_an_application_may_authenticate_further_in() -> None:
    """`AsgiSockets` puts the socket into the scope, once, and leaves other connections alone."""
    line, found, ended = Line(), list[object](), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope.get(SOCKET_KEY))
        if (socket := scope.get(SOCKET_KEY)) is not None:
            socket.close_when(over_when(ended))
            ended.set()
            await receive()
            found.append(await receive())

    async with asyncio.timeout(PATIENCE):
        await AsgiSockets(AsgiSockets(app))(line.scope, line.receive, line.send)
        await AsgiSockets(app)({"type": "http"}, line.receive, line.send)
    assert isinstance(found[0], GuardedSocket)
    assert found[1] == {"type": "websocket.disconnect", "code": 3000, "reason": "the session has ended"}
    assert found[2] is None


async def test_an_application_may_be_done_at_once() -> None:
    """Before anybody could begin to wait for the session's end: no coroutine is left that nobody awaited."""
    line, ended = Line(), asyncio.Event()
    socket = GuardedSocket(line.scope, line.receive, line.send)
    socket.close_when(over_when(ended))

    async def app(receive: Receive, send: Send) -> None:
        pass

    await socket.run(app)
    gc.collect()
    assert line.sent == []
