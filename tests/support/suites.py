"""Small test suites of applications, run as their developers would run them. It knows no application."""

from __future__ import annotations

import warnings

import aiosqlite  # noqa: F401  (these are imported once, here, and not by each suite anew)
import flask  # noqa: F401
import pytest
from starlette.exceptions import StarletteDeprecationWarning

import keyturn.flask
import keyturn.lab
import keyturn.starlette
import keyturn.stores.sqlalchemy  # noqa: F401

with warnings.catch_warnings():  # it would rather have a successor of httpx, which is no matter of ours
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    import starlette.testclient  # noqa: F401

PLUGIN = ("-p", "no:keyturn", "-p", "keyturn.pytest_plugin")  # once, also where its entry point is installed
QUIET = ("-p", "no:cacheprovider", "-p", "no:cov")

INI = """
[pytest]
filterwarnings = error
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""


def run(pytester: pytest.Pytester, *options: str, **files: str) -> pytest.RunResult:
    """Run a suite with the plugin, in this process.

    Args:
        pytester: Where.
        options: More options for pytest.
        files: Its modules by name, `conftest` among them.
    """
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(**files)
    return pytester.runpytest_inprocess(*PLUGIN, *QUIET, *options)


# A conftest for a manager for threads and for nothing else.
MANAGER = """
import pytest
from keyturn import KeyRing, TokenManager
from keyturn.stores.memory import MemoryStore

manager = TokenManager(
    store=MemoryStore(), keys=KeyRing.generate(), issuer="https://auth.example.com", audience="my-api"
)


@pytest.fixture
def keyturn_manager():
    return manager
"""

# One for a manager and a store that belong to an event loop, with the lifespan of an application's.
IN_ONE_LOOP = """
import contextlib
import pytest
from keyturn import AsyncTokenManager, KeyRing
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore

store = AsyncSQLAlchemyStore.from_url("sqlite:///sessions.db")
manager = AsyncTokenManager(
    store=store, keys=KeyRing.generate(), issuer="https://auth.example.com", audience="my-api"
)


@contextlib.asynccontextmanager
async def lifespan(app):
    await store.create_schema()
    yield
    await manager.close()


@pytest.fixture
def keyturn_manager():
    return manager
"""
