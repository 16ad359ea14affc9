"""Notes that only their owner sees, on Starlette: sign-in, refresh, sessions, roles and a recent sign-in."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn import AsyncTokenManager, UserInactive
from keyturn.http import HttpSettings, SignIn
from keyturn.keystores import SharedKeyRing
from keyturn.starlette import Keyturn
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore

# Your user table. These passwords are in clear so that you can read them; yours are hashed.
USERS: dict[str, dict[str, Any]] = {
    "ann": {"password": "correct horse", "claims": {"roles": ["admin"]}},
    "bob": {"password": "battery staple", "claims": {"roles": ["member"]}},
}
NOTES: dict[str, list[str]] = {"ann": ["buy milk"]}


def check_password(username: str, password: str) -> SignIn | None:
    user = USERS.get(username)
    if user is None or not hmac.compare_digest(user["password"].encode(), password.encode()):
        return None
    return SignIn(username, user["claims"])


async def load_claims(user_id: str) -> dict[str, Any]:
    if user_id not in USERS:
        raise UserInactive
    return USERS[user_id]["claims"]


store = AsyncSQLAlchemyStore.from_url("sqlite:///sessions.db")
keys = SharedKeyRing.open("keys.json")
manager = AsyncTokenManager(
    store=store, keys=keys, issuer="https://notes.example.com", audience="notes", load_claims=load_claims
)
settings = HttpSettings(cookie_secure=False)  # this machine has no HTTPS; leave it out on yours
auth = Keyturn(manager, login=check_password, settings=settings)


@auth.require()
async def notes(request: Request) -> Response:
    return JSONResponse(NOTES.get(request.user.identity, []))


@auth.require(fresh="5m")
async def forget(request: Request) -> Response:
    NOTES.pop(request.user.identity, None)
    return Response(status_code=204)


@auth.require(roles=("admin",))
async def everything(_: Request) -> Response:
    return JSONResponse(NOTES)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    await store.create_schema()
    async with auth.lifespan(app):
        yield


routes = [
    *auth.routes,
    Route("/notes", notes),
    Route("/notes", forget, methods=["DELETE"]),
    Route("/everything", everything),
]
app = Starlette(routes=routes, lifespan=lifespan)
