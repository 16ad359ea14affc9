"""What fastapi-users and authx do in each situation. It knows these alone, and no store but memory."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import httpx
from _serve import sure
from _situations import AT_ONCE, again, in_step, out, spent, tell
from authx import AuthX, AuthXConfig
from authx._internal._session import InMemorySessionStore
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTable,
)
from sqlalchemy import ForeignKey, Integer
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.pool import StaticPool

SECRET = secrets.token_hex(32)
NONE = "it has no refresh tokens"


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTable[int], Base):  # type: ignore[misc]  # it is not installed here
    """A user."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True)


class Token(SQLAlchemyBaseAccessTokenTable[int], Base):  # type: ignore[misc]  # as above
    """An access token of the strategy with a database."""

    @declared_attr
    def user_id(cls) -> Mapped[int]:  # noqa: N805  (SQLAlchemy gives the class)
        """Whose it is."""
        return mapped_column(Integer, ForeignKey("user.id"))


class Manager(IntegerIDMixin, BaseUserManager[User, int]):  # type: ignore[misc]  # as above
    """What it asks of an application."""

    reset_password_token_secret = verification_token_secret = SECRET


async def nothing() -> None:
    """Answer whoever was let in."""


async def fastapi_users() -> dict[str, str]:
    """Both strategies for tokens, each with its own login and logout."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def users() -> AsyncGenerator[Manager]:
        async with sessions() as session:
            yield Manager(SQLAlchemyUserDatabase(session, User))

    async def in_database() -> AsyncGenerator[Any]:
        async with sessions() as session:
            yield DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, Token))

    backends = {
        "jwt": AuthenticationBackend("jwt", BearerTransport("jwt/login"), lambda: JWTStrategy(SECRET, 900)),
        "database": AuthenticationBackend("database", BearerTransport("database/login"), in_database),
    }
    app = FastAPI()
    for name, backend in backends.items():
        each = FastAPIUsers[User, int](users, [backend])
        app.include_router(each.get_auth_router(backend), prefix=f"/{name}")

        app.get(f"/{name}/me", dependencies=[Depends(each.current_user())])(nothing)

    async with sessions() as session:
        manager = Manager(SQLAlchemyUserDatabase(session, User))
        password = manager.password_helper.hash("secret")
        await manager.user_db.create({"email": "ann@example.com", "hashed_password": password})

    told = {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        for name in backends:
            form = {"username": "ann@example.com", "password": "secret"}
            access = (await client.post(f"/{name}/login", data=form)).json()["access_token"]
            headers = {"Authorization": f"Bearer {access}"}
            before = await client.get(f"/{name}/me", headers=headers)
            sure(before.status_code == HTTPStatus.OK, "a good token was refused")
            left = await client.post(f"/{name}/logout", headers=headers)
            sure(left.status_code == HTTPStatus.NO_CONTENT, "it signs nobody out")
            accepted = (await client.get(f"/{name}/me", headers=headers)).status_code == HTTPStatus.OK
            told[name] = out(accepted=accepted)
    await engine.dispose()
    return {
        "race": NONE,
        "step": NONE,
        "lost": NONE,
        "spent": NONE,
        "out": f"{told['jwt']} with its JWT strategy; {told['database']} with tokens in the database",
        "rows": NONE,
    }


async def authx() -> dict[str, str]:
    """A pair of tokens, and the session API with its store in memory."""
    auth = AuthX(AuthXConfig(JWT_SECRET_KEY=SECRET, JWT_TOKEN_LOCATION=["headers"]))
    auth.set_session_store(InMemorySessionStore())
    app = FastAPI()

    app.post("/refresh", dependencies=[Depends(auth.refresh_token_required)])(nothing)
    app.get("/me", dependencies=[Depends(auth.access_token_required)])(nothing)
    pair = auth.create_token_pair(uid="ann")
    session = await auth.create_session("ann")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        bearer = {"Authorization": f"Bearer {pair.refresh_token}"}
        answers = await asyncio.gather(*(client.post("/refresh", headers=bearer) for _ in range(AT_ONCE)))
        accepted = sum(answer.status_code == HTTPStatus.OK for answer in answers)
        sure(accepted == AT_ONCE, "a good token was refused")
        once_more = (await client.post("/refresh", headers=bearer)).status_code == HTTPStatus.OK
        await auth.revoke_session(session.session_id)
        after = await client.get("/me", headers={"Authorization": f"Bearer {pair.access_token}"})
    return {
        "race": f"{accepted} of {AT_ONCE} succeed; the refresh token stays",
        "step": in_step("", "", goes_on=True),
        "lost": again(pair.refresh_token if once_more else None, pair.refresh_token),
        "spent": spent(accepted=once_more, goes_on=True) + ": no token is ever spent",
        "out": f"{out(accepted=after.status_code == HTTPStatus.OK)}, unless you write a blocklist",
        "rows": "0 more",
    }


async def main() -> None:
    """Ask both."""
    findings = {"fastapi-users": await fastapi_users(), "authx": await authx()}
    tell(("fastapi", "fastapi-users", "authx"), findings)


if __name__ == "__main__":
    asyncio.run(main())
