"""A private Redis (or Valkey), and a Sentinel that watches one. It knows no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from keyturn.testing.servers.process import LocalServer, ServerFailed
from keyturn.testing.servers.programs import find

_PACKAGE: Final = "redis-server"
_DEFAULTS: Final = {
    "bind": "127.0.0.1",
    "save": '""',
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "repl-diskless-sync-delay": "0",  # a replica need not wait for others that might come
}


class RedisServer(LocalServer):
    """A Redis server; `options` are those of `redis.conf`.

    As it starts by default it keeps nothing over a restart: `{"appendonly": "yes", "appendfsync": "always"}`
    makes it keep what it acknowledged.
    """

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def replication(self) -> dict[str, str]:
        """Give the options that make another server a replica of this one, with the same password."""
        secret = {"requirepass": self.password, "masterauth": self.password}
        return {"replicaof": f"127.0.0.1 {self.port}", **secret}

    def command(self, *words: str) -> str:
        """Send a command with the server's own client.

        Returns:
            The answer as text, one line per element.

        Raises:
            ServerFailed: The server refuses it, or does not answer.
        """
        answer = self._run([*self._client(), *words], env={"REDISCLI_AUTH": self.password}).strip()
        if answer.startswith(("ERR ", "NOAUTH", "LOADING", "READONLY", "MISCONF", "CLUSTERDOWN")):
            raise ServerFailed(f"{words[0]}: {answer}")
        return answer

    def empty(self) -> None:
        """Remove all keys, scripts and functions."""
        for words in (("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH")):
            self.command(*words)

    def _remembered_password(self) -> str:
        return self.options.get("requirepass") or super()._remembered_password()

    def _settings(self) -> dict[str, str]:
        secret = {"requirepass": self.password, "masterauth": self.password}
        return {**_DEFAULTS, **secret, "port": str(self.port), "dir": f'"{self.data}"', **self.options}

    def _prepare(self) -> None:
        self.data.mkdir()

    def _command(self) -> Sequence[str]:
        lines = (f"{name} {value}\n" for name, value in self._settings().items())
        return [_server(), str(self._write("redis.conf", "".join(lines)))]

    def _answers(self) -> bool:
        try:
            return self.command("PING") == "PONG"
        except ServerFailed:
            return False

    def _client(self) -> list[str]:
        client = find(["redis-cli", "valkey-cli"], what="Redis's client", package="redis-tools")
        return [str(client), "-h", "127.0.0.1", "-p", str(self.port)]


class RedisSentinel(RedisServer):
    """A Sentinel that watches a server and promotes a replica of it where it does not answer."""

    service: Final = "keyturn"

    def __init__(
        self,
        watched: RedisServer,
        folder: Path | None = None,
        options: Mapping[str, str] = {},
        *,
        port: int | None = None,
    ) -> None:
        """Prepare; see `LocalServer`.

        Args:
            watched: The primary. Its replicas must have its password.
            folder: See `LocalServer`.
            options: Those of `sentinel.conf`.
            port: See `LocalServer`.
        """
        self._watched = watched
        super().__init__(folder, options, port=port)

    @property
    def url(self) -> str:
        """The watched server as it is found through this Sentinel."""
        service = f"{self.service}/0"
        return f"redis+sentinel://:{self._watched.password}@127.0.0.1:{self.port}/{service}"

    def empty(self) -> None:
        """A Sentinel keeps nothing that a test could leave behind."""

    def _command(self) -> Sequence[str]:
        watched = f"{self.service} 127.0.0.1 {self._watched.port}"
        lines = [
            f"port {self.port}\nbind 127.0.0.1\ndir {self.data}\n",
            f"sentinel monitor {watched} 1\n",
            f"sentinel auth-pass {self.service} {self._watched.password}\n",
            f"sentinel down-after-milliseconds {self.service} 500\n",
            f"sentinel failover-timeout {self.service} 5000\n",
            *(f"{name} {value}\n" for name, value in self.options.items()),
        ]
        path = self.folder / "sentinel.conf"
        if not path.exists():  # it rewrites the file with what it has learnt
            self._write(path.name, "".join(lines))
        return [_server(), str(path), "--sentinel"]


def _server() -> str:
    return str(find(["redis-server", "valkey-server"], what="Redis", package=_PACKAGE))
