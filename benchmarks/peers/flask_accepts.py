"""Accepts and refreshes tokens as flask-jwt-extended's documentation says, with its blocklist in Redis.

https://flask-jwt-extended.readthedocs.io/en/stable/blocklist_and_token_revoking.html. It knows that alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import redis
from _serve import Turn, given, serve, sure
from flask import Flask
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    verify_jwt_in_request,
)

GIVEN = given()

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = GIVEN["secret"]
app.config["JWT_REFRESH_TOKEN_EXPIRES"] = timedelta(days=30)
manager = JWTManager(app)
blocklist = redis.Redis.from_url(GIVEN["redis"], decode_responses=True)


@manager.token_in_blocklist_loader  # type: ignore[untyped-decorator]  # its types are unfinished
def is_revoked(_: object, payload: dict[str, Any]) -> bool:
    """Look a token up in the blocklist."""
    return blocklist.get(payload["jti"]) is not None


def accept(_: dict[str, Any]) -> Turn:
    """What `@jwt_required()` does before a view."""
    with app.app_context():
        token = create_access_token("user", additional_claims={"roles": ["member"]})
    app.test_request_context(headers={"Authorization": f"Bearer {token}"}).push()

    def turn() -> None:
        verify_jwt_in_request()
        sure(get_jwt_identity() == "user", "a good token was refused")

    return turn


def rotate(_: dict[str, Any]) -> Turn:
    """A refresh that spends its token: two new ones, the old one into the blocklist."""
    with app.app_context():
        token = create_refresh_token("user")

    def turn() -> None:
        nonlocal token
        with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
            verify_jwt_in_request(refresh=True)
            fresh = not blocklist.exists(get_jwt()["jti"])
            blocklist.set(get_jwt()["jti"], "", ex=30 * 86_400)
            create_access_token(get_jwt_identity())
            token = create_refresh_token(get_jwt_identity())
        sure(fresh, "a token was spent before")

    return turn


if __name__ == "__main__":
    serve({"accept": accept, "rotate": rotate}, ("flask-jwt-extended", "flask"))
