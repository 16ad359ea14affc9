"""A Flask application that a pre-forking server loads before it forks. It knows no test."""

from __future__ import annotations

import os

from flask import Flask, Response

from keyturn import KeyRing, Policy, TokenManager
from keyturn.flask import Keyturn, auth_required
from keyturn.stores.urls import store_from_url

manager = TokenManager(
    store=store_from_url(os.environ["STORE"]),
    keys=KeyRing.from_secret(os.environ["SECRET"]),
    policy=Policy(max_staleness="2s"),
    issuer="https://i",
    audience="api",
)
manager.start()  # in the parent: its thread and its connections are of no use to the children

app = Flask(__name__)
Keyturn(manager).init_app(app)


@app.get("/whoami")
@auth_required()
def whoami() -> str:
    """Need a token."""
    return "known"


@app.after_request
def name_the_process(response: Response) -> Response:
    """Say which worker has answered."""
    response.headers["X-Process"] = str(os.getpid())
    return response
