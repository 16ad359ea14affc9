"""What the driver's and the server's errors mean, each in a sentence. It knows no operation and no key.

No message holds an argument of a command, and none the URL that a store was opened with.
"""

from __future__ import annotations

from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  (its own name)
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,  # noqa: A004  (its own name)
)
from redis.sentinel import MasterNotFoundError

from keyturn.errors import StoreError, StoreUnavailable
from keyturn.stores._redis.rows import newer

WRONG_PASSWORD: Final = "wrong_password"  # noqa: S105  (a detail's name)
NO_PERMISSION: Final = "no_permission"
WRONG_MODE: Final = "wrong_mode"

# The first that fits decides: what is narrower comes first.
_BY_TYPE: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...]] = (
    (AuthenticationError, WRONG_PASSWORD, "Redis refuses the user name or the password: correct them."),
    (BusyLoadingError, "loading", "Redis is still loading its data."),
    (MaxConnectionsError, "pool_timeout", "All connections of the pool are busy."),
    (
        (MasterNotFoundError, AsyncMasterNotFoundError),
        "no_master",
        "No Sentinel names a master: are they running, and are hosts, password and the service's name right?",
    ),
    (
        NoPermissionError,
        NO_PERMISSION,
        "The user of the store may not do this in Redis: it needs +@read +@write +@scripting +info.",
    ),
    (ReadOnlyError, "read_only", "This Redis is a read-only replica: open its master."),
    (OutOfMemoryError, "out_of_memory", "Redis has no memory left: raise maxmemory, or remove something."),
    (ClusterDownError, "cluster_down", "The cluster is down: not all of its slots are served."),
    (
        MovedError,
        WRONG_MODE,
        "This is a node of a Redis Cluster: open it with redis+cluster:// instead of redis://.",
    ),
    (AskError, "moving", "The keys are moving to another node of the cluster."),
    (TimeoutError, "timeout", "Redis did not answer in time."),
    (OSError, "timeout", "Redis did not answer in time."),
    (ConnectionError, "unreachable", "Redis cannot be reached: is it running, and are host and port right?"),
)
# By the word that an error of the server begins with.
_BY_CODE: Final = {
    "MISCONF": ("misconf", "Redis accepts no writes because it cannot save its data: is the disk full?"),
    "NOREPLICAS": ("no_replicas", "Redis accepts no writes because too few replicas are connected."),
    "MASTERDOWN": ("no_master", "This Redis is a replica that has lost its master."),
    "BUSY": ("busy", "Redis is busy with a script that does not end."),
    "NOAUTH": (WRONG_PASSWORD, "Redis wants a password: give the store one."),
    "NOPERM": (NO_PERMISSION, "The user of the store may not do this in Redis."),
    "LOADING": ("loading", "Redis is still loading its data."),
    "READONLY": ("read_only", "This Redis is a read-only replica: open its master."),
    "OOM": ("out_of_memory", "Redis has no memory left: raise maxmemory, or remove something."),
    "CLUSTERDOWN": ("cluster_down", "The cluster is down: not all of its slots are served."),
}
_NO_DATABASE: Final = "There is no database of this number in Redis: correct the end of the URL."
_UNKNOWN: Final = "Redis cannot answer right now."


def meaning(error: BaseException) -> StoreError:
    """Give what to raise for an error of the driver, from it."""
    words = str(error)
    if "KEYTURNVERSION" in words:
        return newer()
    code = words.partition(" ")[0]
    if isinstance(error, ResponseError | ConnectionError) and code in _BY_CODE:
        detail, message = _BY_CODE[code]
        return StoreUnavailable(message, detail=detail)
    if isinstance(error, RedisClusterException):
        if "cluster mode is not enabled" in words.lower():
            return StoreUnavailable(NO_CLUSTER, detail=WRONG_MODE)
        # The driver could not ask any node for the others; it keeps the reason as the cause, or in words.
        return meaning(error.__cause__ or ConnectionError(words))
    if isinstance(error, ResponseError) and "DB index is out of range" in words:
        return StoreUnavailable(_NO_DATABASE, detail="no_database")
    for kind, detail, message in _BY_TYPE:
        if isinstance(error, kind):
            return StoreUnavailable(message, detail=detail)
    return StoreUnavailable(_UNKNOWN, detail=code.lower() if code.isupper() else type(error).__name__)


NO_CLUSTER: Final = "This Redis is no cluster: open it with redis:// instead of redis+cluster://."


def too_few_replicas(wanted: int, got: int) -> StoreUnavailable:
    """Return what to raise where a revocation is on too few replicas. Repeating it is safe."""
    return StoreUnavailable(
        f"The change was made, but only {got} of {wanted} replicas confirmed it in time: repeat it.",
        detail="too_few_replicas",
    )


def closed_bell() -> StoreUnavailable:
    """Return what to raise where somebody waits with a bell that was closed, or that another process has."""
    return StoreUnavailable("This bell was closed: make another.", detail="closed")


def busy() -> StoreUnavailable:
    """Return what to raise where no connection came free in time."""
    return StoreUnavailable("All connections of the pool are busy.", detail="pool_timeout")
