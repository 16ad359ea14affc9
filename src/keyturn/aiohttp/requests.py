"""Reading aiohttp's requests. It knows no endpoint and no guard."""

from __future__ import annotations

import inspect
from typing import Final

from aiohttp import hdrs, web

from keyturn.errors import ConfigurationError
from keyturn.http import JWKS_PATH, MAX_BODY, HttpRequest
from keyturn.http.messages import below_root

MOUNTED: Final = web.AppKey("mounted", web.AbstractResource)
"""The resource at `JWKS_PATH`: it knows what stands before that where the application is mounted."""

HANDSHAKE: Final = web.RequestKey("handshake", HttpRequest)
"""A WebSocket's handshake as it came, where the request that is handed on has its token no longer."""


def read(request: web.Request, body: bytes = b"") -> HttpRequest:
    """Read a request, or the handshake of a WebSocket."""
    if HANDSHAKE in request:
        return request[HANDSHAKE]
    return HttpRequest(
        method=request.method,
        path=_path(request),
        headers=tuple(
            [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.raw_headers]
        ),
        body=body,
        client=request.remote,
        scheme=request.scheme.replace("http", "ws") if is_handshake(request) else request.scheme,
        query=request.rel_url.raw_query_string,
    )


async def read_body(request: web.Request) -> bytes:
    """Read a body, or one byte more than is accepted of it; middleware may have read it before."""
    body = bytearray()
    while len(body) <= MAX_BODY and (data := await request.content.read(MAX_BODY + 1 - len(body))):
        body += data
    return bytes(body or (await request.read())[: MAX_BODY + 1])


def is_handshake(request: web.Request) -> bool:
    """Tell whether a request wants to become a WebSocket (RFC 6455, section 4.1).

    With any method: aiohttp asks for none, and what it opens must be watched.
    """
    return request.headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"


def request_among(given: tuple[object, ...]) -> web.Request:
    """Find the request in what a function, a method or a view's method is called with.

    Raises:
        ConfigurationError: There is none.
    """
    for each in given:
        if isinstance(each, web.View):
            return each.request
        if isinstance(each, web.Request):
            return each
    raise ConfigurationError("auth.require is for handlers: what was called takes no request")


def with_request(given: object, request: web.Request) -> object:
    """Give what a handler is called with, with this request where it has one."""
    if isinstance(given, web.View):
        return given if given.request is request else type(given)(request)
    return request if isinstance(given, web.Request) else given


def _path(request: web.Request) -> str:
    """Give the path below the place where the application is mounted.

    An encoded slash is none to aiohttp's router, and one to its static files. Spelled as here, a path that
    has one is neither exempt nor an endpoint, and needs what it needs where the slash is one.
    """
    path = request.rel_url.path_safe.replace("%2F", "/./").replace("%25", "%")
    ours = request.config_dict.get(MOUNTED)
    return path if ours is None else below_root(path, ours.canonical.removesuffix(JWKS_PATH))


def check_handler(handler: object) -> None:
    """Accept what can be guarded: what gives something to await.

    Raises:
        ConfigurationError: It is a plain function, or a class that is no `web.View`.
    """
    if isinstance(handler, type):
        if not issubclass(handler, web.View):
            raise ConfigurationError(f"{handler.__name__} is no web.View: guard its methods")
    elif inspect.isroutine(handler) and not inspect.iscoroutinefunction(inspect.unwrap(handler)):
        name = getattr(handler, "__name__", "it")
        raise ConfigurationError(f"a guarded handler is awaited: write async def {name}")
