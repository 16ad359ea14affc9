"""The pytest plugin for the tests of applications: fixtures, and nothing else. It decides nothing.

Every run of pytest loads it where Keyturn is installed, so it imports what it needs when a test asks for it.
Of the frameworks it knows Django alone, and only where Django is set up: there the settings say it all.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from keyturn import AsyncTokenManager, TokenManager
    from keyturn.http import HttpSettings
    from keyturn.lab import AsyncLab, Bench, Lab, Portal

_HOW = """\
The Keyturn fixtures need to know your application's manager. Write this in conftest.py:

    @pytest.fixture
    def keyturn_manager():
        return manager  # your TokenManager or AsyncTokenManager
"""


@pytest.fixture
def keyturn_manager() -> TokenManager[Any] | AsyncTokenManager[Any]:
    """The application's own manager. Override it in conftest.py; the default says how.

    In a Django project with "keyturn.django" it is that project's: there is nothing to override.
    """
    if not _is_django_project():
        pytest.fail(_HOW, pytrace=False)
    from keyturn.django import get_manager  # noqa: PLC0415  (see the module's docstring)

    return get_manager()


@pytest.fixture
def keyturn_settings() -> HttpSettings | None:
    """The application's `HttpSettings`. Override it where they are not the defaults.

    In a Django project with "keyturn.django" they are those of its settings.
    """
    if not _is_django_project():
        return None
    from keyturn.django import get_http_settings  # noqa: PLC0415  (as above)

    return get_http_settings()


@pytest.fixture(scope="session")
def keyturn_portal() -> Generator[Portal]:
    """Where an `AsyncTokenManager` is used by tests that do not await: an event loop for the whole run.

    An entered `TestClient` among the fixtures of a test is found by itself. Override it where that does not
    suffice: a client that is entered elsewhere has a `portal` to return.
    """
    from keyturn.lab import OwnLoop  # noqa: PLC0415  (as above)

    loop = OwnLoop()
    yield loop
    loop.close()


@pytest.fixture(name="_keyturn_bench")
def _bench(
    keyturn_manager: TokenManager[Any] | AsyncTokenManager[Any], keyturn_settings: HttpSettings | None
) -> Generator[Bench]:
    """The manager on a bench, for as long as the test; both labs of one test work on the same."""
    from keyturn.lab import is_manager, opened  # noqa: PLC0415  (as above)

    if not is_manager(keyturn_manager):
        kind = type(keyturn_manager).__name__
        pytest.fail(f"The fixture keyturn_manager gave a {kind}.\n{_HOW}", pytrace=False)
    if not _is_django_project():
        with opened(keyturn_manager, keyturn_settings) as bench:
            yield bench
        return
    from keyturn.django import get_http_settings  # noqa: PLC0415  (as above)
    from keyturn.django.conf import each_manager, successor_of  # noqa: PLC0415  (as above)

    # The project's own becomes another one when a test changes a setting, and each event loop has its own.
    current = successor_of(keyturn_manager)
    same = current is not None and keyturn_settings is get_http_settings()
    with opened(
        current or keyturn_manager,
        get_http_settings if same else keyturn_settings,
        leave=_close_connections,
    ) as bench:
        stop = each_manager(bench.join)
        try:
            yield bench
        finally:
            stop()


@pytest.fixture
def keyturn(_keyturn_bench: Bench, keyturn_portal: Portal, request: pytest.FixtureRequest) -> Generator[Lab]:
    """Sign in, turn time, race, lose answers, steal, and see what happened: for tests without `await`."""
    from keyturn.lab import lab_on  # noqa: PLC0415  (as above)

    arguments: dict[str, object] = request.node.funcargs
    with lab_on(_keyturn_bench, keyturn_portal, lambda: tuple(arguments.values())) as lab:
        yield lab


@pytest.fixture
def async_keyturn(_keyturn_bench: Bench) -> AsyncLab:
    """The same for tests with `await`, whatever runs them: pytest-asyncio, or anyio's plugin."""
    from keyturn.lab import AsyncLab  # noqa: PLC0415  (as above)

    return AsyncLab(_keyturn_bench)


def _is_django_project() -> bool:
    """Tell whether Django is set up in this process, with Keyturn installed; it is not imported for that."""
    module: Any = sys.modules.get("django.apps")
    return module is not None and module.apps.ready and bool(module.apps.is_installed("keyturn.django"))


def _close_connections() -> None:
    """Close Django's connections of this thread, as Django itself does when a thread has served requests."""
    database: Any = sys.modules["django.db"]
    database.connections.close_all()
