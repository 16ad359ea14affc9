"""What flask-jwt-extended does in each situation, set up as its documentation says. It knows that alone."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any

from _serve import sure
from _situations import AT_ONCE, again, in_step, out, spent, tell
from flask import Flask, jsonify
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jti,
    get_jwt_identity,
    verify_jwt_in_request,
)


def application(*, blocked: set[str] | None = None) -> Flask:
    """Make an application with the refresh endpoint of the documentation, with a blocklist or without."""
    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = secrets.token_hex(32)
    manager = JWTManager(app)
    if blocked is not None:
        manager.token_in_blocklist_loader(lambda _, payload: payload["jti"] in blocked)

    @app.post("/refresh")
    def refresh() -> Any:  # noqa: ANN401  (Flask's answer)
        verify_jwt_in_request(refresh=True)
        return jsonify(access_token=create_access_token(get_jwt_identity()))

    @app.get("/me")
    def me() -> Any:  # noqa: ANN401  (as above)
        verify_jwt_in_request()
        return jsonify(get_jwt_identity())

    return app


def situations() -> dict[str, str]:
    """Nothing is rotated, and nothing is kept."""
    app = application()
    client = app.test_client()
    with app.app_context():
        token = create_refresh_token("ann")

    def refresh() -> bool:
        return (
            client.post("/refresh", headers={"Authorization": f"Bearer {token}"}).status_code == HTTPStatus.OK
        )

    accepted = sum(refresh() for _ in range(AT_ONCE))
    sure(accepted == AT_ONCE, "a good token was refused")
    return {
        "race": f"{accepted} of {AT_ONCE} succeed; the refresh token stays",
        "step": in_step("", "", goes_on=True),
        "lost": again(token if refresh() else None, token),
        "spent": spent(accepted=refresh(), goes_on=True) + ": no token is ever spent",
        "out": f"{_after_sign_out(None)}; {_after_sign_out(set())} with a blocklist of your own",
        "rows": "0 more",
    }


def _after_sign_out(blocked: set[str] | None) -> str:
    app = application(blocked=blocked)
    with app.app_context():
        access = create_access_token("ann")
        if blocked is not None:
            blocked.add(get_jti(access))
    answer = app.test_client().get("/me", headers={"Authorization": f"Bearer {access}"})
    return out(accepted=answer.status_code == HTTPStatus.OK)


if __name__ == "__main__":
    tell(("flask", "flask-jwt-extended"), {"flask-jwt-extended": situations()})
