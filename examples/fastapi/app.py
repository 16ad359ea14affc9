"""Notes that only their owner sees, on FastAPI: sign-in, refresh, sessions, roles and a recent sign-in."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Security

from keyturn import AsyncTokenManager, Principal, UserInactive
from keyturn.fastapi import Keyturn
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
User = Annotated[Principal, Security(auth.current)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await store.create_schema()
    yield


app = FastAPI(lifespan=lifespan)
auth.install(app)


@app.get("/notes")
async def notes(user: User) -> list[str]:
    return NOTES.get(user.user_id, [])


@app.delete("/notes", dependencies=[Depends(auth.require(fresh="5m"))], status_code=204)
async def forget(user: User) -> None:
    NOTES.pop(user.user_id, None)


@app.get("/everything", dependencies=[Depends(auth.require(roles=("admin",)))])
async def everything() -> dict[str, list[str]]:
    return NOTES
