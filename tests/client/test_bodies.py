"""A request is sent again after a 401 with the whole of its body, or not at all. Over a real server."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyturn.client import BodyNotReplayable, KeyturnAuth
from keyturn.errors import ConfigurationError
from tests.client.served import OVER, Api, Colour, Plain, Tasks

CHUNKS = [b"one ", b"two ", b"three"]
WHOLE = b"".join(CHUNKS)


def generated() -> Iterator[bytes]:
    """A body that is made while it is sent."""
    yield from CHUNKS


async def generated_async() -> AsyncIterator[bytes]:
    """The same for tasks."""
    for chunk in CHUNKS:
        yield chunk


class Pipe(io.RawIOBase):
    """Something open that cannot seek."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = io.BytesIO(WHOLE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._rest.readinto(buffer)


class Again:
    """An iterable that gives the same whenever it is asked, of which nobody can know that."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)


@pytest.fixture
def late(api: Api) -> KeyturnAuth:
    """An auth that notices only by a 401 that its token has expired."""
    auth = api.auth(clock=lambda: 0.0)
    api.world.clock.advance(OVER)
    return auth


def check_upload(answer: httpx.Response, body: bytes) -> None:
    """Hold an upload to its body, and to its having been sent twice."""
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"size": len(body), "sha256": sha256(body).hexdigest()}
    assert [each.status_code for each in answer.history] == [401]


@pytest.mark.parametrize(
    "body",
    [
        {"content": WHOLE},
        {"content": WHOLE.decode()},
        {"json": {"a": [1, 2]}},
        {"data": {"a": "b"}},
        {"files": {"a": ("a.txt", WHOLE)}, "data": {"b": "c"}},
        {},
    ],
    ids=["bytes", "text", "json", "form", "multipart", "nothing"],
)
def test_what_is_in_memory_is_sent_again(
    api: Api, late: KeyturnAuth, colour: Colour, body: dict[str, Any]
) -> None:
    """Bytes, text, JSON, forms and multipart of bytes are repeated as they are."""
    answer = colour.request(late, "POST", f"{api.url}/upload", **body)
    check_upload(answer, answer.request.read())


@pytest.mark.parametrize("before", [b"", b"read before: "])
def test_an_open_file_is_sent_again(api: Api, late: KeyturnAuth, tmp_path: Path, before: bytes) -> None:
    """From where it stood: httpx would send what is left of it, which is nothing."""
    path = tmp_path / "upload"
    path.write_bytes(before + WHOLE)
    with path.open("rb") as file:
        file.read(len(before))
        options: dict[str, Any] = {"content": file, "headers": {"Content-Length": str(len(WHOLE))}}
        check_upload(Plain().request(late, "POST", f"{api.url}/upload", **options), WHOLE)


def test_a_file_in_multipart_is_sent_again(
    api: Api, late: KeyturnAuth, colour: Colour, tmp_path: Path
) -> None:
    """The files of multipart are rewound by httpx itself."""
    path = tmp_path / "upload"
    path.write_bytes(WHOLE)
    with path.open("rb") as file:
        options: dict[str, Any] = {
            "files": {"a": file},
            "headers": {"Content-Type": "multipart/form-data; boundary=x"},
        }
        answer = colour.request(late, "POST", f"{api.url}/upload", **options)
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="upload"\r\n'
    check_upload(answer, head + b"Content-Type: application/octet-stream\r\n\r\n" + WHOLE + b"\r\n--x--\r\n")


def test_a_list_is_sent_again(api: Api, late: KeyturnAuth) -> None:
    """A list of chunks can be gone through twice."""
    check_upload(Plain().request(late, "POST", f"{api.url}/upload", content=CHUNKS), WHOLE)


@pytest.mark.parametrize("make", [generated, lambda: iter(CHUNKS), Pipe, Again])
def test_what_is_spent_is_refused(api: Api, late: KeyturnAuth, make: Any) -> None:
    """It is never sent a second time in part; the tokens are fresh, so the caller's own second try works."""
    with pytest.raises(BodyNotReplayable, match="cannot be sent a second time"):
        Plain().request(late, "POST", f"{api.url}/upload", content=make())
    assert (api.refreshes, api.gateway.count("/upload")) == (1, 1)
    answer = Plain().request(late, "POST", f"{api.url}/upload", content=make())
    assert (answer.status_code, answer.json()["size"], answer.history) == (200, len(WHOLE), [])


