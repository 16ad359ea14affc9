"""How calls travel, for threads: over connections of a single server, or through a cluster's client.

They know no operation. Two things are different from the driver's own `execute_command`: a call is sent again
only where that is safe, and connections of our own stay checked out between calls, which halves the work.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from redis.exceptions import (
    ConnectionError,  # noqa: A004  (its own name)
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from keyturn.errors import StoreError, StoreUnavailable
from keyturn.forks import in_forked_children
from keyturn.stores._redis.calls import Call
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.errors import busy, meaning, too_few_replicas
from keyturn.stores._redis.spares import spare_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyturn.stores._redis.calls import AskNodes, Operation
    from keyturn.stores._redis.driver import Cluster, Connection, Pool

T = TypeVar("T")

FAILURES: Final = (RedisError, RedisClusterException, OSError)
RAISED: Final = (*FAILURES, StoreUnavailable)
_MARK_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a revocation waits for before it counts.

    Attributes:
        replicas: How many must have it; 0: none.
        milliseconds: How long to wait for them.
    """

    replicas: int
    milliseconds: int

    def mark(self, call: Call) -> tuple[Anything, ...]:
        """Give a write beside what was written before.

        WAIT counts the replicas that have the last write of its own connection: so this one must have one,
        also where the change itself was made earlier, over another.
        """
        key = call.keys[0]
        return ("SET", key[: key.index(b"}") + 1] + b":w", b"", "PX", _MARK_MS)

    def command(self) -> tuple[Anything, ...]:
        """Give the command that waits."""
        return ("WAIT", self.replicas, self.milliseconds)

    def judge(self, call: Call, confirmed: int) -> None:
        """Raise `StoreUnavailable` where too few confirmed, and the call insists."""
        if call.insists and confirmed < self.replicas:
            raise too_few_replicas(self.replicas, confirmed)


@dataclass(frozen=True, slots=True)
class Alone:
    """The one server where there is no cluster, as a node."""

    name: str = "alone"


ALONE: Final = (Alone(),)


class Channel(Protocol):
    """What carries calls.

    Attributes:
        sharded: The keys of one call must be of one slot.
        spares: It can make connections besides its own.
    """

    sharded: bool
    spares: bool

    def ask(self, call: Call) -> Anything:
        """Carry one call, and give its answer."""
        ...

    def nodes(self) -> list[Anything]:
        """Give the servers that hold keys, each with a `name`, in a stable order."""
        ...

    def spare(self, key: bytes, /) -> Connection:
        """Make a connection to the server of a key that is the caller's alone. It is not open yet."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


def run(channel: Channel, operation: Operation[T]) -> T:
    """Drive an operation.

    Raises:
        StoreUnavailable: Redis cannot answer.
    """
    try:
        request = next(operation)
        while True:
            reply, failure = None, None
            try:
                reply = channel.ask(request) if isinstance(request, Call) else channel.nodes()
            except RAISED as error:
                failure = judge(request, error)
            request = operation.send(reply) if failure is None else operation.throw(failure)
    except StopIteration as end:
        result: T = end.value
        return result


def judge(request: Call | AskNodes, error: Exception) -> StoreError | None:
    """Give what a failure means; None where the call takes it for the answer None."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, ResponseError) and isinstance(request, Call) and request.optional:
        return None
    failure = meaning(error)
    failure.__cause__ = error
    return failure


class ServerChannel:
    """Calls to one server: a standalone one, or the master that Sentinel names."""

    sharded = False

    def __init__(
        self,
        pool: Pool,
        waiting: Waiting,
        *,
        own: int | None,
        patience: float,
        beside: Sequence[Anything] = (),
    ) -> None:
        """Use a pool of the driver's.

        Args:
            pool: The pool.
            waiting: What revocations wait for.
            own: How many of its connections may be kept between calls, because the pool is the store's own;
                None: it is the application's, and each connection goes back at once.
            patience: Seconds to wait for one of our own.
            beside: Clients to close with the pool: those that ask the Sentinels.
        """
        self._pool = pool
        self.spares = hasattr(pool, "connection_class")  # the application's may be of any kind
        self._beside = beside
        self._waiting = waiting
        self._own = own
        self._patience = patience
        self._closed = False
        self._start()
        in_forked_children(self, ServerChannel._start)

    def _start(self) -> None:
        # In a forked child, too: the connections are the parent's.
        self._free: deque[Connection] = deque()
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._own or 0):
            self._permits.put(None)

    def nodes(self) -> list[Anything]:
        """See `Channel.nodes`."""
        return list(ALONE)

    def ask(self, call: Call) -> Anything:
        """See `Channel.ask`."""
        if self._own is None:
            connection = self._pool.get_connection()
            try:
                return self._answer(connection, call)
            finally:
                self._pool.release(connection)
        try:
            self._permits.get(timeout=self._patience)
        except Empty:
            raise busy() from None
        try:
            try:
                connection = self._free.pop()
            except IndexError:
                connection = self._pool.make_connection()
            try:
                if not call.repeatable:
                    _refresh(connection)
                return self._answer(connection, call)
            finally:
                self._free.append(connection)
                if self._closed:  # while this call was on its way
                    self._disconnect()
        finally:
            self._permits.put(None)

    def _answer(self, connection: Connection, call: Call) -> Anything:
        try:
            reply = _exchange(connection, call)
        except ReadOnlyError:
            reply = _exchange(connection, call)  # nothing was done, and its name may lead elsewhere now
        except ConnectionError as error:
            # Lost while it lay idle, or on the way. Wrong passwords and the like have types of their own.
            if not call.repeatable or type(error) is not ConnectionError:
                raise
            reply = call.again(_exchange(connection, call))
        if self._waiting.replicas and call.waits(reply):
            _send(connection, self._waiting.mark(call))
            self._waiting.judge(call, _send(connection, self._waiting.command()))
        return reply

    def spare(self, _: bytes, /) -> Connection:
        """See `Channel.spare`."""
        return spare_of(self._pool, socket_timeout=self._patience)

    def close(self) -> None:
        """See `Channel.close`."""
        self._closed = True
        self._disconnect()
        if self._own is not None:
            self._pool.disconnect()
        for client in self._beside:
            client.close()

    def _disconnect(self) -> None:
        with suppress(IndexError):  # several threads may do this at once
            while True:
                self._free.pop().disconnect()


