"""A signing key that is out of reach is an outage over HTTP, and nothing else."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette

from keyturn.keys import KeyRing
from keyturn.manager import AsyncTokenManager
from keyturn.starlette import Keyturn
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.http_suite import check_password
from tests.http.starlette_app import serve
from tests.support.hsm import Hsm

LOGIN = {"username": "alice", "password": "correct horse battery staple", "transport": "body"}


def test_a_signer_that_is_out_is_503_and_ends_nothing() -> None:
    """Sign-in and refresh answer 503 with `Retry-After` and touch no cookie; access tokens still count."""
    hsm = Hsm()
    ring = KeyRing.from_signer(hsm, refresh_secret="a secret for refresh tokens, 32 bytes at least")
    manager: AsyncTokenManager = AsyncTokenManager(
        store=AsyncMemoryStore(), keys=ring, issuer="https://auth.example.com", audience="api"
    )
    app = Starlette(routes=Keyturn(manager, login=check_password).routes)
    with serve(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        tokens = client.post("/auth/login", json=LOGIN).json()
        body = {"refresh_token": tokens["refresh_token"]}
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        hsm.failure = TimeoutError("kms.internal.example: hunter2")
        for answer in (client.post("/auth/refresh", json=body), client.post("/auth/login", json=LOGIN)):
            assert answer.status_code == 503
            assert answer.json()["error"] == "temporarily_unavailable"
            assert int(answer.headers["retry-after"]) >= 1
            assert "set-cookie" not in answer.headers
            assert "hunter2" not in answer.text
        assert client.get("/auth/me", headers=bearer).status_code == 200
        hsm.failure = None
        again = client.post("/auth/refresh", json=body)
        assert again.status_code == 200, "the repetition goes on where the outage was"
        later = client.post("/auth/refresh", json={"refresh_token": again.json()["refresh_token"]})
        assert later.status_code == 200
