"""Requests to the tiny project over WSGI and over ASGI, in this thread. It knows no test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from keyturn.django import get_async_manager

PASSWORD = "correct horse battery staple"
Protocol = Literal["wsgi", "asgi"]


def ask(
    over: Protocol,
    method: str,
    path: str,
    body: object = None,
    *,
    bearer: str | None = None,
    headers: Mapping[str, str] | None = None,
    client: Client | None = None,
) -> Any:
    """Send one request as a program does, and give the answer.

    Args:
        over: The protocol.
        method: The method.
        path: The path.
        body: Sent as JSON.
        bearer: The access token.
        headers: More headers.
        client: Asks over WSGI, with its cookies.
    """
    sent = {**({"Authorization": f"Bearer {bearer}"} if bearer else {}), **(headers or {})}
    content: dict[str, Any] = (
        {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    )
    if over == "wsgi":
        return (client or Client()).generic(method, path, headers=sent, **content)

    async def over_asgi() -> Any:
        try:
            return await AsyncClient().generic(method, path, headers=sent, **content)
        finally:
            await get_async_manager().flush()

    return async_to_sync(over_asgi)()


def log_in(over: Protocol, name: str, password: str = PASSWORD, **fields: object) -> Any:
    """Sign in at the endpoint, and give the answer."""
    return ask(
        over, "POST", "/auth/login", {"username": name, "password": password, "transport": "body", **fields}
    )


def token_of(over: Protocol, name: str) -> str:
    """Sign in, and give the access token."""
    answer = log_in(over, name)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])