def test_what_a_task_has_spent_is_refused(api: Api, late: KeyturnAuth) -> None:
    """The same with asyncio."""
    with pytest.raises(BodyNotReplayable):
        Tasks().request(late, "POST", f"{api.url}/upload", content=generated_async())
    assert (api.refreshes, api.gateway.count("/upload")) == (1, 1)
    answer = Tasks().request(late, "POST", f"{api.url}/upload", content=generated_async())
    assert (answer.status_code, answer.json()["size"]) == (200, len(WHOLE))


def test_a_pipe_in_multipart_is_refused(api: Api, late: KeyturnAuth) -> None:
    """An empty file would be sent in its place."""
    with pytest.raises(BodyNotReplayable):
        Plain().request(late, "POST", f"{api.url}/upload", files={"a": Pipe()})


def test_a_closed_file_is_refused(api: Api, late: KeyturnAuth, tmp_path: Path) -> None:
    """What can seek no more when it must is no error of another kind."""
    path = tmp_path / "upload"
    path.write_bytes(WHOLE)
    with path.open("rb") as file, httpx.Client(auth=late, trust_env=False) as client:
        client.event_hooks = {"response": [lambda _: file.close()]}
        with pytest.raises(BodyNotReplayable):
            client.post(f"{api.url}/upload", content=file)


@pytest.mark.parametrize("limit", [len(WHOLE), 10 * len(WHOLE)])
def test_a_copy_is_kept_where_it_is_asked_for(api: Api, colour: Colour, limit: int) -> None:
    """Up to the limit, what passes is kept, and sent again."""
    auth = api.auth(clock=lambda: 0.0, buffer_bodies=limit)
    api.world.clock.advance(OVER)
    body = generated() if isinstance(colour, Plain) else generated_async()
    check_upload(colour.request(auth, "POST", f"{api.url}/upload", content=body), WHOLE)


def test_a_copy_has_a_limit(api: Api, colour: Colour) -> None:
    """One byte more, and the body passes as if none had been asked for."""
    auth = api.auth(clock=lambda: 0.0, buffer_bodies=len(WHOLE) - 1)
    api.world.clock.advance(OVER)
    body = generated() if isinstance(colour, Plain) else generated_async()
    with pytest.raises(BodyNotReplayable):
        colour.request(auth, "POST", f"{api.url}/upload", content=body)
    body = generated() if isinstance(colour, Plain) else generated_async()
    assert colour.request(auth, "POST", f"{api.url}/upload", content=body).json()["size"] == len(WHOLE)


def test_a_stream_is_not_read_ahead(api: Api) -> None:
    """A copy is kept while chunks pass: nothing is read before it can be sent."""
    auth = api.auth(buffer_bodies=1000)
    events: list[str] = []

    def body() -> Iterable[bytes]:
        for chunk in CHUNKS:
            events.append("made")
            yield chunk

    def trace(name: str, _: object) -> None:
        if name == "http11.send_request_headers.complete":
            events.append("headers sent")

    Plain().request(auth, "POST", f"{api.url}/upload", content=body(), extensions={"trace": trace})
    assert events == ["headers sent", "made", "made", "made"]


def test_a_refresh_before_the_end_spares_all_this(api: Api, colour: Colour) -> None:
    """Where the clock can be relied on, a stream is sent once, with fresh tokens."""
    auth = api.auth()
    api.world.clock.advance(OVER)
    body = generated() if isinstance(colour, Plain) else generated_async()
    answer = colour.request(auth, "POST", f"{api.url}/upload", content=body)
    assert (answer.status_code, answer.history, api.refreshes) == (200, [], 1)


def test_a_negative_limit_is_a_mistake() -> None:
    """It is refused when it is set."""
    with pytest.raises(ConfigurationError, match="buffer_bodies"):
        KeyturnAuth("https://api.example.com/auth", buffer_bodies=-1)
