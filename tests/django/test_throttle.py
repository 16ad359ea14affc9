"""How often one may try to sign in to a Django project: per account and per address, over its cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from keyturn.django.conf import get_settings
from keyturn.django.rates import Rate
from keyturn.django.throttle import CacheThrottle
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.http import HttpRequest
from tests.django.project.accounts.models import User
from tests.django.test_views import BASE
from tests.support.django_asking import PASSWORD, Protocol, ask, log_in, token_of

pytestmark = pytest.mark.usefixtures("project")
OVER = pytest.mark.parametrize("over", ["wsgi", "asgi"])


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    cache.clear()
    with override_settings(ROOT_URLCONF="tests.django.project.pages"):
        yield
    cache.clear()


def with_rate(rate: str | None) -> override_settings:
    """Change the rate."""
    return override_settings(KEYTURN={**BASE, "LOGIN_RATE": rate})


class Attempts:
    """A throttle under a clock that a test moves."""

    def __init__(self, rate: str) -> None:
        self.now = 1_000_000.0
        read = Rate.read(rate)
        assert read is not None
        self.throttle = CacheThrottle(read, clock=lambda: self.now)

    def take(self, name: str, client: str | None = "192.0.2.7") -> float | None:
        """Count an attempt."""
        return self.throttle.take(HttpRequest("POST", "/auth/login", client=client), name)


def test_an_account_has_so_many_attempts_from_anywhere() -> None:
    """In whatever spelling; others have theirs."""
    on = Attempts("3/m")
    names = ["ann", "ANN", "\uff41nn", "ann", "bob"]
    waits = [on.take(name, f"192.0.2.{n}") for n, name in enumerate(names)]
    assert [each is None for each in waits] == [True, True, True, False, True]


def test_an_address_has_so_many_attempts_at_any_account() -> None:
    """All addresses of one IPv6 network are one."""
    on = Attempts("3/m")
    waits = [on.take(f"u{n}", f"2001:db8::{n}") for n in range(4)]
    assert [each is None for each in waits] == [True, True, True, False]
    assert on.take("u9", "2001:db9::1") is None
    assert on.take("u10", None) is None


def test_waiting_as_told_helps_whatever_was_tried_meanwhile() -> None:
    """A refused attempt makes nobody wait longer."""
    on = Attempts("2/minute")
    for _ in range(2):
        assert on.take("ann") is None
    wait = on.take("ann")
    assert wait is not None
    assert 0 < wait <= 60
    for _ in range(10):
        assert on.take("ann") is not None
    on.now += wait
    assert on.take("ann") is None


def test_who_is_refused_for_the_address_costs_the_account_nothing() -> None:
    """Else anybody could shut anybody out from one place, for ever."""
    on = Attempts("2/m")
    for n in range(2):
        assert on.take(f"u{n}") is None
    for _ in range(5):
        assert on.take("ann") is not None
    for _ in range(2):
        assert on.take("ann", "198.51.100.1") is None


def test_no_name_and_no_address_is_in_the_cache() -> None:
    """Whoever reads it learns neither."""
    Attempts("2/m").take("secret-name", "203.0.113.77")
    kept: Any = caches["default"]
    keys = " ".join(kept._cache)
    assert keys.count("keyturn.login.") == 2
    assert "secret-name" not in keys
    assert "203.0.113" not in keys


class Out(LocMemCache):
    """A cache that is out."""

    def add(self, *_: Any, **__: Any) -> bool:
        raise ConnectionError("refused")


@OVER
def test_nobody_signs_in_uncounted(over: Protocol) -> None:
    """A cache that is out is 503, as a store that is."""
    User.objects.create_user("ann", password=PASSWORD)
    caches = {"default": {"BACKEND": f"{__name__}.Out"}}
    with with_rate("5/m"), override_settings(CACHES=caches):
        answer = log_in(over, "ann")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        with pytest.raises(StoreUnavailable):
            Attempts("2/m").take("ann")


@OVER
def test_the_endpoints_tell_how_long_to_wait(over: Protocol) -> None:
    """429 for right and wrong passwords alike; a step-up counts, too; `None` counts nothing."""
    User.objects.create_user("ann", password=PASSWORD)
    with with_rate("3/d"):
        token = token_of(over, "ann")
        assert log_in(over, "ann", "wrong").status_code == 401
        body = {"username": "ann", "password": PASSWORD}
        assert ask(over, "POST", "/auth/step-up", body, bearer=token).status_code == 200
        for password in (PASSWORD, "wrong"):
            answer = log_in(over, "ann", password)
            assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
            assert 0 < int(answer.headers["Retry-After"]) <= 86400
        assert ask(over, "POST", "/auth/step-up", body, bearer=token).status_code == 429
    with with_rate(None):
        assert log_in(over, "ann").status_code == 200


def test_ten_a_minute_are_the_default() -> None:
    """As the server's."""
    with override_settings(KEYTURN=BASE):
        assert Rate.read(get_settings().login_rate) == Rate(10, 60)


@pytest.mark.parametrize("rate", ["soon", "0/m", "5", "5/fortnight", 5, "", "-1/m", "5/m;6/h"])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    """By a message that names the key."""
    with with_rate(rate), pytest.raises(ConfigurationError, match=r"KEYTURN\['LOGIN_RATE'\]"):
        get_settings()
