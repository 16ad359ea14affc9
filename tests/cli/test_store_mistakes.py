"""What can be wrong with a store: each is one sentence and a status, for the server and for every command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from keyturn.cli.root import keyturn
from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisServer
from keyturn.testing.servers.programs import free_port
from tests.support.databases import started
from tests.support.keyturn_server import COMMAND

ENGINES = ["postgres", "mariadb", "redis", "redis_cluster"]
SECRET = "hunter2hunter2"


def url_of(request: pytest.FixtureRequest, engine: str) -> str:
    """Give the URL of an engine's empty store."""
    url: str = request.getfixturevalue(f"{engine}_url")
    return url


def with_password(url: str, password: str) -> str:
    """Put another password into a URL."""
    return re.sub(r":[^:/@]*@", f":{password}@", url, count=1)


def with_database(url: str, name: str) -> str:
    """Put another database into a URL."""
    return f"{url.rpartition('/')[0]}/{name}"


def run(*arguments: str, stdin: str = "") -> str:
    """Run a command that must fail in one sentence with status 1, and give the sentence."""
    result = CliRunner().invoke(keyturn, list(arguments), input=stdin)
    assert result.exit_code == 1, f"{result.output}\n{result.exception!r}"
    return sentence(result.output)


def serve(*flags: str) -> str:
    """Start a server that must refuse to start, and give the sentence."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", str(free_port()), *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    return sentence(done.stderr)


def sentence(output: str) -> str:
    """Check that an output is one line, without a traceback and a password."""
    assert output.startswith("Error: "), output
    assert output.count("\n") == 1, output
    assert SECRET not in output
    return output


def everywhere(url: str, *, users: bool = False) -> list[str]:
    """Give what the server and the commands say about a store that cannot be used."""
    where = ("--store", url)
    said = [
        run("sessions", "list", *where),
        run("sessions", "revoke", "01a1fc82-ef44-799c-9103-c609711cebf7", "--yes", *where),
        run("purge", "--yes", *where),
        run("db", "upgrade", *where),
        run("db", "current", *where),
        serve(*where),
    ]
    if users:
        said += [
            run("users", "list", *where),
            run("users", "add", "alice", "--password-stdin", *where, stdin="correct horse\n"),
        ]
    return said


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_password(request: pytest.FixtureRequest, empty_folder: Path, engine: str) -> None:
    """The sentence says that the store refused the name or the password, and shows neither."""
    url = with_password(url_of(request, engine), SECRET)
    for said in everywhere(url, users="redis" not in engine):
        assert "password" in said, said


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_cannot_be_reached(empty_folder: Path, engine: str) -> None:
    """Nobody listens: the sentence says so."""
    schemes = {
        "postgres": "postgresql",
        "mariadb": "mysql",
        "redis": "redis",
        "redis_cluster": "redis+cluster",
    }
    url = f"{schemes[engine]}://keyturn:{SECRET}@127.0.0.1:{free_port()}"
    for said in everywhere(url if "redis" in engine else f"{url}/keyturn", users="redis" not in engine):
        assert "reach" in said, said


@pytest.mark.parametrize("engine", ["postgres", "mariadb", "redis"])
def test_a_database_that_is_not_there(
    request: pytest.FixtureRequest, empty_folder: Path, engine: str
) -> None:
    """The sentence says that it is missing."""
    url = with_database(url_of(request, engine), "99" if engine == "redis" else "not_there")
    for said in everywhere(url, users=engine != "redis"):
        assert "no database" in said, said


@pytest.mark.parametrize(
    ("command", "url", "package", "extra"),
    [
        *(
            (command, url, package, extra)
            for command in ("serve", "sessions list", "db upgrade")
            for url, package, extra in (
                ("postgresql://db/x", "psycopg", "postgres"),
                ("mysql://db/x", "pymysql", "mysql"),
                ("redis://db", "redis", "redis"),
            )
        ),
        ("serve", "mysql://db/x", "asyncmy", "mysql"),  # the commands need the driver for threads only
    ],
)
def test_a_missing_driver(empty_folder: Path, command: str, url: str, package: str, extra: str) -> None:
    """The sentence is the command that brings it."""
    code = f"import sys; sys.modules[{package!r}] = None\nfrom keyturn.cli import main; main()"
    port = ["--port", str(free_port())] if command == "serve" else []
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split(), *port, "--store", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"pip install 'keyturn[{extra}]'" in sentence(done.stderr)


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_schema_that_is_missing(request: pytest.FixtureRequest, empty_folder: Path, engine: str) -> None:
    """The commands say what makes the tables; `db upgrade`, and the server's start, make them."""
    where = ("--store", url_of(request, engine))
    for command in (["sessions", "list"], ["users", "list"], ["purge", "--yes"]):
        assert "keyturn db upgrade" in run(*command, *where)
    current = CliRunner().invoke(keyturn, ["db", "current", *where])
    assert current.exit_code == 0
    assert current.output.count("none") == 2
    assert CliRunner().invoke(keyturn, ["db", "upgrade", *where]).output == "The database is up to date.\n"
    assert CliRunner().invoke(keyturn, ["sessions", "list", *where]).output == "There are no sessions.\n"


