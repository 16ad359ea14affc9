"""What the client raises. It knows no token and no request.

```
KeyturnError
└── ClientError                     the client could not do what was asked
    ├── SignedOut                   nobody is signed in, or the refresh token was refused: sign in again
    ├── LoginRefused                the user name or the password is wrong
    ├── TemporarilyUnavailable      the server cannot answer now; says nothing about any token
    ├── UnexpectedAnswer            what answered does not speak Keyturn's protocol; the tokens are kept
    └── BodyNotReplayable           the tokens are fresh now, but the request's body is gone: send it again
```

Where nothing answered at all, that is httpx's own error (`httpx.ConnectError`, `httpx.ReadTimeout`, …), and
the tokens are kept. A store that cannot be used is a `ConfigurationError`.
"""

from __future__ import annotations

from keyturn.errors import KeyturnError


class ClientError(KeyturnError):
    """The client could not do what was asked."""

    code = "client"


class SignedOut(ClientError):
    """Nobody is signed in any more; sign in again."""

    code = "signed_out"
    http_status = 401


class LoginRefused(ClientError):
    """The user name or the password is wrong."""

    code = "login_refused"
    http_status = 401


class TemporarilyUnavailable(ClientError):
    """The server cannot answer right now; try again.

    Attributes:
        retry_after: After how many seconds the server wants to be asked again; None: it did not say.
    """

    code = "temporarily_unavailable"
    http_status = 503

    def __init__(
        self, message: str | None = None, *, detail: str = "", retry_after: float | None = None
    ) -> None:
        """See `KeyturnError`, and the attribute."""
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class UnexpectedAnswer(ClientError):
    """The server's answer is none of Keyturn's."""

    code = "unexpected_answer"
    http_status = 502


class BodyNotReplayable(ClientError):
    """The request's body cannot be sent a second time. The tokens are fresh now: send the request again."""

    code = "body_not_replayable"
