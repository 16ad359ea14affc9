"""What is read from standard input, whatever bytes come. It knows no command."""

from __future__ import annotations

import sys


def read_stdin(limit: int) -> str:
    """Read all of standard input, up to a limit in bytes; what is no UTF-8 becomes what no value accepts."""
    return _text(sys.stdin.buffer.read(limit))


def read_line(limit: int) -> str:
    """Read the first line of standard input, up to a limit in bytes, without its end."""
    return _text(sys.stdin.buffer.readline(limit)).removesuffix("\n").removesuffix("\r")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
