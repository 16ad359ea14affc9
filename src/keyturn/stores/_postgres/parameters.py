"""Parameters of libpq that are words or numbers, looked at before they are used. It knows no connection.

libpq itself finds them wrong when it connects, and that would look like a server that is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
}
_NUMBERS: Final = (
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
)
_DIGITS: Final = 9  # libpq counts in 32 bits
_LAST_PORT: Final = 65_535


def refuse_wrong(given: Mapping[str, Any]) -> None:
    """Refuse parameters that libpq would refuse when it connects.

    Raises:
        ConfigurationError: Names the parameter; its value is not quoted.
    """
    for name, words in _WORDS.items():
        if str(given.get(name, words[0])) not in words:
            raise ConfigurationError(f"{name} in the PostgreSQL URL must be one of: {', '.join(words)}")
    for name in _NUMBERS:
        if not _is_number(str(given.get(name, 0))):
            raise ConfigurationError(f"{name} in the PostgreSQL URL must be a number")
    for port in str(given.get("port", "")).split(","):  # one for each host; none for the usual one
        if port and not (_is_number(port) and 0 < int(port) <= _LAST_PORT):
            raise ConfigurationError("port in the PostgreSQL URL must be a number from 1 to 65535")


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _DIGITS
