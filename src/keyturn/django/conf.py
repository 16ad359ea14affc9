"""The managers of this process, made from the settings when first asked for. They know no request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from weakref import WeakKeyDictionary, ref

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from keyturn.django.claims import async_loader, loader
from keyturn.django.keys import is_opened_here, is_url, open_keys
from keyturn.django.settings import NAME, Settings, read
from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children
from keyturn.http import AsyncEndpoints, AsyncGuard, Endpoints, Guard, HttpSettings
from keyturn.http.calls import nobody
from keyturn.keystores import SharedKeyRing
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.stores.urls import async_store_from_url, store_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._core.minting import KeySource
    from keyturn.stores.protocol import AsyncStore, Store

__all__ = ["get_async_manager", "get_http_settings", "get_manager", "get_settings"]

# What is made from them is made anew when a test changes one.
_WATCHED: Final = frozenset(
    {NAME, "SECRET_KEY", "SECRET_KEY_FALLBACKS", "KEYTURN_SESSION_MODEL", "AUTH_USER_MODEL"}
)


Made: TypeAlias = TokenManager[Any] | AsyncTokenManager[Any]


@dataclass(frozen=True, slots=True)
class Serving:
    """A manager, and what serves HTTP with it."""

    manager: TokenManager[Any]
    endpoints: Endpoints
    guard: Guard


@dataclass(frozen=True, slots=True)
class AsyncServing:
    """The same for asyncio."""

    manager: AsyncTokenManager[Any]
    endpoints: AsyncEndpoints
    guard: AsyncGuard


class Managers:
    """What this process has made of its settings. Safe for threads; a forked child makes its own."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self._watchers: tuple[Callable[[Made], object], ...] = ()
        # Of each manager its loop, weakly: a loop that is kept would keep its manager, and that the loop.
        self._loops: WeakKeyDictionary[Made, ref[asyncio.AbstractEventLoop] | None] = WeakKeyDictionary()
        self._start()
        in_forked_children(self, Managers._start)

    def _start(self) -> None:
        self._lock = RLock()
        self._settings: Settings | None = None
        self._keys: KeySource | None = None
        self._plain: Serving | None = None
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncServing] = WeakKeyDictionary()

    def settings(self) -> Settings:
        """Give the settings."""
        with self._lock:
            if self._settings is None:
                self._settings = read(getattr(django_settings, NAME, None))
            return self._settings

    def plain(self) -> Serving:
        """Give the manager for threads."""
        if self._plain is not None:
            return self._plain
        with self._lock:
            if self._plain is None:
                manager = self._make()
                serves, guards = _options(self.settings())
                self._plain = Serving(manager, Endpoints(manager, **serves), Guard(manager, **guards))
                self._tell(manager, None)
            return self._plain

    def of_loop(self) -> AsyncServing:
        """Give the manager of the running event loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "get_async_manager() is for coroutines: a manager belongs to an event loop"
            ) from None
        return self._of(loop)

    def successor_of(self, manager: Made) -> Callable[[], Made] | None:
        """Give what gives the manager that is in a manager's place now, once a setting has changed.

        Args:
            manager: One that was made here, and may have been dropped; for any other the answer is None, and
                for one whose event loop is gone.
        """
        with self._lock:
            if manager not in self._loops:
                return None
            known = self._loops[manager]
        if known is None:
            return lambda: self.plain().manager
        loop = known()
        return None if loop is None else lambda: self._of(loop).manager

    def _of(self, loop: asyncio.AbstractEventLoop) -> AsyncServing:
        with self._lock:
            serving = self._by_loop.get(loop)
            if serving is None:
                manager = self._make_async()
                serves, guards = _options(self.settings())
                serving = AsyncServing(
                    manager, AsyncEndpoints(manager, **serves), AsyncGuard(manager, **guards)
                )
                self._by_loop[loop] = serving
                self._tell(manager, loop)
            return serving

    def watch(self, told: Callable[[Made], object]) -> Callable[[], None]:
        """Tell of each manager: of those that are there, and of each that will be made.

        Args:
            told: Called with a manager, in the thread that makes it, before it is used.

        Returns:
            What ends the telling.
        """
        with self._lock:
            for serving in (self._plain, *self._by_loop.values()):
                if serving is not None:
                    told(serving.manager)
            self._watchers = (*self._watchers, told)

        def stop() -> None:
            with self._lock:
                self._watchers = tuple(each for each in self._watchers if each is not told)

        return stop

    def _tell(self, manager: Made, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loops[manager] = None if loop is None else ref(loop)
        for told in self._watchers:
            told(manager)

    def drop(self) -> None:
        """Close what was made; the next that asks has it made anew."""
        with self._lock:
            plain, keys, settings = self._plain, self._keys, self._settings
            self._start()
        # Managers of event loops go with their loops: nobody can wait for them here.
        if plain is not None:
            plain.manager.close()
        if isinstance(keys, SharedKeyRing) and settings is not None and is_opened_here(settings.keys):
            keys.close()

    def _make(self) -> TokenManager[Any]:
        from keyturn.django.signals import connect  # noqa: PLC0415  (models are there only now)
        from keyturn.django.store import DjangoStore  # noqa: PLC0415  (the same)

        settings = self.settings()
        if settings.manager is not None:
            given = cast("TokenManager[Any]", _made("MANAGER", settings.manager))
            connect(given, None)
            return given
        _check_makes("MANAGER", settings)
        store: Any = _store(settings)
        manager: TokenManager[Any] = TokenManager(
            store=store,
            load_claims=loader(settings),
            **self._shared(settings),
        )
        connect(manager, store if isinstance(store, DjangoStore) else None)
        return manager

    def _make_async(self) -> AsyncTokenManager[Any]:
        from keyturn.django.signals import connect_async  # noqa: PLC0415  (models are there only now)

        settings = self.settings()
        if settings.async_manager is not None:
            given = cast("AsyncTokenManager[Any]", _made("ASYNC_MANAGER", settings.async_manager))
            connect_async(given)
            return given
        _check_makes("ASYNC_MANAGER", settings)
        manager: AsyncTokenManager[Any] = AsyncTokenManager(
            store=_async_store(settings),
            load_claims=async_loader(settings),
            **self._shared(settings),
        )
        connect_async(manager)
        return manager

    def _shared(self, settings: Settings) -> dict[str, Any]:
        """Give what the managers of both colours have in common."""
        return {
            "keys": self._open_keys(settings),
            "policy": settings.policy,
            "issuer": settings.issuer,
            "audience": settings.audience,
            "claims": settings.claims,
        }

    def _open_keys(self, settings: Settings) -> KeySource:
        if self._keys is None:
            try:
                self._keys = open_keys(settings.keys)
            except ConfigurationError as error:
                raise ConfigurationError(f"{NAME}['KEYS']: {error}") from error
        return self._keys


def _store(settings: Settings) -> Store:
    from keyturn.django.store import DjangoStore  # noqa: PLC0415  (models are there only now)

    if settings.store is None:
        return DjangoStore(using=settings.database)
    if isinstance(settings.store, str) and is_url(settings.store):
        return store_from_url(settings.store)
    return cast("Store", _made("STORE", settings.store))


def _async_store(settings: Settings) -> AsyncStore:
    from keyturn.django.store import AsyncDjangoStore  # noqa: PLC0415  (models are there only now)

    if settings.store is None:
        return AsyncDjangoStore(using=settings.database)
    if isinstance(settings.store, str) and is_url(settings.store):
        return async_store_from_url(settings.store)
    if settings.async_store is None:
        raise ConfigurationError(f"{NAME}['ASYNC_STORE']: a STORE of your own needs a twin for asyncio")
    return cast("AsyncStore", _made("ASYNC_STORE", settings.async_store))


def _options(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the options of the endpoints and of the guard."""
    throttle: Any = settings.throttle
    if isinstance(throttle, type):
        throttle = throttle()
    # Who checks the login is said per request: it is given Django's request, too.
    login = None if settings.login is False else nobody
    shared = {"settings": settings.http, "sessions_page": settings.sessions_page}
    return (
        {**shared, "login": login, "throttle": throttle},
        {**shared, "exempt": settings.exempt or (), "require": settings.require},
    )


