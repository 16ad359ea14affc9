"""Which tokens a request carries (RFC 6750, section 2). It verifies none, and never looks at a URL.

Pages cannot give the handshake of a WebSocket a header of their own, but they can offer subprotocols: the
token comes as one of these, beside the name that the server answers with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keyturn.http.messages import HttpRequest
from keyturn.http.replies import invalid_request
from keyturn.http.settings import DEFAULT_ACCESS_HEADER, HttpSettings

SOCKET_PROTOCOL: Final = "keyturn"
"""The subprotocol that is answered to a page which sent its token as one."""
SOCKET_HEADER: Final = "sec-websocket-protocol"
_SOCKET_TOKEN: Final = "keyturn.bearer."  # noqa: S105 - what stands before one
_SOCKETS: Final = frozenset({"ws", "wss"})


def is_socket(request: HttpRequest) -> bool:
    """Tell whether a request is the handshake of a WebSocket."""
    return request.scheme in _SOCKETS


def read_bearer(request: HttpRequest, settings: HttpSettings) -> str | None:
    """Give the access token as sent; None where there is none, or another scheme's credentials.

    Raises:
        Refusal: There are several, so that it is not known which is meant. Some servers join several headers
            with a comma, which no token contains.
    """
    offered = _offered(request)
    if len(offered) > 1 or (offered and request.values(settings.access_header.lower())):
        raise invalid_request("More than one access token was sent.")
    return offered[0] if offered else _read_header(request, settings)


def without_tokens(protocols: Iterable[str]) -> list[str]:
    """Give the subprotocols that a client has offered, without the token: they are answered, and logged."""
    return [each for each in protocols if not each.startswith(_SOCKET_TOKEN)]


def _offered(request: HttpRequest) -> list[str]:
    if not is_socket(request):
        return []
    protocols = [each.strip(" \t") for value in request.values(SOCKET_HEADER) for each in value.split(",")]
    return [each.removeprefix(_SOCKET_TOKEN) for each in protocols if each.startswith(_SOCKET_TOKEN)]


def _read_header(request: HttpRequest, settings: HttpSettings) -> str | None:
    values = request.values(settings.access_header.lower())
    parts = [part.strip(" \t") for value in values for part in value.split(",")]
    is_bare = settings.access_header.lower() != DEFAULT_ACCESS_HEADER.lower()
    meant = parts if is_bare else [part for part in parts if part.partition(" ")[0].lower() == "bearer"]
    if len(values) > 1 or (meant and len(parts) > 1):
        raise invalid_request("More than one access token was sent.")
    if not meant:
        return None
    if is_bare:
        return values[0].strip(" \t")
    scheme, _, token = values[0].strip(" \t").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None
