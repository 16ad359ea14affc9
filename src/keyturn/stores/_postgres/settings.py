"""What a PostgreSQL URL and the options beside it mean for psycopg. They know no pool and no statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from keyturn.errors import ConfigurationError
from keyturn.stores._postgres.parameters import refuse_wrong
from keyturn.stores._sql.engines import check_answer_timeout

POOL_SIZE: Final = 10
BUSY_TIMEOUT: Final = 5.0
CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 10.0

_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
_LONGEST: Final = 86_400.0  # PostgreSQL counts milliseconds in 32 bits
_WORDS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a store connects, and how long it waits for what.

    Attributes:
        target: What the URL says, as libpq names it: it may hold a password.
        pool_size: Connections at most.
        busy_timeout: Seconds to wait for a free connection, and for another's lock.
        connect_timeout: Seconds to wait for a connection to be made.
        answer_timeout: Seconds to wait for an answer.
        prepared: Whether statements are prepared and the server's session keeps settings.
    """

    target: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    pool_size: int = POOL_SIZE
    busy_timeout: float = BUSY_TIMEOUT
    connect_timeout: float = CONNECT_TIMEOUT
    answer_timeout: float = ANSWER_TIMEOUT
    prepared: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not self.pool_size > 0:
            raise ConfigurationError("pool_size must be at least 1")
        for name in ("busy_timeout", "connect_timeout"):
            if not 0 < getattr(self, name) < _LONGEST:
                raise ConfigurationError(f"{name} must be seconds, more than 0 and less than a day")
        check_answer_timeout(self.answer_timeout)

    def with_url(self, url: str) -> Self:
        """Take in what a URL says; that counts more than the options beside it.

        Raises:
            ConfigurationError: It cannot be read. The message does not quote it: it may hold a password.
        """
        scheme, found, rest = url.partition("://")
        if not found or scheme not in _SCHEMES:
            raise ConfigurationError(
                "PostgresStore opens PostgreSQL databases: write postgresql://user@host/database"
            )
        place, _, query = rest.partition("?")
        given = [pair.partition("=") for pair in query.split("&") if pair]
        own = {name: value for name, _, value in given if name in {"prepared", "pool_size"}}
        theirs = "&".join(f"{name}={value}" for name, _, value in given if name not in own)
        try:
            target = conninfo_to_dict(f"postgresql://{place}?{theirs}")
        except (ProgrammingError, UnicodeError):
            raise ConfigurationError(
                "The PostgreSQL URL cannot be read: write postgresql://user:password@host:5432/database, "
                "with what is special in a user's name or password percent-encoded, "
                "and no parameters but libpq's, prepared and pool_size"
            ) from None
        refuse_wrong(target)
        return replace(self, target=target, **_own(own))

    def connecting(self) -> dict[str, Any]:
        """Return how to connect; what the URL says counts more."""
        given: dict[str, Any] = {
            "connect_timeout": max(1, round(self.connect_timeout)),
            # A network that has gone silent: libpq notices it by these.
            "tcp_user_timeout": round(self.answer_timeout * 1000),
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "application_name": "keyturn",
            "client_encoding": "UTF8",
            **self.target,
        }
        if "," in str(given.get("host", "")):
            given.setdefault(
                "target_session_attrs", "read-write"
            )  # after a failover, whichever is the primary
        return given

    def working(self) -> dict[str, Any]:
        """Return how the store's own connections are made."""
        given = self.connecting()
        if self.prepared:
            # A pooler between us and the server that shares sessions refuses such settings or mixes them up.
            given["options"] = f"{self._limits()} {given.get('options', '')}".rstrip()
        threshold = 0 if self.prepared else None
        return {**given, "autocommit": True, "prepare_threshold": threshold}

    def _limits(self) -> str:
        busy, answer = (
            f"{max(1, round(each * 1000))}ms" for each in (self.busy_timeout, self.answer_timeout)
        )
        limits = {
            "lock_timeout": busy,
            "statement_timeout": answer,
            "idle_in_transaction_session_timeout": answer,
            "default_transaction_isolation": r"read\ committed",
        }
        return " ".join(f"-c {name}={value}" for name, value in limits.items())


def _own(given: Mapping[str, str]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if "prepared" in given:
        if given["prepared"] not in _WORDS:
            raise ConfigurationError("prepared in the PostgreSQL URL must be true or false")
        own["prepared"] = _WORDS[given["prepared"]]
    if "pool_size" in given:
        if not (given["pool_size"].isascii() and given["pool_size"].isdigit()):
            raise ConfigurationError("pool_size in the PostgreSQL URL must be a number")
        own["pool_size"] = int(given["pool_size"])
    return own
