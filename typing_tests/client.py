"""What a type checker must infer of the client. Not meant to be run."""

from __future__ import annotations

from typing import assert_type

import httpx

from keyturn.client import FileTokens, KeyturnAuth, MemoryTokens, TemporarilyUnavailable, Tokens, TokenStore
from keyturn.client.keyring import KeyringTokens

stores: list[TokenStore] = [MemoryTokens(), FileTokens("tokens.json"), KeyringTokens("orders", "ann")]
assert_type(stores[0].load(), Tokens | None)
assert_type(stores[0].try_lock(), bool)

auth = KeyturnAuth(
    "https://api.example.com/auth", store=stores[0], refresh_before="1m", origins=["https://a.b"]
)
assert_type(auth.login("ann", "x"), None)
assert_type(TemporarilyUnavailable().retry_after, float | None)

with httpx.Client(auth=auth) as client:
    assert_type(client.get("/orders"), httpx.Response)
    assert_type(client.get("/orders", auth=auth), httpx.Response)


async def twins() -> None:
    """The asynchronous twins infer alike."""
    assert_type(await auth.login_async("ann", "x"), None)
    async with httpx.AsyncClient(auth=auth) as client:
        assert_type(await client.get("/orders"), httpx.Response)
