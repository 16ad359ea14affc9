"""Sessions in a database of Django's, through its ORM, for threads and for asyncio. No decision is made here.

Each operation is in `keyturn.django._orm`, once. The store for asyncio runs those of the store for threads in
Django's own thread for such calls, because its ORM is no other there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from itertools import count
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async

from keyturn._core.decide import as_first_told, converges
from keyturn.django._orm import keeping
from keyturn.django._orm.operations import Operations
from keyturn.django._orm.transactions import aside, connection_for, is_joined, refuse_to_join, run
from keyturn.django.sessions import get_session_model
from keyturn.stores._sql.turns import Turns
from keyturn.stores.protocol import EVERY, PAGE

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.backends.base.base import BaseDatabaseWrapper

    from keyturn._core.records import Millis
    from keyturn.django.models import AbstractSession
    from keyturn.stores.protocol import (
        Check,
        CheckOutcome,
        Confirm,
        Create,
        CreateOutcome,
        Deny,
        Lookup,
        LookupOutcome,
        Purge,
        Revocation,
        Revoke,
        RevokeUser,
        Rotate,
        RotateOutcome,
        Session,
        TrailEntry,
        Where,
    )

PATIENCE: Final = 10.0  # seconds that a writer waits for its turn on SQLite

P = ParamSpec("P")
T = TypeVar("T")


class DjangoStore:
    """A store on Django's ORM, for threads and processes. It keeps the audit trail, too.

    Every operation joins the transaction that it is called in, but for `rotate`: inside `atomic()` that
    raises `ConfigurationError`, because what it found out must not be rolled back.
    """

    def __init__(self, *, using: str | None = None, model: type[AbstractSession] | None = None) -> None:
        """Open nothing yet: each thread has Django's connection.

        Args:
            using: The database's alias; None: the one that the routers name for writing sessions.
            model: The session model; None: that of the project.
        """
        self._using = using
        self._model = model or get_session_model()
        self._turns = Turns(PATIENCE)

    def connection(self) -> BaseDatabaseWrapper:
        """Give this thread's connection.

        Raises:
            ConfigurationError: There is no such database.
        """
        return connection_for(self._model, self._using)

    def alias_of_transaction(self) -> str | None:
        """Give the database's alias where this thread is in a transaction of the application's; else None."""
        connection = self.connection()
        return connection.alias if connection.in_atomic_block and is_joined(connection) else None

    def _read(self, work: Callable[[Operations], T]) -> T:
        connection = self.connection()
        return run(connection, partial(work, Operations(connection, self._model)), safe=True)

    def _write(self, work: Callable[[Operations], T], *, safe: bool = True) -> T:
        connection = self.connection()
        operation = partial(work, Operations(connection, self._model))
        # SQLite lets writers sleep and try again, and whoever has just written is first again. Inside a
        # transaction this thread may hold its lock already, and must not wait for those who wait for it.
        if connection.vendor != "sqlite" or connection.in_atomic_block:
            return run(connection, operation, safe=safe)

        def in_turn() -> T:
            with self._turns.turn():
                return operation()

        return run(connection, in_turn, safe=safe)

    def _write_aside(self, work: Callable[[Operations], T]) -> T:
        with aside(self.connection()):
            return self._write(work)

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._write(lambda on: on.create(command), safe=False)

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`.

        Raises:
            ConfigurationError: There is a transaction of the application's.
        """
        connection, tries = self.connection(), count()

        def rotate(on: Operations) -> RotateOutcome:
            refuse_to_join(connection)
            is_first = next(tries) == 0
            outcome = on.rotate(command)
            return outcome if is_first else as_first_told(command, outcome)

        return self._write(rotate, safe=converges(command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._read(lambda on: on.lookup(command))

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._read(lambda on: on.check(command))

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._write_aside(lambda on: on.confirm(command))

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._write(lambda on: on.revoke(command), safe=False)

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._write(lambda on: on.revoke_user(command), safe=False)

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._write(lambda on: on.deny(command))

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self._read(lambda on: keeping.find(on.sessions, where, limit))

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self._read(lambda on: keeping.count(on.sessions, where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._write(lambda on: keeping.delete(on.sessions, sids), safe=False)

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self._write(lambda on: keeping.purge(on.sessions, command), safe=False)

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self._write_aside(lambda on: keeping.note(on.sessions, entries))

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._read(lambda on: keeping.history(on.sessions, sid, after, limit))

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self._write(lambda on: keeping.forget(on.sessions, before, limit), safe=False)

    def close(self) -> None:
        """See `Store.close`: connections are Django's, and stay open."""


def _in_thread(
    method: Callable[Concatenate[DjangoStore, P], T],
) -> Callable[Concatenate[AsyncDjangoStore, P], CoroutineType[Any, Any, T]]:
    """Give an operation of the store for threads with `await`, in Django's thread for what is not."""

    @wraps(method)
    async def awaited(self: AsyncDjangoStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await sync_to_async(method, thread_sensitive=True)(self.plain, *args, **kwargs)

    # What `async def` makes, and mypy calls it by a wider name.
    return cast("Callable[..., Any]", awaited)


class AsyncDjangoStore:
    """A store on Django's ORM, for asyncio: `DjangoStore` with `await`.

    An operation that has begun runs to its end, also where the task that asked for it is cancelled: no
    cancellation reaches a thread.

    Attributes:
        plain: The store for threads that does the work.
    """

    def __init__(self, *, using: str | None = None, model: type[AbstractSession] | None = None) -> None:
        """Open nothing yet: see `DjangoStore`."""
        self.plain = DjangoStore(using=using, model=model)

    create = _in_thread(DjangoStore.create)
    rotate = _in_thread(DjangoStore.rotate)
    lookup = _in_thread(DjangoStore.lookup)
    check = _in_thread(DjangoStore.check)
    confirm = _in_thread(DjangoStore.confirm)
    revoke = _in_thread(DjangoStore.revoke)
    revoke_user = _in_thread(DjangoStore.revoke_user)
    deny = _in_thread(DjangoStore.deny)
    find = _in_thread(DjangoStore.find)
    count = _in_thread(DjangoStore.count)
    delete = _in_thread(DjangoStore.delete)
    purge = _in_thread(DjangoStore.purge)
    note = _in_thread(DjangoStore.note)
    history = _in_thread(DjangoStore.history)
    forget = _in_thread(DjangoStore.forget)
    close = _in_thread(DjangoStore.close)
