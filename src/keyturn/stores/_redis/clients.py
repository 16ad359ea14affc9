"""Clients of the driver: made from a place, or taken from the application, and put behind a channel.

They know no operation.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from redis import Redis, RedisCluster
from redis import cluster as driver_cluster
from redis import sentinel as driver_sentinel
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio import cluster as driver_async_cluster
from redis.asyncio import sentinel as driver_async_sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from keyturn.errors import ConfigurationError
from keyturn.stores._redis.async_channels import AsyncClusterChannel, AsyncServerChannel
from keyturn.stores._redis.channels import ClusterChannel, ServerChannel, Waiting
from keyturn.stores._redis.driver import Anything

if TYPE_CHECKING:
    from keyturn.stores._redis.async_channels import AsyncChannel
    from keyturn.stores._redis.channels import Channel
    from keyturn.stores._redis.driver import AsyncCluster, AsyncPool, Cluster, Pool
    from keyturn.stores._redis.opening import Checked, Place

NO_RETRY: Final = 0
UNBOUND: Final = 2**31  # connections that the driver's pool allows: the channel has its own bound

# The driver's constructors are only half typed; what is used of what they make is in `driver.py`.
_NODE: Final[Anything] = driver_cluster.ClusterNode
_ASYNC_NODE: Final[Anything] = driver_async_cluster.ClusterNode
_SENTINEL: Final[Anything] = driver_sentinel.Sentinel
_ASYNC_SENTINEL: Final[Anything] = driver_async_sentinel.Sentinel
_SERVER: Final[Anything] = Redis
_ASYNC_SERVER: Final[Anything] = AsyncRedis
_CLUSTER: Final[Anything] = RedisCluster
_ASYNC_CLUSTER: Final[Anything] = AsyncRedisCluster


def open_channel(place: Place, settings: Checked) -> Channel:
    """Open a channel for threads. Nothing is sent yet."""
    waiting = Waiting(settings.wait_replicas, settings.wait_timeout)
    own, patience = settings.pool_size, settings.timeout
    driver = _driver(place, settings) | {"retry": Retry(NoBackoff(), NO_RETRY), "socket_timeout": patience}
    if place.kind == "cluster":
        nodes = [_NODE(host, port) for host, port in place.hosts]
        client = partial(_CLUSTER, startup_nodes=nodes, max_connections=own, **driver)
        return ClusterChannel(client, waiting, own=own, patience=patience)
    beside: list[Anything] = []
    try:
        if place.kind == "sentinel":
            watching = {**_times(settings), **place.sentinel, "socket_timeout": patience}
            sentinel = _SENTINEL(place.hosts, sentinel_kwargs=watching, **driver)
            master = sentinel.master_for(place.service, redis_class=Redis, max_connections=UNBOUND)
            pool = master.connection_pool
            beside = sentinel.sentinels
        else:
            pool = _SERVER(**_address(place), max_connections=UNBOUND, **driver).connection_pool
    except (RedisError, TypeError, ValueError, OSError) as error:
        raise _unusable() from error
    return ServerChannel(pool, waiting, own=own, patience=patience, beside=beside)


def open_async_channel(place: Place, settings: Checked) -> AsyncChannel:
    """Open a channel for asyncio: see `open_channel`."""
    waiting = Waiting(settings.wait_replicas, settings.wait_timeout)
    own, patience = settings.pool_size, settings.timeout
    driver = _driver(place, settings) | {"retry": AsyncRetry(NoBackoff(), NO_RETRY)}
    beside: list[Anything] = []
    try:
        if place.kind == "cluster":
            options = driver | {"max_connections": own, "socket_timeout": patience}
            opened = partial(_async_cluster, place, options)
            return AsyncClusterChannel(opened, waiting, own=own, patience=patience)
        driver["socket_timeout"] = None  # the channel has one timer for the whole call
        if place.kind == "sentinel":
            watching = {**_times(settings), **place.sentinel, "socket_timeout": patience}
            sentinel = _ASYNC_SENTINEL(place.hosts, sentinel_kwargs=watching, **driver)
            pool = sentinel.master_for(place.service, redis_class=AsyncRedis).connection_pool
            beside = sentinel.sentinels
        else:
            pool = _ASYNC_SERVER(**_address(place), **driver).connection_pool
    except (RedisError, TypeError, ValueError, OSError) as error:
        raise _unusable() from error
    return AsyncServerChannel(pool, waiting, own=own, patience=patience, beside=beside)


def adopt(client: Redis | RedisCluster, settings: Checked) -> Channel:
    """Put a client of the application's behind a channel."""
    waiting = Waiting(settings.wait_replicas, settings.wait_timeout)
    if isinstance(client, RedisCluster):
        return ClusterChannel(lambda: cast("Cluster", client), waiting, own=None, patience=settings.timeout)
    return ServerChannel(cast("Pool", client.connection_pool), waiting, own=None, patience=settings.timeout)


def adopt_async(client: AsyncRedis | AsyncRedisCluster, settings: Checked) -> AsyncChannel:
    """Put an asynchronous client of the application's behind a channel."""
    waiting = Waiting(settings.wait_replicas, settings.wait_timeout)
    if isinstance(client, AsyncRedisCluster):
        adopted = cast("AsyncCluster", client)
        return AsyncClusterChannel(lambda: adopted, waiting, own=None, patience=settings.timeout)
    return AsyncServerChannel(
        cast("AsyncPool", client.connection_pool), waiting, own=None, patience=settings.timeout
    )


def has_timeouts(client: Anything) -> bool:
    """Tell whether a client of the application's gives up on a server that does not answer."""
    holders = ("connection_pool", "nodes_manager")
    holder = next((getattr(client, name) for name in holders if hasattr(client, name)), client)
    return holder.connection_kwargs.get("socket_timeout") is not None


def _async_cluster(place: Place, options: dict[str, Anything]) -> AsyncCluster:
    # The nodes hold connections, so each client has its own.
    client: AsyncCluster = _ASYNC_CLUSTER(
        startup_nodes=[_ASYNC_NODE(host, port) for host, port in place.hosts], **options
    )
    return client


def _address(place: Place) -> dict[str, Anything]:
    if not place.hosts:
        return {}
    host, port = place.hosts[0]
    return {"host": host, "port": port}


def _times(settings: Checked) -> dict[str, Anything]:
    return {"socket_connect_timeout": settings.timeout, "socket_keepalive": True}


def _driver(place: Place, settings: Checked) -> dict[str, Anything]:
    # RESP 2: answers are the same, and the server sends nothing by itself.
    return {**_times(settings), "protocol": 2, "decode_responses": False, **place.driver}


def _unusable() -> ConfigurationError:
    return ConfigurationError("The driver refuses the URL of Redis: is a TLS file or an address wrong?")