def _check_makes(key: str, settings: Settings) -> None:
    if not settings.makes_managers:
        raise ConfigurationError(
            f"{NAME}[{key!r}]: there is only its twin, and the settings make none beside it"
        )


def _made(key: str, named: object) -> object:
    """Give a store or a manager: what a dotted path names, or what that makes."""
    try:
        found = import_string(named) if isinstance(named, str) else named
    except ImportError as error:
        raise ConfigurationError(f"{NAME}[{key!r}]: {error}") from error
    return found() if callable(found) else found


# Django's settings are one for the whole process, and views, admin, commands and validators are made by
# Django, without anybody to hand them a manager. So all find it in one place, as they do `connections`.
_managers: Final = Managers()


def get_manager() -> TokenManager[Any]:
    """Give this process's manager for threads.

    Raises:
        ConfigurationError: The settings are not usable; the message names the key.
    """
    return _managers.plain().manager


def get_async_manager() -> AsyncTokenManager[Any]:
    """Give the running event loop's manager, with the policy and the keys of the one for threads.

    Raises:
        ConfigurationError: The settings are not usable, or no event loop runs.
    """
    return _managers.of_loop().manager


def get_serving() -> Serving:
    """Give this process's manager for threads with what serves HTTP.

    Raises:
        ConfigurationError: See `get_manager`.
    """
    return _managers.plain()


def get_async_serving() -> AsyncServing:
    """Give the running event loop's manager with what serves HTTP.

    Raises:
        ConfigurationError: See `get_async_manager`.
    """
    return _managers.of_loop()


def each_manager(told: Callable[[Made], object]) -> Callable[[], None]:
    """Tell of each manager that this process has made of its settings, or will make: for tests.

    Args:
        told: Called with a manager, before it is used.

    Returns:
        What ends the telling.
    """
    return _managers.watch(told)


def successor_of(manager: Made) -> Callable[[], Made] | None:
    """Give what gives the manager that is in a manager's place now: for tests, which change settings.

    Args:
        manager: One that was made of the settings, at any time; for any other the answer is None.
    """
    return _managers.successor_of(manager)


def get_http_settings() -> HttpSettings:
    """Give how tokens travel over HTTP.

    Raises:
        ConfigurationError: The settings are not usable; the message names the key.
    """
    return _managers.settings().http


def get_settings() -> Settings:
    """Give all settings.

    Raises:
        ConfigurationError: They are not usable; the message names the key.
    """
    return _managers.settings()


def on_setting_changed(*, setting: str, **_: object) -> None:
    """Have the managers made anew: a test changes a setting, or puts it back."""
    if setting in _WATCHED:
        _managers.drop()
