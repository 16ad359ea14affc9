"""What a request says and what is answered, as plain data. It knows no framework and no token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keyturn._core.frozen import quickly_made

MAX_BODY: Final = 64 * 1024
"""How many bytes of a body are accepted. A leaf reads at most one more, which tells "too much"."""

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, in their order; a name may come twice."""


@quickly_made
@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, read.

    Attributes:
        method: As sent, in upper case.
        path: Decoded, below the place where the application is mounted, without the query.
        headers: Names in lower case; duplicates kept, in order. Not part of the repr, nor is the body.
        body: At most `MAX_BODY + 1` bytes.
        client: The address of the client as the server knows it (proxies are the server's configuration).
        scheme: "http" or "https", as the server knows it; "ws" or "wss" for the handshake of a WebSocket.
        query: What follows the question mark, as sent. Not part of the repr.
    """

    method: str
    path: str
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    client: str | None = None
    scheme: str = "http"
    query: str = field(default="", repr=False)

    def values(self, name: str) -> list[str]:
        """Give all values of a header.

        Args:
            name: In lower case.
        """
        return [value for each, value in self.headers if each == name]

    def header(self, name: str) -> str | None:
        """Give a header's value; None where it is absent, or sent more than once.

        Args:
            name: In lower case.
        """
        values = self.values(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One answer, to be written.

    Attributes:
        status: The status code.
        headers: In order; a name may come more than once. Not part of the repr, nor is the body.
        body: The body, already encoded.
    """

    status: int
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


def below_root(path: str, root: str) -> str:
    """Give a path as routers see it: a root is taken away only where it ends at a slash or at the end.

    Args:
        path: The whole path.
        root: Where the application is mounted; empty where it is not.

    Examples:
        >>> below_root("/api/auth/me", "/api"), below_root("/api-auth/me", "/api")
        ('/auth/me', '/api-auth/me')
    """
    below = path.removeprefix(root)
    return below if not below or below.startswith("/") else path
