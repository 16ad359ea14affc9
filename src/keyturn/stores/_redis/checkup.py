"""What a server's settings mean for the sessions in it, in words. It knows no session.

INFO answers nearly all of it; where CONFIG may not be asked, what it would have told is not held against
the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores._redis.calls import NODES, Call, parsed_info
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.errors import NO_CLUSTER, NO_PERMISSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn.stores._redis.calls import Operation

OLDEST: Final = (7, 0)
_UNREAD: Final = (
    "The user of the store may not read the revocation log in Redis ({} on the key {}), so every check of an "
    "access token asks the store: allow it (+@read)."
)
_LOST: Final = "lost refreshes are made up for, lost revocations are not"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the store was opened as.

    Attributes:
        cluster: As a cluster.
        replicas: How many replicas a revocation waits for.
        impatient: Whether its connections have timeouts.
        log: The key of its revocation log.
    """

    cluster: bool
    replicas: int
    impatient: bool
    log: bytes


def examine(wanted: Wanted) -> Operation[tuple[str, ...]]:
    """Ask each server for what it is.

    Returns:
        What is unsafe, a sentence each.

    Raises:
        ConfigurationError: The store cannot work there at all.
    """
    found: dict[str, None] = {}  # in order, each once
    if not wanted.impatient:
        found[
            "The client has no socket_timeout: a server that does not answer holds its callers for ever."
        ] = None
    for node in (yield NODES):
        info = parsed_info((yield Call(None, (), ("INFO", "everything"), node)))
        _refuse(info, wanted)
        fsync = yield Call(None, (), ("CONFIG", "GET", "appendfsync"), node, optional=True)
        found |= dict.fromkeys(_warnings(info, _setting(fsync), wanted))
    for warning in (yield from _warnings_of_log(wanted.log)):
        found[warning] = None
    return tuple(found)


def _warnings_of_log(log: bytes) -> Operation[list[str]]:
    """Try what the revocation log needs, without changing it: nobody may ask for another one's rights."""
    name = log.decode()
    writes: tuple[tuple[Anything, ...], ...] = (
        ("XADD", log, "NOMKSTREAM", "0-0", "s", ""),  # no line may have this id
        ("XTRIM", log, "MINID", 0),
    )
    for words in writes:
        if (yield from _is_refused(Call(None, (log,), words))):
            raise ConfigurationError(
                "The user of the store may not write the revocation log in Redis, and so can end no session: "
                f"allow it {words[0]} on the key {name} (+@write and ~{name})."
            )
    reads: tuple[tuple[Anything, ...], ...] = (
        ("XRANGE", log, "-", "+", "COUNT", 1),
        ("XREVRANGE", log, "+", "-", "COUNT", 1),
        ("XREAD", "COUNT", 1, "STREAMS", log, "0"),
    )
    refused: list[str] = []
    for words in reads:
        refused += [words[0]] if (yield from _is_refused(Call(None, (log,), words))) else []
    return [_UNREAD.format(", ".join(refused), name)] if refused else []


def _is_refused(call: Call) -> Operation[bool]:
    try:
        yield call
    except StoreUnavailable as error:
        if error.detail == NO_PERMISSION:
            return True
        if error.detail != ResponseError.__name__:  # that no line may have this id says no word in capitals
            raise
    return False


def _setting(answer: list[bytes] | dict[bytes, bytes] | None) -> str:
    if not answer:
        return ""
    value = answer[b"appendfsync"] if isinstance(answer, dict) else answer[1]  # RESP 3 and 2
    return value.decode()


def _refuse(info: dict[str, str], wanted: Wanted) -> None:
    version = info.get("redis_version", "")
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < OLDEST:
        raise ConfigurationError(
            f"Keyturn needs Redis 7.0 or later, or Valkey; this server is Redis {version}."
        )
    if info.get("redis_mode") == "sentinel":
        raise ConfigurationError(
            "This is a Sentinel: open it as redis+sentinel://host:port/name-of-the-master/0."
        )
    if info.get("cluster_enabled") == "1" and not wanted.cluster:
        raise ConfigurationError(
            "This is a node of a Redis Cluster: open it as redis+cluster:// instead of redis://."
        )
    if info.get("cluster_enabled") == "0" and wanted.cluster:
        raise ConfigurationError(NO_CLUSTER)
    if info.get("role") == "slave":
        raise ConfigurationError("This Redis is a read-only replica: open its master.")


def _warnings(info: dict[str, str], fsync: str, wanted: Wanted) -> Iterator[str]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield (
            f"Redis may drop sessions and revocations when its memory is full (maxmemory-policy {policy}): "
            "set maxmemory-policy to noeviction."
        )
    if info.get("aof_enabled") == "0":
        yield (
            "Redis writes no append-only file: when it ends, what it acknowledged since its last snapshot is "
            f"lost; {_LOST}. Set appendonly yes and appendfsync always."
        )
    elif fsync == "everysec":
        yield (
            "Redis syncs its append-only file once a second: a power cut may take back what it acknowledged "
            f"in that second; {_LOST}. Set appendfsync always."
        )
    elif fsync == "no":
        yield (
            "Redis leaves it to the system when its append-only file is synced: a power cut may take back "
            f"what it acknowledged; {_LOST}. Set appendfsync always."
        )
    replicas = int(info.get("connected_slaves", "0"))
    if wanted.replicas > replicas:
        yield (
            f"Revocations wait for {wanted.replicas} replicas, and {replicas} are connected: they will be "
            "reported as unavailable until there are enough."
        )
    elif replicas and not wanted.replicas:
        yield (
            "Redis has replicas, and a fail-over to one may lose what was just acknowledged; "
            f"{_LOST}. Set wait_replicas (?wait_replicas=1 in the URL)."
        )
