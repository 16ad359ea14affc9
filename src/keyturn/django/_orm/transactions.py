"""Which connection an operation has, and in which transaction it runs. They know no operation.

An operation joins the transaction of whoever calls it: a new password and the end of the sessions then stand
or fall together. A refresh does not, because what it found out must not be taken back: a reuse ends its
session whatever happens afterwards.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, router
from django.db.transaction import atomic
from django.utils.connection import ConnectionDoesNotExist

from keyturn.django._orm.errors import translated
from keyturn.django.models import STRIPES, UserLock
from keyturn.errors import ConfigurationError
from keyturn.stores._sql.retries import tried

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

T = TypeVar("T")


def connection_for(model: type[Model], alias: str | None) -> BaseDatabaseWrapper:
    """Give this thread's connection for a model. Reads take the one for writes, too: a replica is behind.

    Args:
        model: The session model.
        alias: The database; None: the one that the routers name.

    Raises:
        ConfigurationError: There is no such database.
    """
    name = router.db_for_write(model) if alias is None else alias
    try:
        return connections[name]
    except ConnectionDoesNotExist as error:
        raise ConfigurationError(f"DATABASE: there is no {name!r} in the setting DATABASES") from error


def is_joined(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether there is a transaction of the application's; those of `TestCase` around tests are none.

    Raises:
        django.db.Error: The database cannot be reached.
    """
    if not connection.in_atomic_block:
        return not connection.get_autocommit()
    blocks: list[Any] = connection.atomic_blocks
    # As Django tells them apart, for `atomic(durable=True)`.
    return not all(getattr(block, "_from_testcase", False) for block in blocks)


def run(connection: BaseDatabaseWrapper, work: Callable[[], T], *, safe: bool) -> T:
    """Run an operation, and again where that is allowed: see `keyturn.stores._sql.retries`.

    Args:
        connection: Where.
        work: The operation.
        safe: Doing it twice is as good as once.
    """

    def once() -> T:
        with translated(connection):
            return work()

    with translated(connection):
        theirs = connection.in_atomic_block or not connection.get_autocommit()
    if theirs:
        return once()  # what was rolled back is more than this operation
    if connection.errors_occurred:
        # As Django does between two requests; a thread of somebody's own has no requests.
        with translated(connection):
            connection.close_if_unusable_or_obsolete()
    return tried(once, safe=safe)


@contextmanager
def aside(connection: BaseDatabaseWrapper) -> Generator[None]:
    """Do what is done off the critical path, in threads of our own: nobody else closes their connections.

    They live as long as those of requests do (`CONN_MAX_AGE`); one that a request has open stays open.
    """
    is_a_requests = connection.connection is not None and connection.settings_dict["CONN_MAX_AGE"] == 0
    try:
        yield
    finally:
        if not is_a_requests and not connection.in_atomic_block:
            with translated(connection):
                connection.close_if_unusable_or_obsolete()


def refuse_to_join(connection: BaseDatabaseWrapper) -> None:
    """Refuse a transaction of the application's.

    Raises:
        ConfigurationError: There is one.
    """
    if is_joined(connection):
        raise ConfigurationError(
            "A refresh must not be rolled back by what comes after it, so it cannot run inside atomic(): "
            "with ATOMIC_REQUESTS, put @transaction.non_atomic_requests on the view that refreshes"
        )


@contextmanager
def writing(connection: BaseDatabaseWrapper, *, durable: bool = False) -> Generator[None]:
    """Open a transaction that reads before it writes, or join the one that there is.

    Args:
        connection: Where.
        durable: Whether it must not join.
    """
    with _write_lock(connection), atomic(using=connection.alias, durable=durable):
        if connection.vendor == "sqlite" and connection.in_atomic_block and len(connection.atomic_blocks) > 1:
            _take_write_lock(connection)
        yield


def _write_lock(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    return _immediate(connection) if connection.vendor == "sqlite" else nullcontext()


@contextmanager
def _immediate(connection: Any) -> Generator[None]:  # noqa: ANN401  (SQLite's wrapper)
    """Let SQLite's transactions begin with the write lock.

    One that takes it later fails at once if somebody wrote since its first read, however long the timeout is.
    """
    connection.ensure_connection()  # which sets the mode
    configured = connection.transaction_mode
    connection.transaction_mode = "IMMEDIATE"
    try:
        yield
    finally:
        connection.transaction_mode = configured


def _take_write_lock(connection: BaseDatabaseWrapper) -> None:
    """Take SQLite's write lock in a transaction of the application's, which may have begun without it."""
    # No stripe has this number, and yet a field can hold it: Django sends no statement that cannot match.
    nobody = UserLock._base_manager.using(connection.alias).filter(stripe=STRIPES)  # noqa: SLF001  (as Django has it)
    nobody.update(stripe=STRIPES)
