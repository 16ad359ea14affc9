"""Opening a store by its URL: the one table of schemes. It knows no engine, and loads only the named one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

from keyturn.errors import ConfigurationError
from keyturn.stores.protocol import AsyncStore, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "KINDS",
    "MEMORY",
    "AsyncOwnStore",
    "AsyncWarns",
    "Kind",
    "OwnStore",
    "Warns",
    "async_store_from_url",
    "kind_of",
    "masked",
    "store_from_url",
]

MEMORY: Final = "memory://"
"""The URL of a store that keeps nothing."""


class OwnStore(Store, Protocol):
    """A store of Keyturn's own: it can also make what it needs in its database."""

    def create_schema(self) -> None:
        """Make the tables, or check what the store needs. Safe when several processes start at once."""
        ...


class AsyncOwnStore(AsyncStore, Protocol):
    """`OwnStore` with `await`."""

    async def create_schema(self) -> None:
        """Make the tables, or check what the store needs. Safe when several processes start at once."""
        ...


@runtime_checkable
class Warns(Protocol):
    """What a store without tables is besides: its server's settings may lose what was acknowledged."""

    def warnings(self) -> Sequence[str]:
        """Check what `create_schema` checks, and say what is unsafe, a sentence each."""
        ...


@runtime_checkable
class AsyncWarns(Protocol):
    """`Warns` with `await`."""

    async def warnings(self) -> Sequence[str]:
        """Check what `create_schema` checks, and say what is unsafe, a sentence each."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of store.

    Attributes:
        name: Its name for people.
        schemes: How its URLs begin, before `://`; the first is the usual one.
        module: Where its classes are.
        store: Its class for threads.
        async_store: Its class for asyncio.
        extra: What brings its driver: `pip install 'keyturn[…]'`; empty for none.
        is_sql: Whether other tables, such as that of the server's users, can be beside the sessions.
        names_driver: Whether a scheme may name a driver after a plus sign.
    """

    name: str
    schemes: tuple[str, ...]
    module: str
    store: str
    async_store: str
    extra: str
    is_sql: bool = False
    names_driver: bool = False

    def takes(self, scheme: str) -> bool:
        """Tell whether a URL of this scheme is one of this kind."""
        return scheme in self.schemes or (self.names_driver and scheme.partition("+")[0] in self.schemes)


KINDS: Final = (
    Kind(
        "SQLite",
        ("sqlite",),
        "keyturn.stores.sqlalchemy",
        "SQLAlchemyStore",
        "AsyncSQLAlchemyStore",
        "sql",
        is_sql=True,
        names_driver=True,
    ),
    Kind(
        "PostgreSQL",
        ("postgresql", "postgresql+psycopg", "postgres"),
        "keyturn.stores.postgres",
        "PostgresStore",
        "AsyncPostgresStore",
        "postgres",
        is_sql=True,
    ),
    Kind(
        "MariaDB/MySQL",
        ("mysql", "mariadb"),
        "keyturn.stores.sqlalchemy",
        "SQLAlchemyStore",
        "AsyncSQLAlchemyStore",
        "mysql",
        is_sql=True,
        names_driver=True,
    ),
    Kind(
        "Redis",
        ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"),
        "keyturn.stores.redis",
        "RedisStore",
        "AsyncRedisStore",
        "redis",
    ),
    Kind("memory", ("memory",), "keyturn.stores.memory", "MemoryStore", "AsyncMemoryStore", ""),
)
"""Every kind of store that a URL can name."""

_ALIASES: Final = frozenset({"postgresql+psycopg", "postgres"})  # understood, and not advertised
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30})://", re.ASCII)
# Greedy on purpose: a user's name may hold an @, and a password whatever somebody forgot to quote.
_USERINFO: Final = re.compile(r"(://[^:]*:).*@", re.DOTALL)
_IN_QUERY: Final = re.compile(r"([?&][^=&]*(?:pass|pwd|secret)[^=&]*=)[^&]*", re.IGNORECASE)


def store_from_url(url: str, **options: Any) -> OwnStore:  # noqa: ANN401  (each store has options of its own)
    """Open a store for threads: the scheme of the URL says which.

    Args:
        url: For example `sqlite:///keyturn.db`, `postgresql://user@host/database`, `redis://host:6379/0`.
        options: As the store's own `from_url` takes them.

    Returns:
        A store that owns what it opened: `close()` gives it back.

    Raises:
        ConfigurationError: No store has such URLs, or the store refuses this one.
        ImportError: The store's driver is not installed; the message is the command that brings it.

    Examples:
        >>> store = store_from_url("memory://")
        >>> store.create_schema()
        >>> store.count()
        0
    """
    kind = kind_of(url)
    return cast("OwnStore", _opened(kind, kind.store, url, options))


def async_store_from_url(url: str, **options: Any) -> AsyncOwnStore:  # noqa: ANN401  (as above)
    """Open a store for asyncio: see `store_from_url`. It connects when it is first asked for something."""
    kind = kind_of(url)
    return cast("AsyncOwnStore", _opened(kind, kind.async_store, url, options))


def kind_of(url: str) -> Kind:
    """Give the kind of store that a URL names.

    Raises:
        ConfigurationError: None has such URLs. The message does not quote the URL: it may hold a password.
    """
    found = _SCHEME.match(url)
    if found is None:
        raise ConfigurationError(f"that is not the URL of a store, which begins with {_beginnings()}")
    scheme = found[1]
    for kind in KINDS:
        if kind.takes(scheme):
            if kind.schemes == ("memory",) and url != MEMORY:
                raise ConfigurationError(f"the store in memory has no places and no options: write {MEMORY}")
            return kind
    nearest = get_close_matches(scheme, _advertised(), n=1, cutoff=0.7)
    meant = f"; did you mean {nearest[0]}://?" if nearest else ""
    raise ConfigurationError(
        f"there is no store for {scheme}://{meant}; a store's URL begins with {_beginnings()}"
    )


def masked(url: str) -> str:
    """Give a URL without its passwords, to be shown.

    Examples:
        >>> masked("postgresql://keyturn:hunter2@db/keyturn?sslpassword=x")
        'postgresql://keyturn:***@db/keyturn?sslpassword=***'
        >>> masked("redis+sentinel://:p@ss/word@one:26379,two:26379/main/0")
        'redis+sentinel://:***@one:26379,two:26379/main/0'
        >>> masked("sqlite:///keyturn.db")
        'sqlite:///keyturn.db'
    """
    return _USERINFO.sub(r"\1***@", _IN_QUERY.sub(r"\1***", url))


def _advertised() -> list[str]:
    return [scheme for kind in KINDS for scheme in kind.schemes if scheme not in _ALIASES]


def _beginnings() -> str:
    *others, last = [f"{scheme}://" for scheme in _advertised()]
    return f"{', '.join(others)} or {last}"


def _opened(kind: Kind, name: str, url: str, options: dict[str, Any]) -> object:
    try:
        store: Any = getattr(import_module(kind.module), name)
        return store(**options) if url == MEMORY else store.from_url(url, **options)
    except ImportError as error:
        # A store's own message names the extra of what is missing: maybe a part of what this one needs.
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        name = (getattr(missing, "name", None) or "keyturn").partition(".")[0]
        if not kind.extra or name == "keyturn":
            raise  # not a driver's module: a mistake of ours
        raise ImportError(
            f"Sessions in {kind.name} need {name}: pip install 'keyturn[{kind.extra}]'"
        ) from error
