"""What a type checker must infer of FastAPI's leaf. Not meant to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, assert_type

from fastapi import Depends, FastAPI, Security
from fastapi.requests import HTTPConnection

from keyturn import AsyncTokenManager, KeyRing, Principal
from keyturn.fastapi import Keyturn
from keyturn.stores.memory import AsyncMemoryStore


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


store, keys = AsyncMemoryStore(), KeyRing.generate()
auth = Keyturn(AsyncTokenManager(store=store, keys=keys, issuer="i", audience="a", claims=Claims))
assert_type(auth, Keyturn[Claims])
plain = Keyturn(AsyncTokenManager(store=store, keys=keys, issuer="i", audience="a"))
assert_type(plain, Keyturn[dict[str, Any]])

app = FastAPI()
auth.install(app)
Current = Annotated[Principal[Claims], Security(auth.current, scopes=["orders:read"])]
Admin = Annotated[Principal[Claims], Depends(auth.require(roles=("admin",), fresh="5m"))]


@app.get("/orders")
async def orders(current: Current, admin: Admin) -> list[str]:
    """A handler sees the application's own claims."""
    assert_type(current.claims, Claims)
    return admin.claims.roles


async def asked(connection: HTTPConnection) -> None:
    """What the dependencies give by themselves."""
    assert_type(await auth.current(connection), Principal[Claims])
    assert_type(await auth.optional(connection), Principal[Claims] | None)
    assert_type(await plain.current(connection), Principal[dict[str, Any]])
