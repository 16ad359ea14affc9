"""Bytes on a socket, for what no HTTP client sends. It knows no framework."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def head(method: str, path: str, *headers: tuple[str, str]) -> bytes:
    """Write the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def connected(url: str) -> socket.socket:
    """Open a connection to the server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def status_of(wire: socket.socket) -> int | None:
    """Read the status of an answer; None where the server closed without one."""
    received = b""
    while b"\r\n" not in received:
        try:
            data = wire.recv(4096)
        except ConnectionResetError:
            return None
        if not data:
            return None
        received += data
    return int(received.split(b" ", 2)[1])
