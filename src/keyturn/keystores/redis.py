"""Keys in Redis or Redis Cluster, such as that of the sessions. It knows no key.

What Redis does not write to its disk is gone after a restart, keys too: then everybody has to sign in again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Self

from keyturn.stores._redis import missing_extra

try:
    from keyturn.stores._redis import channels, checkup, clients
    from keyturn.stores._redis.calls import Call, always
    from keyturn.stores._redis.keys import key_of_ring
    from keyturn.stores._redis.opening import Settings, place_of, settings_of
    from keyturn.stores._redis.scripts import SWAP_RING
except ModuleNotFoundError as error:
    if (error.name or "").startswith("keyturn"):
        raise
    raise missing_extra(error) from error

from keyturn.keystores.protocol import Document
from keyturn.stores.urls import masked

if TYPE_CHECKING:
    from redis import Redis, RedisCluster

    from keyturn.stores._redis.calls import Operation
    from keyturn.stores._redis.channels import Channel
    from keyturn.stores._redis.opening import Checked

__all__ = ["RedisKeyStore"]

_LOG: Final = logging.getLogger("keyturn.keystores.redis")
_NOT_GIVEN: Final = (None, None, None, None, None, None)


class RedisKeyStore:
    """A key store in one key of Redis, which never expires."""

    def __init__(self, client: Redis | RedisCluster, *, prefix: str = "keyturn") -> None:
        """Use a client of the application's, which stays its own: see `RedisStore`.

        Args:
            client: The client. Give it a `socket_timeout`.
            prefix: What all keys begin with.

        Raises:
            ConfigurationError: The prefix is wrong.
        """
        settings = Settings(prefix).checked()
        channel = clients.adopt(client, settings)
        self._start(channel, settings, impatient=clients.has_timeouts(client), where="Redis")

    def _start(self, channel: Channel, settings: Checked, *, impatient: bool, where: str) -> None:
        self._channel = channel
        self._key = key_of_ring(settings.prefix)
        self._wanted = checkup.Wanted(channel.sharded, settings.wait_replicas, impatient, log=None)
        self._where = where

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Open a server, a cluster, or the master that Sentinel names.

        Args:
            url: As `RedisStore.from_url` takes it, with its `prefix` and `wait_replicas`.

        Returns:
            A store that owns its connections: `close()` closes them.

        Raises:
            ConfigurationError: The URL cannot be used.
        """
        place = place_of(url)
        settings = settings_of(place, _NOT_GIVEN)
        store = cls.__new__(cls)
        channel = clients.open_channel(place, settings)
        store._start(channel, settings, impatient=True, where=masked(url))  # noqa: SLF001  (its own)
        return store

    @property
    def where(self) -> str:
        """See `KeyStore.where`."""
        return self._where

    def prepare(self) -> None:
        """See `KeyStore.prepare`: it checks the server, and logs what is unsafe about its settings."""
        for warning in channels.run(self._channel, checkup.examine(self._wanted)):
            _LOG.warning("%s", warning)

    def read(self) -> Document | None:
        """See `KeyStore.read`."""
        return channels.run(self._channel, _read(self._key, self._where))

    def replace(self, data: bytes, /, *, version: str | None) -> bool:
        """See `KeyStore.replace`."""
        return channels.run(self._channel, _swap(self._key, version, Document.of(data)))

    def close(self) -> None:
        """See `KeyStore.close`. A client of the application's stays open."""
        self._channel.close()


def _read(key: bytes, where: str) -> Operation[Document | None]:
    found: Any = yield Call(None, (key,), ("HMGET", key, "document", "version"))
    data, version = found
    if data is None:
        return None
    return Document.kept(data, None if version is None else version.decode("utf-8", "replace"), where)


def _swap(key: bytes, version: str | None, new: Document) -> Operation[bool]:
    # Safe to send again: what this very call has written before counts as done.
    reply: Any = yield Call(SWAP_RING, (key,), (version or "", new.version, new.data), waits=always)
    return bool(reply)
