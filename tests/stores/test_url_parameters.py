"""What is wrong in a database URL is said when the store is opened, and is no outage."""

from __future__ import annotations

import pytest

from keyturn.errors import ConfigurationError
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from tests.support.postgres import told

PASSWORD = "hunter2"
PLACE = f"user:{PASSWORD}@127.0.0.1"
PORTABLE = (SQLAlchemyStore, AsyncSQLAlchemyStore)


@pytest.mark.parametrize("kind", [PostgresStore, AsyncPostgresStore, *PORTABLE])
@pytest.mark.parametrize(
    "name",
    [
        "sslmode",
        "gssencmode",
        "channel_binding",
        "target_session_attrs",
        "load_balance_hosts",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
    ],
)
def test_a_parameter_of_libpq_with_a_wrong_value_is_named(
    kind: type[PostgresStore | AsyncPostgresStore | SQLAlchemyStore | AsyncSQLAlchemyStore], name: str
) -> None:
    """Before anything is opened; the value is not quoted."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        kind.from_url(f"postgresql://{PLACE}/keyturn?{name}={PASSWORD}")
    assert PASSWORD not in told(caught.value)


@pytest.mark.parametrize("port", ["0", "99999"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    """No server listens there, ever."""
    for kind in (PostgresStore, AsyncPostgresStore, *PORTABLE):
        with pytest.raises(ConfigurationError, match="port"):
            kind.from_url(f"postgresql://{PLACE}:{port}/keyturn")
    for portable in PORTABLE:
        with pytest.raises(ConfigurationError, match="port"):
            portable.from_url(f"mysql://{PLACE}:{port}/keyturn")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{PLACE}/keyturn?sslmode=verify-full&connect_timeout=3&keepalives=0",
        f"postgresql://{PLACE}:5432,two/keyturn?target_session_attrs=primary&load_balance_hosts=random",
        f"postgresql://{PLACE}:1,two:65535/keyturn",
    ],
)
def test_what_libpq_takes_is_taken(url: str) -> None:
    """Several hosts included, some of them on the usual port."""
    PostgresStore.from_url(url).close()