def execute(request: pytest.FixtureRequest, engine: str, url: str, sql: str) -> None:
    """Run SQL in a database with the server's own client."""
    if engine == "postgres":
        import psycopg  # noqa: PLC0415  (only where there is a server)

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.encode())
    else:
        server: MariaDBServer = request.getfixturevalue("mariadb_server")
        server.query(f"USE {urlsplit(url).path[1:]}; {sql}")


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
@pytest.mark.parametrize(
    "renumbering",
    [
        "UPDATE keyturn_alembic_version SET version_num = '9999'",
        "UPDATE keyturn_users_alembic_version SET version_num = '9999'",
    ],
)
def test_a_schema_that_is_newer(
    request: pytest.FixtureRequest, empty_folder: Path, engine: str, renumbering: str
) -> None:
    """An older Keyturn does not touch it: the sentence asks for the newer one."""
    url = url_of(request, engine)
    where = ("--store", url)
    assert CliRunner().invoke(keyturn, ["db", "upgrade", *where]).exit_code == 0
    execute(request, engine, url, renumbering)
    for said in (run("db", "upgrade", *where), serve(*where)):
        assert "install the newer Keyturn" in said, said
    current = CliRunner().invoke(keyturn, ["db", "current", *where])
    assert "9999" in current.output


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_schema_that_is_older(request: pytest.FixtureRequest, empty_folder: Path, engine: str) -> None:
    """What needs a table that a later version brought says what brings it, and the server's start does."""
    url = url_of(request, engine)
    where = ("--store", url)
    assert CliRunner().invoke(keyturn, ["db", "upgrade", *where]).exit_code == 0
    execute(request, engine, url, "DROP TABLE keyturn_users")
    assert "keyturn db upgrade" in run("users", "list", *where)


def read_only_everywhere(url: str) -> None:
    """Check that a server that only reads is refused by the server, and by commands that write."""
    where = ("--store", url)
    add = run("users", "add", "alice", "--password-stdin", *where, stdin="correct horse\n")
    for said in (add, run("db", "upgrade", *where), serve(*where)):
        assert "read-only" in said


def test_a_postgresql_that_only_reads(
    empty_folder: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    """As a standby does: the schema is there, and no session could be kept."""
    assert CliRunner().invoke(keyturn, ["db", "upgrade", "--store", postgres_url]).exit_code == 0
    name = postgres_url.rpartition("/")[2]
    postgres_server.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    read_only_everywhere(postgres_url)


def test_a_mariadb_that_only_reads(empty_folder: Path) -> None:
    """As a replica does, for everybody but administrators."""
    with started(MariaDBServer(options={"read-only": "1"})) as server:
        url = server.new_database()
        assert CliRunner().invoke(keyturn, ["db", "upgrade", "--store", url]).exit_code == 0
        name = url.rpartition("/")[2]
        server.query(f"GRANT ALL ON `{name}`.* TO plain@'%' IDENTIFIED BY '{SECRET}'")
        read_only_everywhere(f"mysql://plain:{SECRET}@127.0.0.1:{server.port}/{name}")


def test_a_replica_of_redis(empty_folder: Path, redis_server: RedisServer) -> None:
    """A replica cannot keep sessions: the server and `db upgrade` say that it is read-only."""
    with started(RedisServer(options=redis_server.replication())) as replica:
        where = ("--store", replica.url)
        for said in (run("db", "upgrade", *where), run("db", "current", *where), serve(*where)):
            assert "read-only replica" in said, said
