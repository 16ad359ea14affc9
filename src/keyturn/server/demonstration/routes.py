"""The routes of `--demo` below the prefix, where the refresh cookie reaches. They decide no refresh.

Whoever sends a session's current refresh cookie, or the one before, may watch that session: what is shown
holds no token. What changes something is a POST that only our own page may send. A token is never in a URL.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keyturn._core.encoding import dump_json, parse_json_object
from keyturn.errors import InvalidToken, StoreError
from keyturn.http import AsyncEndpoints, HttpRequest
from keyturn.http.asgi import read_body, read_scope
from keyturn.http.cookies import read_cookie
from keyturn.http.origins import check_origin
from keyturn.http.replies import invalid_request, no_credentials, not_found
from keyturn.server.demonstration.pockets import Pockets
from keyturn.server.demonstration.recorder import Dropped, Moment, Recorder, Stolen, acting_as
from keyturn.server.demonstration.streams import Watch, follow
from keyturn.server.demonstration.telling import tell
from keyturn.server.logs import LOG
from keyturn.server.opening import Service
from keyturn.server.texts import texts_for
from keyturn.starlette.base import answer

MOST_STREAMS: Final = 64
MOST_STREAMS_OF_ONE: Final = 8
"""How many readers there may be, and how many of one session."""

_OK: Final = 200
_RUN_BYTES: Final = 4
_NO_STORE: Final = {"Cache-Control": "no-store"}
_THIEF: Final = "Thief/1.0"  # another client than any browser: see `context_from`


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who asks, by the refresh cookie: its session, the cookie itself, and the generation that it is of."""

    session_id: str
    token: str
    generation: int


