"""Notes in a single-page application: files, an API, the endpoints, the browser client, the devices page."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Request, Response, Security
from fastapi.staticfiles import StaticFiles

from keyturn import AsyncTokenManager, Principal
from keyturn.fastapi import Keyturn
from keyturn.http import HttpSettings, SignIn
from keyturn.keystores import SharedKeyRing
from keyturn.pages import SessionsPage
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore

# Your user table. These passwords are in clear so that you can read them; yours are hashed.
PASSWORDS = {"ann": "correct horse", "bob": "battery staple"}
NOTES: dict[str, list[str]] = {"ann": ["buy milk"]}


def check_password(username: str, password: str) -> SignIn | None:
    known = PASSWORDS.get(username)
    if known is None or not hmac.compare_digest(known.encode(), password.encode()):
        return None
    return SignIn(username)


store = AsyncSQLAlchemyStore.from_url("sqlite:///sessions.db")
keys = SharedKeyRing.open("keys.json")
manager = AsyncTokenManager(store=store, keys=keys, issuer="https://notes.example.com", audience="notes")
auth = Keyturn(
    manager,
    login=check_password,
    settings=HttpSettings(cookie_secure=False),  # this machine has no HTTPS; leave it out on yours
    sessions_page=SessionsPage(sign_in_url="/"),
)
User = Annotated[Principal, Security(auth.current)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await store.create_schema()
    yield


app = FastAPI(lifespan=lifespan)
auth.install(app)


@app.get("/api/notes")
async def notes(user: User) -> list[str]:
    return NOTES.get(user.user_id, [])


@app.post("/api/notes", status_code=201)
async def add(user: User, request: Request) -> Response:
    NOTES.setdefault(user.user_id, []).append((await request.body()).decode()[:200])
    return Response(status_code=201)


app.mount("/", StaticFiles(directory="static", html=True))
