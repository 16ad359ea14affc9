"""Notes that only their owner sees, on Flask: sign-in, refresh, sessions, roles and a recent sign-in."""

import hmac
from typing import Any

from flask import Flask

from keyturn import TokenManager, UserInactive
from keyturn.flask import Keyturn, auth_required, current_principal
from keyturn.http import SignIn
from keyturn.keystores import SharedKeyRing
from keyturn.stores.sqlalchemy import SQLAlchemyStore

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


def load_claims(user_id: str) -> dict[str, Any]:
    if user_id not in USERS:
        raise UserInactive
    return USERS[user_id]["claims"]


store = SQLAlchemyStore.from_url("sqlite:///sessions.db")
store.create_schema()
keys = SharedKeyRing.open("keys.json")
manager = TokenManager(
    store=store, keys=keys, issuer="https://notes.example.com", audience="notes", load_claims=load_claims
)
auth = Keyturn(manager, login=check_password)

app = Flask(__name__)
app.config["KEYTURN_COOKIE_SECURE"] = False  # this machine has no HTTPS; leave it out on yours
auth.init_app(app)


@app.get("/notes")
@auth_required()
def notes() -> list[str]:
    return NOTES.get(current_principal.user_id, [])


@app.delete("/notes")
@auth_required(fresh="5m")
def forget() -> tuple[str, int]:
    NOTES.pop(current_principal.user_id, None)
    return "", 204


@app.get("/everything")
@auth_required(roles=("admin",))
def everything() -> dict[str, list[str]]:
    return NOTES
