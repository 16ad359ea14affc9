"""A private PostgreSQL. It knows no store."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Sequence
from typing import ClassVar, Final

from keyturn.testing.servers.process import LocalServer
from keyturn.testing.servers.programs import find

_USER: Final = "keyturn"
_DEFAULTS: Final = {"fsync": "off", "max_connections": "300", "listen_addresses": "127.0.0.1"}


class PostgresServer(LocalServer):
    """A PostgreSQL server; `options` are those of `postgresql.conf`.

    It runs as the account `postgres` where we are root: PostgreSQL refuses to run as root.
    """

    _owner: ClassVar[str] = "postgres"
    _goodbye: ClassVar[signal.Signals] = signal.SIGINT  # "fast": it waits for no client to leave

    @property
    def url(self) -> str:
        """The database `postgres`, as the superuser."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """Give the URL of one of its databases."""
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/{name}"

    def new_database(self, *, template: str | None = None) -> str:
        """Make a database.

        Args:
            template: The name of a database to copy, for example one that has its tables already. Nobody may
                be connected to it. None: an empty one.

        Returns:
            Its URL.
        """
        name = f"test_{secrets.token_hex(6)}"
        self.query(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return self.database(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.query(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def query(self, sql: str) -> str:
        """Run SQL as the superuser in the database `postgres`, with the server's own client.

        Returns:
            The rows as text, one per line, the columns separated by `|`.

        Raises:
            ServerFailed: The server refuses it.
        """
        return self._run(self._psql(sql), env=self._login())

    def _prepare(self) -> None:
        secret = self.folder / "password"
        arguments = ("-U", _USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")
        self._run([self._program("initdb"), "-D", str(self.data), "-N", "--no-instructions", *arguments])

    def _command(self) -> Sequence[str]:
        settings = {**_DEFAULTS, "unix_socket_directories": "", "port": str(self.port), **self.options}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.data), *flags]

    def _answers(self) -> bool:
        return self._succeeds(self._psql("SELECT 1"), env=self._login())

    def _psql(self, sql: str) -> list[str]:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, "-d", "postgres")
        return [self._program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where, "-c", sql]

    def _login(self) -> dict[str, str]:
        return {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10"}

    def _program(self, name: str) -> str:
        # What belongs to the server is beside it, where a link on PATH points; Debian's `psql` on PATH is a
        # script that chooses among versions.
        return str(find(["postgres"], what="PostgreSQL", package="postgresql").resolve().with_name(name))
