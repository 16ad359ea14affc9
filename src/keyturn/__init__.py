"""Keyturn owns the refresh-token lifecycle: rotation, races, lost responses, theft, sessions, revocation.

It sits above JWT libraries and below applications. Start with `TokenManager` or `AsyncTokenManager`, a
`KeyRing`,
a store from `keyturn.stores`, and a `Policy`.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from keyturn.access import AccessVerifier
from keyturn.errors import (
    AccessTokenError,
    ConfigurationError,
    ExpiredToken,
    InvalidInput,
    InvalidProof,
    InvalidToken,
    KeyturnError,
    RefreshConflict,
    RefreshError,
    ReusedToken,
    RevokedToken,
    SchemaError,
    SessionLimitReached,
    StoreError,
    StoreUnavailable,
    TokenError,
    UserInactive,
)
from keyturn.events import (
    AuditLost,
    Denied,
    Issued,
    RefreshConverged,
    Refreshed,
    RefreshForged,
    RefreshRejected,
    ReuseDetected,
    Revoked,
    SessionExpired,
    SteppedUp,
    StoreRolledBack,
)
from keyturn.keys import KeyRing
from keyturn.keystores import SharedKeyRing
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.policy import FROM_POLICY, Policy
from keyturn.results import (
    KEEP_CLAIMS,
    AccessToken,
    HistoryEntry,
    Principal,
    RefreshTokenInfo,
    SessionInfo,
    TokenPair,
)

__version__ = _version("keyturn")

__all__ = [
    "AccessToken",
    "AccessTokenError",
    "AccessVerifier",
    "AsyncTokenManager",
    "AuditLost",
    "ConfigurationError",
    "Denied",
    "ExpiredToken",
    "FROM_POLICY",
    "HistoryEntry",
    "InvalidInput",
    "InvalidProof",
    "InvalidToken",
    "Issued",
    "KEEP_CLAIMS",
    "KeyRing",
    "KeyturnError",
    "Policy",
    "Principal",
    "RefreshConflict",
    "RefreshConverged",
    "RefreshError",
    "RefreshForged",
    "RefreshRejected",
    "RefreshTokenInfo",
    "Refreshed",
    "ReuseDetected",
    "ReusedToken",
    "Revoked",
    "RevokedToken",
    "SchemaError",
    "SessionExpired",
    "SessionInfo",
    "SessionLimitReached",
    "SharedKeyRing",
    "SteppedUp",
    "StoreError",
    "StoreRolledBack",
    "StoreUnavailable",
    "TokenError",
    "TokenManager",
    "TokenPair",
    "UserInactive",
    "__version__",
]