class Demonstration:
    """Watches all sessions of a service, and stages mishaps in those whose owners ask for them."""

    def __init__(self, service: Service) -> None:
        """Begin to watch."""
        self._settings = service.settings
        self._manager = service.manager
        self._endpoints = AsyncEndpoints(service.manager, settings=service.settings)
        self._recorder = Recorder()
        self._pockets = Pockets()
        self._run = secrets.token_hex(_RUN_BYTES)
        self._streams = Counter[str]()
        service.manager.events.watch(self._recorder.record)
        below = f"{service.settings.prefix}/demo"
        self.routes = [
            Route(f"{below}/events", self._show_events, methods=["GET"]),
            Route(f"{below}/moments", self._show_moments, methods=["GET"]),
            Route(f"{below}/drop", self._drop, methods=["POST"]),
            Route(f"{below}/steal", self._steal, methods=["POST"]),
            Route(f"{below}/thief", self._let_thief_refresh, methods=["POST"]),
        ]

    def close(self) -> None:
        """End all streams: a server that shuts down waits for them."""
        self._recorder.close()

    async def _show_events(self, request: Request) -> Response:
        """`GET /auth/demo/events`: what happens in the session, as server-sent events."""
        try:
            owner = await self._owner(read_scope(request.scope))
        except InvalidToken:
            return Response(status_code=204)  # which tells a reader not to come back
        if self._streams.total() >= MOST_STREAMS or self._streams[owner.session_id] >= MOST_STREAMS_OF_ONE:
            raise StoreError(detail="too_many_streams")
        watch = Watch(
            self._recorder, self._run, owner.session_id, lambda: self._lives(owner), self._teller(request)
        )
        known = request.headers.get("last-event-id") or request.query_params.get("after")
        return _Stream(self, watch, watch.place(known))

    async def _show_moments(self, request: Request) -> Response:
        """`GET /auth/demo/moments?after=n`: the same as a list, up to now."""
        owner = await self._owner(read_scope(request.scope))
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < len(str(2**53))):
            raise invalid_request("after must be the number of a moment.")
        moments = self._recorder.since(owner.session_id, int(after))
        told = list(map(self._teller(request), moments))
        return self._answer({"now": self._manager.now(), "last": self._recorder.last, "moments": told})

    async def _drop(self, request: Request) -> Response:
        """`POST /auth/demo/drop`: refreshes as `/auth/refresh` does, and throws the answer away."""
        asked, owner = await self._asked_by_owner(request)
        reply = await self._endpoints.handle(replace(asked, path=f"{self._settings.prefix}/refresh"))
        if reply.status != _OK:
            return answer(reply)
        LOG.info("the demonstration throws the answer of a refresh away, and breaks the connection off")
        generation = (await self._manager.inspect(owner.token)).generation
        lost = generation > owner.generation
        self._recorder.record(Dropped(self._manager.now(), owner.session_id, generation, lost))
        return _BrokenOff()

    async def _steal(self, request: Request) -> Response:
        """`POST /auth/demo/steal`: copies the refresh cookie into the thief's pocket; nobody is shown it."""
        _, owner = await self._asked_by_owner(request)
        self._pockets.put(owner.session_id, owner.token)
        self._recorder.record(Stolen(self._manager.now(), owner.session_id, owner.generation))
        return self._answer({"generation": owner.generation})

    async def _let_thief_refresh(self, request: Request) -> Response:
        """`POST /auth/demo/thief`: the thief redeems what is in its pocket, as a client of its own."""
        asked, owner = await self._asked_by_owner(request)
        token = self._pockets.get(owner.session_id)
        if token is None:
            raise not_found()
        with acting_as("thief"):
            reply = await self._endpoints.handle(self._from_thief(token, asked.client))
        if reply.status == _OK:
            self._pockets.put(owner.session_id, parse_json_object(reply.body)["refresh_token"])
        else:
            self._pockets.empty(owner.session_id)
        return self._answer({"status": reply.status})

    def _from_thief(self, token: str, client: str | None) -> HttpRequest:
        headers = (("content-type", "application/json"), ("user-agent", _THIEF))
        body = dump_json({"refresh_token": token})
        return HttpRequest("POST", f"{self._settings.prefix}/refresh", headers, body, client)

    async def _asked_by_owner(self, request: Request) -> tuple[HttpRequest, _Owner]:
        """Read what changes something.

        Raises:
            Refusal: It did not come from our own page.
            InvalidToken: It carries no token of a session that lives.
        """
        body = await read_body(request.receive)
        if body is None:
            raise invalid_request("The body could not be read.")
        asked = read_scope(request.scope, body)
        check_origin(asked, self._settings)
        return asked, await self._owner(asked)

    async def _owner(self, asked: HttpRequest) -> _Owner:
        """Say whose session it is, without rotating anything.

        Raises:
            Refusal: There is no cookie.
            InvalidToken: It is of no session that lives, or a spent one that only a copy can be.
        """
        token = read_cookie(asked, self._settings)
        if token is None:
            raise no_credentials()
        session = await self._manager.inspect(token)
        generation = self._manager.verify_refresh(token).generation
        if not session.active or generation < session.generation - 1:
            raise InvalidToken(detail="unknown_session")
        return _Owner(session.id, token, generation)

    async def _lives(self, owner: _Owner) -> bool:
        try:
            return (await self._manager.inspect(owner.token)).active
        except StoreError:  # which says nothing about any session
            return True
        except InvalidToken:
            return False

    def _teller(self, request: Request) -> Callable[[Moment], Mapping[str, Any]]:
        """Give what puts moments into words, in the language of who asks."""
        texts = texts_for(request.headers.get("accept-language"))
        return lambda moment: tell(moment, texts, self._settings)

    @staticmethod
    def _answer(body: Mapping[str, Any]) -> Response:
        return JSONResponse(body, headers=_NO_STORE)

    @contextmanager
    def counting(self, session_id: str) -> Generator[None]:
        """Count a reader of a session while the block runs."""
        self._streams[session_id] += 1
        try:
            yield
        finally:
            self._streams[session_id] -= 1
            self._streams += Counter()  # which forgets what is zero


class _Stream(StreamingResponse):
    """One reader's stream, counted while it is open."""

    def __init__(self, demonstration: Demonstration, watch: Watch, after: int) -> None:
        super().__init__(follow(watch, after), media_type="text/event-stream", headers=_NO_STORE)
        self._counted = demonstration.counting(watch.session_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._counted:
            await super().__call__(scope, receive, send)


class _BrokenOff(Response):
    """An answer that never comes: it promises a body, and the server hangs up when nothing follows.

    It must begin: a browser repeats by itself what was not answered at all on a connection that it had.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI calls it
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
