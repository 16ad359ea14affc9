"""The applications that the suite sends requests to, for Starlette and Flask. They know no load.

Servers load `starlette_app` and `flask_app` as factories; where the sessions are, the environment says.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import Any, Final

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from _managers import ROTATING, async_manager_on, manager_on
from keyturn import KeyRing
from keyturn.flask import Keyturn as FlaskKeyturn
from keyturn.flask import auth_required
from keyturn.starlette import Keyturn
from keyturn.stores.urls import async_store_from_url, store_from_url

STORE: Final = "KEYTURN_BENCH_STORE"
SECRET: Final = "KEYTURN_BENCH_SECRET"  # noqa: S105  (the name of a variable)
ANSWER: Final = {"orders": [{"id": 17, "total": "25.00"}, {"id": 18, "total": "7.50"}]}
ME: Final = {
    "user_id": "user",
    "session_id": "01a0a0a0-0000-7000-8000-000000000001",
    "claims": {"roles": ["member"]},
    "expires_at": 1_800_000_000,
}
TOKENS: Final = {
    "access_token": "a" * 400,
    "refresh_token": "r" * 110,
    "token_type": "Bearer",
    "expires_in": 900,
}


def starlette_app() -> Starlette:
    """Build the application for Starlette."""
    keys = KeyRing.from_secret(os.environ[SECRET])
    auth = Keyturn(async_manager_on(async_store_from_url(os.environ[STORE]), keys, ROTATING))
    routes = [
        *auth.routes,
        Route("/open", orders),
        Route("/guarded", auth.require()(orders)),
        Route("/open/me", me),
        Route("/open/refresh", refresh, methods=["POST"]),
    ]
    if find_spec("jwt"):  # it comes from the environment of peers
        routes.append(Route("/pyjwt", _by_pyjwt(os.environ[SECRET])))
    return Starlette(routes=routes)


async def orders(_: Request) -> Response:
    """Answer what any application might."""
    return JSONResponse(ANSWER)


async def me(_: Request) -> Response:
    """Answer as `/auth/me` does, to anybody."""
    return JSONResponse(ME)


async def refresh(request: Request) -> Response:
    """Read a body and answer as `/auth/refresh` does, to anybody."""
    if "refresh_token" not in json.loads(await request.body()):
        return Response(status_code=400)
    return JSONResponse(TOKENS)


def _by_pyjwt(secret: str) -> Any:  # noqa: ANN401  (an endpoint)
    """Guard the same answer as tutorials do; revocations do not act."""
    import jwt  # noqa: PLC0415  (it may be missing)

    async def guarded(request: Request) -> Response:
        kind, _, token = request.headers["authorization"].partition(" ")
        claims = jwt.decode(token, secret, algorithms=["HS256"], audience="api")
        if kind.lower() != "bearer" or not claims["sub"]:
            return Response(status_code=401)
        return JSONResponse(ANSWER)

    return guarded


def flask_app() -> flask.Flask:
    """Build the application for Flask."""
    keys = KeyRing.from_secret(os.environ[SECRET])
    app = flask.Flask(__name__)
    FlaskKeyturn(manager_on(store_from_url(os.environ[STORE]), keys, ROTATING)).init_app(app)

    def answer() -> flask.Response:
        return flask.jsonify(ANSWER)

    app.add_url_rule("/open", "open", answer)
    app.add_url_rule("/guarded", "guarded", auth_required()(answer))
    return app
