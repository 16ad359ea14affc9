"""Django's requests and responses as Keyturn's, and back. It decides nothing, and knows no manager."""

from __future__ import annotations

from functools import partial
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import ResponseHeaders

from keyturn.http import MAX_BODY, put_headers
from keyturn.http import HttpRequest as Asked

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from keyturn.http import Headers, HttpReply


def read(request: HttpRequest, body: bytes = b"") -> Asked:
    """Read a request; its scheme and its client's address are what Django takes them for."""
    if isinstance(request, ASGIRequest):  # Django joins headers that came twice
        pairs = request.scope["headers"]
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]
    else:
        headers = [(name.lower(), value) for name, value in request.headers.items()]
    # Django's test client sends an empty one, as no browser does.
    headers = [pair for pair in headers if pair != ("cookie", "")]
    client = request.META.get("REMOTE_ADDR") or None
    return Asked(
        request.method or "GET",
        request.path_info,
        tuple(headers),
        body,
        client,
        request.scheme or "http",
        request.META.get("QUERY_STRING", ""),
    )


def read_body(request: HttpRequest) -> bytes | None:
    """Read a body, or one byte more than is accepted of it; None where it cannot be read.

    Django's own limit, which it answers in HTML, is for `request.body` alone.
    """
    source: Any = request
    if "HTTP_TRANSFER_ENCODING" in request.META and not isinstance(request, ASGIRequest):
        if not request.META.get("wsgi.input_terminated"):
            return None  # Django would take it for empty
        source = request.META["wsgi.input"]
    try:
        body: bytes = source.read(MAX_BODY + 1)
    except Exception:  # noqa: BLE001  (what servers raise where a body breaks off has no common class)
        return None
    return body


def write(reply: HttpReply) -> HttpResponse:
    """Write an answer."""
    response = HttpResponse(reply.body, status=reply.status)
    del response.headers["Content-Type"]  # Django's own guess
    for name, value in reply.headers:
        cookies = SimpleCookie(value if name == "Set-Cookie" else None)
        if cookies:  # among Django's own, where middleware and test clients look for them
            response.cookies.update(cookies)
        else:  # also a cookie with an attribute that this Python does not know, such as Partitioned
            add_value(response.headers, name, value)
    return response


def add_headers(response: HttpResponseBase, headers: Headers) -> HttpResponseBase:
    """Give a view's response with more headers: see `Admitted.headers`.

    It is a copy: the project may answer others with the same response.
    """
    if not headers:
        return response
    copied = type(response).__new__(type(response))  # `copy` would leave out what cannot be pickled
    vars(copied).update(vars(response))
    copied.headers = ResponseHeaders(dict(response.headers.items()))
    copied.cookies = SimpleCookie()
    copied.cookies.update(response.cookies)
    put_headers(headers, partial(add_value, copied.headers), copied.headers.__setitem__)
    return copied


def add_value(headers: Any, name: str, value: str) -> None:  # noqa: ANN401  (a mapping, of Django's or another)
    """Add a header; where there is one of the name, as one more item of its list: Django keeps no two."""
    present = headers.get(name)
    headers[name] = value if present is None else f"{present}, {value}"
