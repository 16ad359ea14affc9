"""Every error that Keyturn raises, in one tree. It knows no store, no framework and no token.

```
KeyturnError
├── ConfigurationError          wrong settings, a mistake in the program (a ValueError)
├── InvalidInput                a value given by the caller is not usable (a ValueError)    400
├── TokenError                  an answer about a token that a client sent
│   ├── AccessTokenError        not an acceptable access token                            401
│   └── RefreshError            not an acceptable refresh token
│       ├── InvalidToken        malformed, forged, unknown                                401
│       ├── InvalidProof        proof of possession missing or wrong                      401
│       ├── ExpiredToken        past the idle or the absolute limit of its session        401
│       ├── RevokedToken        its session was ended                                     401
│       ├── ReusedToken         spent before: the session has been ended for safety       401
│       └── RefreshConflict     a sibling refreshed first (only with on_race="conflict")  409
├── SessionLimitReached         max_sessions_per_user with on_session_limit="refuse"      403
├── UserInactive                raised by an application's load_claims: ends its sessions 401
└── StoreError
    ├── SchemaError             the store's schema is missing, too old or too new
    └── StoreUnavailable        the store cannot answer now; says nothing about any token 503
```

A class's docstring is its default message, so that message and documentation cannot differ. No message
ever holds a token, a claim or a computed signature. `code` is stable; `http_status` is a hint for
integrators; `detail` (for events, logs and tests, never for clients) says which rule refused.
"""

from __future__ import annotations

from typing import ClassVar


class KeyturnError(Exception):
    """Keyturn refused or could not do what was asked."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    detail: str

    def __init__(self, message: str | None = None, *, detail: str = "") -> None:
        """Take the class's docstring as the message unless a better one is given.

        Args:
            message: What a person is told. It must not hold anything secret.
            detail: A short machine-readable reason, for events and logs.
        """
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.detail = detail


class ConfigurationError(KeyturnError, ValueError):
    """The configuration is not usable."""

    code = "configuration"


class InvalidInput(KeyturnError, ValueError):
    """A value is not usable."""

    code = "invalid_input"
    http_status = 400


class TokenError(KeyturnError):
    """The token is not acceptable."""

    code = "invalid"
    http_status = 401


class AccessTokenError(TokenError):
    """The access token is not acceptable."""

    code = "invalid_token"


class RefreshError(TokenError):
    """The refresh token is not acceptable."""


class InvalidToken(RefreshError):
    """The refresh token is not valid."""

    code = "invalid"


class InvalidProof(RefreshError):
    """The proof of possession is missing or wrong."""

    code = "invalid_proof"


class ExpiredToken(RefreshError):
    """The session of this refresh token has expired."""

    code = "expired"


class RevokedToken(RefreshError):
    """The session of this refresh token was ended."""

    code = "revoked"


class ReusedToken(RefreshError):
    """The refresh token was used before; its session has been ended."""

    code = "reused"


class RefreshConflict(RefreshError):
    """Another request refreshed this session at the same time; try again.

    Only with `on_race="conflict"`; else it gets the same successor.
    """

    code = "conflict"
    http_status = 409


class SessionLimitReached(KeyturnError):
    """The user has as many sessions as are allowed."""

    code = "session_limit"
    http_status = 403


class UserInactive(KeyturnError):
    """The user may not sign in any more."""

    code = "user_inactive"
    http_status = 401


class StoreError(KeyturnError):
    """The store cannot be used."""

    code = "store"
    http_status = 503


class SchemaError(StoreError):
    """The store's schema is not the one that this version needs."""

    code = "schema"


class StoreUnavailable(StoreError):
    """The store cannot be reached right now; try again."""

    code = "unavailable"
