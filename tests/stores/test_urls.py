"""One URL says which store: by its scheme, with no driver loaded for others, and no password shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.errors import ConfigurationError
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.urls import KINDS, async_store_from_url, kind_of, masked, store_from_url

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("memory://", "memory"),
        ("sqlite:///keyturn.db", "SQLite"),
        ("sqlite+aiosqlite:////var/keyturn.db", "SQLite"),
        ("postgresql://u:p@db/keyturn", "PostgreSQL"),
        ("postgresql+psycopg://db/keyturn", "PostgreSQL"),
        ("postgres://db/keyturn", "PostgreSQL"),
        ("mysql://db/keyturn", "MariaDB/MySQL"),
        ("mariadb+pymysql://db/keyturn", "MariaDB/MySQL"),
        ("redis://db", "Redis"),
        ("rediss://:p@db:6380/1", "Redis"),
        ("unix:///run/redis.sock", "Redis"),
        ("redis+cluster://a:1,b:2", "Redis"),
        ("rediss+cluster://a:1,b:2", "Redis"),
        ("redis+sentinel://a:1,b:2/main/0", "Redis"),
        ("rediss+sentinel://a:1/main", "Redis"),
    ],
)
def test_a_scheme_says_which_store(url: str, name: str) -> None:
    """Each scheme belongs to one kind."""
    assert kind_of(url).name == name
    assert sum(kind.takes(url.partition("://")[0]) for kind in KINDS) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "oracle://scott:hunter2@db/x",
            "there is no store for oracle://; a store's URL begins with sqlite://",
        ),
        ("postgressql://u:hunter2@db/x", "for postgressql://; did you mean postgresql://?"),
        ("postgre://u:hunter2@db/x", "did you mean postgresql://?"),
        ("redis+sentinels://u:hunter2@db/x", "did you mean redis+sentinel://?"),
        ("postgresql+asyncpg://u:hunter2@db/x", "did you mean postgresql://?"),
        ("keyturn.db", "that is not the URL of a store, which begins with sqlite://, "),
        ("u:hunter2@db/x", "that is not the URL of a store"),
        ("hunter2 " * 9 + "://", "that is not the URL of a store"),
        ("", "that is not the URL of a store"),
        ("memory://u:hunter2@x", "no places and no options: write memory://"),
    ],
)
def test_an_unknown_scheme_is_one_sentence(url: str, message: str) -> None:
    """It lists what there is, names what was meant, and quotes nothing that could be a password."""
    for opening in (store_from_url, async_store_from_url, kind_of):
        with pytest.raises(ConfigurationError) as caught:
            opening(url)
        assert message in str(caught.value)
        assert PASSWORD not in str(caught.value)


async def test_memory_is_a_store_like_any_other(tmp_path: Path) -> None:
    """Code that takes its store from a URL is the same for all of them, `create_schema` included."""
    for url in ("memory://", f"sqlite:///{tmp_path}/keyturn.db"):
        store = store_from_url(url)
        store.create_schema()
        assert store.count() == 0
        store.close()
        later = async_store_from_url(url)
        await later.create_schema()
        assert await later.count() == 0
        await later.close()
    assert isinstance(store_from_url("memory://"), MemoryStore)
    assert isinstance(async_store_from_url("memory://"), AsyncMemoryStore)


def test_options_are_those_of_the_store(tmp_path: Path) -> None:
    """They are handed on, and refused by the store that does not know them."""
    url = f"sqlite:///{tmp_path}/keyturn.db"
    store_from_url(url, synchronous="NORMAL").close()
    with pytest.raises(ConfigurationError, match="pool_size"):
        store_from_url(url, pool_size=0)
    for known in (url, "memory://"):
        with pytest.raises(TypeError):
            store_from_url(known, colour="blue")


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("sqlite:///keyturn.db", "sqlalchemy", "sql"),
        ("postgresql://db/x", "psycopg", "postgres"),
        ("postgresql://db/x", "psycopg_pool", "postgres"),
        ("mysql://db/x", "pymysql", "mysql"),
        ("redis://db", "redis", "redis"),
        ("redis+cluster://db:1", "redis", "redis"),
    ],
)
@pytest.mark.parametrize("opening", ["store_from_url", "async_store_from_url"])
def test_a_missing_driver_names_its_extra(opening: str, url: str, package: str, extra: str) -> None:
    """Opening a store whose driver is not installed says what brings it; other stores work without it."""
    missing = "asyncmy" if package == "pymysql" and opening == "async_store_from_url" else package
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from keyturn.stores.urls import {opening} as opening\n"
        f"opening('memory://')\nopening({url!r})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    closing = run.stderr.strip().splitlines()[-1]
    assert closing.startswith("ImportError: "), run.stderr
    assert f"pip install 'keyturn[{extra}]'" in closing


def test_only_the_named_driver_is_loaded() -> None:
    """A process that keeps sessions in one place does not pay for the drivers of the others."""
    code = (
        "import sys\nfrom keyturn.stores.urls import store_from_url\nstore_from_url('memory://')\n"
        "print([name for name in ('sqlalchemy', 'psycopg', 'redis', 'pymysql') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@db/x",
        "postgresql://u@server:hunter2@db/x",
        "mysql://u:a@hunter2/b:c@db:3306/x",
        "redis://:hunter2@db",
        "redis+cluster://:hunter2@a:1,b:2",
        "redis+sentinel://u:hunter2@a:1,b:2/main/0?sentinel_password=hunter2",
        "unix://u:hunter2@/run/redis.sock",
        "postgresql://db/x?user=u&password=hunter2&sslmode=require",
        "postgresql://db/x?PASSWORD=hunter2&sslpassword=hunter2",
        "postgresql://u:hunter2\n@db/x",
    ],
)
def test_no_password_of_a_url_is_shown(url: str) -> None:
    """Wherever it stands in the URL, and whatever was not quoted in it."""
    assert PASSWORD not in masked(url)
    assert "***" in masked(url)
