"""What a type checker must infer of Flask's leaf. Not meant to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from flask import Flask

from keyturn import KeyRing, Principal, TokenManager
from keyturn.flask import Keyturn, auth_required, current_principal
from keyturn.stores.memory import MemoryStore


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


app = Flask(__name__)
keys = KeyRing.generate()
typed = TokenManager[Claims](store=MemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims)
auth = Keyturn(typed)
auth.init_app(app)
assert_type(auth, Keyturn[Claims])

late = Keyturn[Claims]()
late.init_app(app, typed)
assert_type(late.principal().claims, Claims)

plain = Keyturn(TokenManager(store=MemoryStore(), keys=keys, issuer="i", audience="a"))
assert_type(plain.principal().claims, dict[str, Any])


@app.get("/roles")
@auth.require("profile", fresh="5m")
def roles() -> list[str]:
    """Say what the user may do."""
    assert_type(auth.principal(), Principal[Claims])
    assert_type(auth.optional_principal(), Principal[Claims] | None)
    return auth.principal().claims.roles


@app.get("/items/<int:item>")
@auth_required(scopes=("profile",), optional=True)
async def items(item: int) -> dict[str, object]:
    """Take arguments, in an asynchronous view."""
    return {"item": item, "user": current_principal.user_id}
