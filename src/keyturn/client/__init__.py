"""Keyturn for callers: an `httpx.Auth` that refreshes its tokens, so that nobody writes a refresh loop.

```python
auth = KeyturnAuth("https://api.example.com/auth", store=FileTokens("tokens.json"))
auth.login("ann", password)
with httpx.Client(base_url="https://api.example.com", auth=auth) as client:
    client.get("/orders")
```

Why refreshes do not travel through the client that sends the requests: an auth flow of httpx cannot catch
an error of the network, so a refresh whose answer is lost could not be repeated; that client may follow a
redirect with the refresh token in the body, sends its cookies along, shows its hooks the tokens, and keeps
the answer in `response.history`. So refreshes go by a transport: `transport=` and `async_transport=` say
which, where it is not httpx's own. It knows no framework and no store of a server.
"""

from __future__ import annotations

try:
    # Asked for here, so that a missing extra names itself.
    import anyio  # noqa: F401  # pyright: ignore[reportUnusedImport]
    import filelock  # noqa: F401  # pyright: ignore[reportUnusedImport]
    import httpx  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    raise ImportError("keyturn.client needs its extra: pip install 'keyturn[client]'") from error

from keyturn.client.auth import KeyturnAuth
from keyturn.client.errors import (
    BodyNotReplayable,
    ClientError,
    LoginRefused,
    SignedOut,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from keyturn.client.stores import FileTokens, MemoryTokens, TokenStore
from keyturn.client.tokens import Tokens

__all__ = [
    "BodyNotReplayable",
    "ClientError",
    "FileTokens",
    "KeyturnAuth",
    "LoginRefused",
    "MemoryTokens",
    "SignedOut",
    "TemporarilyUnavailable",
    "TokenStore",
    "Tokens",
    "UnexpectedAnswer",
]
