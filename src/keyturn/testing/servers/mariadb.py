"""A private MariaDB. It knows no store."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import ClassVar, Final

from keyturn.testing.servers.process import LocalServer
from keyturn.testing.servers.programs import find

_USER: Final = "keyturn"
_PACKAGE: Final = "mariadb-server"
# A commit is written before it is acknowledged, and the disk is told once a second. The character set is the
# one that distributions configure; MariaDB's own default until version 11.6 is latin1.
_DEFAULTS: Final = {
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-log-file-size": "32M",
    "max-connections": "300",
    "bind-address": "127.0.0.1",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
}


class MariaDBServer(LocalServer):
    """A MariaDB server; `options` are those of `mariadbd`, without the leading dashes."""

    _owner: ClassVar[str] = "mysql"

    @property
    def url(self) -> str:
        """The server, as a user that may do everything."""
        return self.database("mysql")

    def database(self, name: str) -> str:
        """Give the URL of one of its databases."""
        return f"mysql://{_USER}:{self.password}@127.0.0.1:{self.port}/{name}"

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self.query(f"CREATE DATABASE `{name}`")
        return self.database(name)

    def drop_database(self, url: str) -> None:
        """Remove a database."""
        self.query(f"DROP DATABASE IF EXISTS `{url.rpartition('/')[2]}`")

    def query(self, sql: str) -> str:
        """Run SQL with the server's own client.

        Returns:
            The rows as text, one per line, the columns separated by tabs.

        Raises:
            ServerFailed: The server refuses it.
        """
        return self._run(self._client(sql), env={"MYSQL_PWD": self.password})

    def _prepare(self) -> None:
        installer = str(find(["mariadb-install-db", "mysql_install_db"], what="MariaDB", package=_PACKAGE))
        settings = ("--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve")
        self._run([installer, "--no-defaults", f"--datadir={self.data}", *settings])

    def _command(self) -> Sequence[str]:
        who = f"'{_USER}'@'%'"
        first = self._write(
            "first.sql",
            f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {who} WITH GRANT OPTION;\n",
        )
        places = {
            "datadir": str(self.data),
            "port": str(self.port),
            "socket": str(self.folder / "socket"),
            "pid-file": str(self.folder / "pid"),
            "init-file": str(first),
        }
        flags = [f"--{name}={value}" for name, value in {**_DEFAULTS, **places, **self.options}.items()]
        return [self._server(), "--no-defaults", "--skip-name-resolve", *flags]

    def _answers(self) -> bool:
        return self._succeeds(self._client("SELECT 1"), env={"MYSQL_PWD": self.password})

    def _client(self, sql: str) -> list[str]:
        client = str(find(["mariadb", "mysql"], what="MariaDB's client", package="mariadb-client"))
        where = ("--host=127.0.0.1", f"--port={self.port}", f"--user={_USER}", "--connect-timeout=10")
        return [client, "--no-defaults", "--batch", "--skip-column-names", *where, f"--execute={sql}"]

    def _server(self) -> str:
        return str(find(["mariadbd"], what="MariaDB", package=_PACKAGE))
