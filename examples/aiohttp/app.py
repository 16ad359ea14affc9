"""Notes that only their owner sees, on aiohttp: sign-in, refresh, sessions, roles and a recent sign-in."""

import hmac
import os
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from keyturn import AsyncTokenManager, UserInactive
from keyturn.aiohttp import Keyturn
from keyturn.http import HttpSettings, SignIn
from keyturn.keystores import SharedKeyRing
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
routes = web.RouteTableDef()


@routes.get("/notes")
@auth.require()
async def notes(request: web.Request) -> web.Response:
    return web.json_response(NOTES.get(auth.principal(request).user_id, []))


@routes.delete("/notes")
@auth.require(fresh="5m")
async def forget(request: web.Request) -> web.Response:
    NOTES.pop(auth.principal(request).user_id, None)
    return web.Response(status=204)


@routes.get("/everything")
@auth.require(roles=("admin",))
async def everything(_: web.Request) -> web.Response:
    return web.json_response(NOTES)


async def schema(_: web.Application) -> AsyncIterator[None]:
    await store.create_schema()
    yield


def create_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(schema)
    auth.setup(app)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