class ClusterChannel:
    """Calls to a cluster: the driver knows which node has which slot, and follows MOVED and ASK."""

    sharded = True
    spares = True

    def __init__(
        self, opened: Callable[[], Cluster], waiting: Waiting, *, own: int | None, patience: float
    ) -> None:
        """Use a client of the driver's: see `ServerChannel`.

        Args:
            opened: Gives the client. One of our own is made when it is first needed, because making it asks
                the cluster for its nodes.
            waiting: See `ServerChannel`.
            own: See `ServerChannel`.
            patience: See `ServerChannel`.
        """
        self._opened = opened
        self._known: Cluster | None = None
        self._waiting = waiting
        self._own = own
        self._patience = patience
        self._start()
        in_forked_children(self, ClusterChannel._start)

    def _start(self) -> None:
        self._opening = Lock()
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._own or 0):
            self._permits.put(None)

    @property
    def _client(self) -> Cluster:
        known = self._known
        if known is None:
            if not self._opening.acquire(timeout=self._patience):
                raise busy()
            try:
                known = self._known = self._known or self._opened()
            finally:
                self._opening.release()
        return known

    def nodes(self) -> list[Anything]:
        """See `Channel.nodes`."""
        return sorted(self._client.get_primaries(), key=lambda node: node.name)

    def ask(self, call: Call) -> Anything:
        """See `Channel.ask`."""
        if self._own is None:
            return self._answer(call)
        try:
            self._permits.get(timeout=self._patience)
        except Empty:
            raise busy() from None
        try:
            return self._answer(call)
        finally:
            self._permits.put(None)

    def _answer(self, call: Call) -> Anything:
        try:
            reply = self._exchange(call)
        except ConnectionError as error:
            if not call.repeatable or type(error) is not ConnectionError:
                raise
            reply = call.again(self._exchange(call))  # the driver knows the cluster's nodes anew
        if self._waiting.replicas and call.waits(reply):
            pipeline = self._node_of(call).redis_connection.pipeline(transaction=False)
            pipeline.execute_command(*self._waiting.mark(call))
            pipeline.execute_command(*self._waiting.command())
            self._waiting.judge(call, pipeline.execute()[-1])
        return reply

    def _exchange(self, call: Call) -> Anything:
        try:
            return self._send(call, call.command())
        except NoScriptError:
            return self._send(call, call.in_full())

    def _send(self, call: Call, command: tuple[Anything, ...]) -> Anything:
        # With a node named, the driver follows redirections but sends nothing again by itself.
        return self._client.execute_command(*command, target_nodes=self._node_of(call), NEVER_DECODE=[])

    def _node_of(self, call: Call) -> Anything:
        return self._client.get_node_from_key(call.keys[0]) if call.node is None else call.node

    def spare(self, key: bytes, /) -> Connection:
        """See `Channel.spare`."""
        client = self._client
        server = client.get_redis_connection(client.get_node_from_key(key))
        return spare_of(server.connection_pool, socket_timeout=self._patience)

    def close(self) -> None:
        """See `Channel.close`."""
        if self._own is not None and self._known is not None:
            self._known.close()


def _exchange(connection: Connection, call: Call) -> Anything:
    # Only `connect` asks a Sentinel where the master is now. Where the connection is open it does nothing,
    # but that would cost a tenth of the whole call.
    if getattr(connection, "_sock", None) is None:
        connection.connect()
    try:
        return _send(connection, call.command())
    except NoScriptError:
        return _send(connection, call.in_full())


def _send(connection: Connection, command: tuple[Anything, ...]) -> Anything:
    try:
        connection.send_command(*command)
        return connection.read_response(disable_decoding=True)
    except ReadOnlyError:
        connection.disconnect()  # a replica by now; else this connection would stay with it for good
        raise
    except ResponseError:
        raise  # an answer like any other
    except BaseException:
        connection.disconnect()  # whatever still comes over it belongs to nobody
        raise


def _refresh(connection: Connection) -> None:
    """Close a connection that was lost while it lay idle, before anything is sent: sending opens it again."""
    connection.connect()
    try:
        lost = connection.can_read()
    except FAILURES:
        lost = True
    if lost:
        connection.disconnect()
