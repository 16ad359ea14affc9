"""An aiohttp handler's WebSocket behind a guard: opened by a token, closed with its session.

It does not know who may pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from keyturn.aiohttp.requests import HANDSHAKE, read
from keyturn.http import AsyncGuard
from keyturn.http.credentials import SOCKET_HEADER, SOCKET_PROTOCOL, subprotocols, without_tokens
from keyturn.results import Principal


@dataclass(slots=True)
class _Socket:
    """A WebSocket behind a guard. All clones of its request share it, so it is filled in as things happen.

    Attributes:
        offered: Whether the client has offered our subprotocol.
        response: The handler's own; None: it has none yet.
        over: Whether the session has ended.
    """

    offered: bool
    response: web.WebSocketResponse | None = None
    over: bool = False


_SOCKET: Final = web.RequestKey("socket", _Socket)


async def open_socket(
    request: web.Request, handler: Handler, guard: AsyncGuard, principal: Principal[Any] | None
) -> web.StreamResponse:
    """Run a handler, and close its WebSocket when the session is over.

    Args:
        request: The handshake. The handler gets it without the token.
        handler: The handler.
        guard: Knows when the session is over.
        principal: Who opens the socket; None: nobody is signed in, and nothing ends.
    """
    request, socket = _without_token(request)
    if principal is None:
        return await handler(request)
    closing = asyncio.ensure_future(_close(socket, request, guard, principal))
    try:
        return await handler(request)
    except ConnectionError:  # what writing to a socket that was closed raises
        if not socket.over:
            raise
        return socket.response or web.StreamResponse()
    finally:
        closing.cancel()
        await asyncio.wait({closing})


def answer_handshake(request: web.Request, response: web.StreamResponse) -> None:
    """Name our subprotocol to a page that has offered it, where the handler names none; or browsers give up.

    Args:
        request: The handshake.
        response: What is about to be sent.
    """
    if isinstance(response, web.WebSocketResponse) and _SOCKET in request:
        socket = request[_SOCKET]
        socket.response = response
        if socket.offered:
            response.headers.setdefault(hdrs.SEC_WEBSOCKET_PROTOCOL, SOCKET_PROTOCOL)


async def _close(socket: _Socket, request: web.Request, guard: AsyncGuard, principal: Principal[Any]) -> None:
    ending = await guard.until_over(principal)
    socket.over = True
    if socket.response is not None and socket.response.prepared:
        await socket.response.close(code=ending.code, message=ending.reason.encode())
    elif request.transport is not None:  # it is not open yet, so there is nothing to say it on
        request.transport.close()


def _without_token(request: web.Request) -> tuple[web.Request, _Socket]:
    """Give a handshake without its token: aiohttp logs subprotocols that the handler does not know."""
    if _SOCKET in request:  # another guard was here
        return request, request[_SOCKET]
    handshake = request[HANDSHAKE] = read(request)
    offered = subprotocols(handshake)
    socket = request[_SOCKET] = _Socket(SOCKET_PROTOCOL in offered)
    kept = [each for each in without_tokens(offered) if each != SOCKET_PROTOCOL]
    if kept == offered:
        return request, socket
    others = [each for each in request.headers.items() if each[0].lower() != SOCKET_HEADER]
    headers = [(name, _encodable(value)) for name, value in others]
    if kept:
        headers.append((hdrs.SEC_WEBSOCKET_PROTOCOL, ", ".join(kept)))
    return request.clone(
        headers=headers, scheme=request.scheme, host=request.host, remote=request.remote or ""
    ), socket


def _encodable(value: str) -> str:
    """Give a header's value as `clone` can take it: bytes that are no UTF-8 it cannot."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
