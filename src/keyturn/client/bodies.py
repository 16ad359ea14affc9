"""Whether a request's body can be sent twice, and making it ready for that. It knows no token.

httpx reads a body again where it holds bytes (also of JSON, of forms and of multipart). Of other bodies it
does not say what they are, so this looks at them from outside, and what it does not know counts as spent:

| body | the second time |
| --- | --- |
| bytes, text, JSON, a form; a list of bytes | as it is |
| multipart of bytes, or of files that can seek | as it is: httpx rewinds the files |
| an open file that can seek | rewound here to where it stood: httpx would send what is left of it, nothing |
| a generator, a pipe, any other iterable | from the copy that was kept, if it was asked for and is whole |
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import httpx

Rewind: TypeAlias = Callable[[], bool]
"""Makes a body ready for another sending; False where that cannot be done."""


def remember(request: httpx.Request, limit: int) -> Rewind:
    """Look at a body before it is sent for the first time, in a thread.

    Args:
        request: The request; what cannot be read twice is replaced by what keeps a copy.
        limit: The largest copy, in bytes; 0: none.
    """
    rewind = _rewind_of(request.stream)
    if rewind is None and limit and isinstance(request.stream, httpx.SyncByteStream):
        request.stream = copy = _Copied(request.stream, limit)
        return copy.may_repeat
    return rewind or _spent


def remember_async(request: httpx.Request, limit: int) -> Rewind:
    """Look at a body before it is sent for the first time, in a task; see `remember`."""
    rewind = _rewind_of(request.stream)
    if rewind is None and limit and isinstance(request.stream, httpx.AsyncByteStream):
        request.stream = copy = _CopiedAsync(request.stream, limit)
        return copy.may_repeat
    return rewind or _spent


def _rewind_of(stream: object) -> Rewind | None:
    """Give what makes a body ready again; None where nothing is known to."""
    if isinstance(stream, httpx.ByteStream):
        return _ready
    content: Any = getattr(stream, "_stream", None)  # as httpx's own streams hold what they were given
    fields: Any = getattr(stream, "fields", None)  # as its multipart holds its parts, in a list
    if isinstance(content, list | tuple) or (fields is not None and all(map(_is_lasting, fields))):
        return _ready
    if _can_seek(content):
        start = content.tell()

        def rewind() -> bool:
            try:
                content.seek(start)
            except (OSError, ValueError):  # closed meanwhile
                return False
            return True

        return rewind
    return None


def _is_lasting(field: Any) -> bool:  # noqa: ANN401 - httpx does not name the class
    """Tell whether a part of a multipart body can be read twice."""
    held = getattr(field, "file", getattr(field, "value", None))
    return isinstance(held, str | bytes) or _can_seek(held)


def _can_seek(content: Any) -> bool:  # noqa: ANN401 - anything that was given as a body
    try:
        return hasattr(content, "read") and bool(content.seekable())
    except (AttributeError, ValueError):  # no such method; closed
        return False


def _ready() -> bool:
    return True


def _spent() -> bool:
    return False


class _Copy:
    """What has passed of a body, as long as it is not too much."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_whole = True

    def may_repeat(self) -> bool:
        """Tell whether all that has passed was kept."""
        return self._is_whole

    def begin(self) -> list[bytes]:
        """Give what has passed, to be sent before what comes."""
        if not self._is_whole:
            raise httpx.StreamConsumed
        return list(self._chunks)

    def keep(self, chunk: bytes) -> bytes:
        """Keep one more chunk, or nothing at all where it is too much."""
        self._size += len(chunk)
        if self._size > self._limit:
            self._is_whole = False
            self._chunks.clear()
        if self._is_whole:
            self._chunks.append(chunk)
        return chunk


class _Copied(_Copy, httpx.SyncByteStream):
    """A body that keeps a copy of what passes."""

    def __init__(self, stream: httpx.SyncByteStream, limit: int) -> None:
        super().__init__(limit)
        self._rest = iter(stream)

    def __iter__(self) -> Iterator[bytes]:
        yield from self.begin()
        for chunk in self._rest:
            yield self.keep(chunk)


class _CopiedAsync(_Copy, httpx.AsyncByteStream):
    """A body that keeps a copy of what passes."""

    def __init__(self, stream: httpx.AsyncByteStream, limit: int) -> None:
        super().__init__(limit)
        self._rest = aiter(stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.begin():
            yield chunk
        async for chunk in self._rest:
            yield self.keep(chunk)
