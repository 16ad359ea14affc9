"""The settings become managers: every key, keys from `SECRET_KEY`, users, reloading, forking."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import connections
from django.test import override_settings

from keyturn import KEEP_CLAIMS, AccessTokenError, InvalidToken, KeyRing, RevokedToken, TokenManager
from keyturn.django import get_async_manager, get_http_settings, get_manager
from keyturn.django.conf import get_settings, successor_of
from keyturn.django.keys import derived
from keyturn.django.settings import examine
from keyturn.django.store import DjangoStore
from keyturn.django.users import find_user, find_users, user_id_of
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.keystores import KeyKeeper, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.pages import SessionsPage
from keyturn.stores.memory import MemoryStore
from tests.django.project.accounts.models import User
from tests.support.processes import fork

pytestmark = pytest.mark.usefixtures("project")

RING = KeyRing.generate()
BASE: dict[str, Any] = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api"}


def with_keyturn(**changes: Any) -> override_settings:
    """Change some keys of the dict."""
    return override_settings(KEYTURN={**BASE, **changes})


def roles_of(user: Any) -> dict[str, Any]:
    """Give claims, as an application does."""
    return {"name": user.username}


async def roles_of_async(user: Any) -> dict[str, Any]:
    """Give claims in a coroutine."""
    await asyncio.sleep(0)
    return {"name": user.username}


def test_the_manager_is_made_once() -> None:
    """All of a process share it, its keys and its view of the world."""
    assert get_manager() is get_manager()
    assert isinstance(get_manager(), TokenManager)


def test_a_changed_setting_takes_effect_at_once_and_ends_with_its_block() -> None:
    """`override_settings` is how Django's tests change settings."""
    before = get_manager()
    with with_keyturn(ACCESS_TTL="3m", COOKIE_NAME="rt", PREFIX="/auth/v2"):
        assert get_manager().policy.access_ttl == 180
        assert get_http_settings().cookie_name == "rt"
    assert get_manager() is not before
    assert get_manager().policy.access_ttl == before.policy.access_ttl
    assert get_http_settings().cookie_name == "keyturn"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ACESS_TTL": "5m"}, "ACCESS_TTL"),
        ({"access_ttl": "5m"}, "ACCESS_TTL"),
        ({"ACCESS_TTL": "soon"}, r"KEYTURN\['ACCESS_TTL'\]"),
        ({"COOKIE_SAMESITE": "Loose"}, r"KEYTURN\['COOKIE_SAMESITE'\]"),
        ({"ISSUER": ""}, r"KEYTURN\['ISSUER'\]"),
        ({"LOAD_CLAIMS": "nowhere.at_all"}, r"KEYTURN\['LOAD_CLAIMS'\]"),
        ({"EXEMPT": "/public"}, r"KEYTURN\['EXEMPT'\]"),
        ({"KEYS": "nowhere.at_all"}, r"KEYTURN\['KEYS'\]"),
        ({"KEYS": "./missing.json"}, r"KEYTURN\['KEYS'\]"),
        ({"DATABASE": "elsewhere"}, "DATABASE"),
    ],
)
def test_a_wrong_setting_names_its_key(changes: dict[str, Any], said: str) -> None:
    """So that nobody searches; a misspelt key names the right one."""
    with with_keyturn(**changes), pytest.raises(ConfigurationError, match=said):
        get_manager().sessions("u")


def test_the_keys_come_from_secret_key() -> None:
    """The same in every process, other than SECRET_KEY itself; a new one refuses the old tokens."""
    pair = get_manager().issue("u")
    assert derived().jwks() == {"keys": []}
    other = "another secret that is as long as it should be, or longer"
    with override_settings(SECRET_KEY=other), pytest.raises(AccessTokenError):
        get_manager().verify_access(pair.access_token)
    # Nor does SECRET_KEY itself sign: whatever else it does cannot pass for a token.
    with with_keyturn(KEYS=KeyRing.from_secret(settings.SECRET_KEY)), pytest.raises(AccessTokenError):
        get_manager().verify_access(pair.access_token)
    get_manager().verify_access(pair.access_token)


def test_former_secret_keys_still_verify() -> None:
    """With SECRET_KEY_FALLBACKS, a new SECRET_KEY ends no session."""
    pair, old = get_manager().issue("u"), settings.SECRET_KEY
    with (
        override_settings(SECRET_KEY="another secret that is as long as it should be, or longer"),
        override_settings(SECRET_KEY_FALLBACKS=[old]),
        with_keyturn(USER_IS_ALLOWED=None),
    ):
        assert get_manager().verify_access(pair.access_token).user_id == "u"
        assert get_manager().refresh(pair.refresh_token).session_id == pair.session_id


def test_a_short_secret_key_derives_nothing() -> None:
    """Signing keys need 32 bytes of secret (RFC 7518, section 3.2)."""
    with override_settings(SECRET_KEY="short"), pytest.raises(ConfigurationError, match="SECRET_KEY"):
        get_manager()


@pytest.mark.parametrize("form", ["path", "text", "url", "object", "dotted", "factory"])
def test_keys_come_in_every_form(form: str, tmp_path: Path) -> None:
    """A key file, a key store, a ring, or a dotted path to either."""
    place = tmp_path / "keys.json"
    KeyKeeper(FileKeyStore(place)).create("EdDSA", kid="here")
    given: dict[str, Any] = {
        "path": place,
        "text": str(place),
        "url": f"sqlite:///{tmp_path}/keys.db",
        "object": RING,
        "dotted": f"{__name__}.RING",
        "factory": f"{__name__}.make_ring",
    }
    if form == "url":
        store = key_store_from_url(given["url"])
        store.prepare()
        KeyKeeper(store).create("EdDSA", kid="here")
        store.close()
    with with_keyturn(KEYS=given[form]):
        token = get_manager().issue("u").access_token
        assert get_manager().verify_access(token).user_id == "u"
        assert get_manager().jwks()["keys"]


def make_ring() -> KeyRing:
    """Give a ring."""
    return RING


def test_another_store_may_hold_the_sessions() -> None:
    """By URL, or by a dotted path to what makes one."""
    with with_keyturn(STORE="memory://", USER_IS_ALLOWED=None):
        get_manager().issue("u")
        assert DjangoStore().count() == 0
    with with_keyturn(STORE="keyturn.stores.memory.MemoryStore"):
        get_manager().issue("u")
        assert DjangoStore().count() == 0
    assert MemoryStore().count() == 0


@pytest.mark.parametrize("end", ["deleted", "inactive"])
def test_a_user_who_may_not_go_on_loses_all_sessions(end: str) -> None:
    """At the next refresh: deleted, or `is_active` is False."""
    user, manager = User.objects.create_user("ann"), get_manager()
    pair = manager.refresh(manager.issue(user_id_of(user)).refresh_token)
    if end == "deleted":
        user.delete()
    else:
        User.objects.update(is_active=False)
    with with_keyturn(RACE_WINDOW=0), pytest.raises(RevokedToken):
        get_manager().refresh(pair.refresh_token)


def test_the_claims_of_the_sign_in_are_kept() -> None:
    """Without LOAD_CLAIMS, while the user is asked for all the same."""
    user, manager = User.objects.create_user("ann"), get_manager()
    pair = manager.refresh(manager.issue(user_id_of(user), claims={"plan": "pro"}).refresh_token)
    assert manager.verify_access(pair.access_token).claims == {"plan": "pro"}


@pytest.mark.parametrize("loader", [roles_of, roles_of_async])
def test_claims_are_loaded_from_the_user(loader: Callable[[Any], Any]) -> None:
    """LOAD_CLAIMS is given the user, as a plain or a coroutine function, in both colours."""
    user = User.objects.create_user("ann")

    async def refreshed() -> dict[str, Any]:
        manager = get_async_manager()
        pair = await manager.issue(user_id_of(user))
        pair = await manager.refresh(pair.refresh_token)
        await manager.flush()
        claims: dict[str, Any] = manager.verify_access(pair.access_token).claims
        return claims

    with with_keyturn(LOAD_CLAIMS=loader):
        manager = get_manager()
        pair = manager.refresh(manager.issue(user_id_of(user)).refresh_token)
        assert manager.verify_access(pair.access_token).claims == {"name": "ann"}
        assert async_to_sync(refreshed)() == {"name": "ann"}


def test_a_loader_that_gives_none_lets_nobody_go_on() -> None:
    """None is what a lookup gives that has found nothing; KEEP_CLAIMS says that the sign-in's are kept."""
    user = User.objects.create_user("ann")
    pair = get_manager().issue(user_id_of(user), claims={"plan": "pro"})
    with (
        with_keyturn(LOAD_CLAIMS=lambda _: None),
        pytest.raises(ConfigurationError, match="load_claims gave None"),
    ):
        get_manager().refresh(pair.refresh_token)
    with with_keyturn(LOAD_CLAIMS=lambda _: KEEP_CLAIMS):
        again = get_manager().refresh(pair.refresh_token)
        assert get_manager().verify_access(again.access_token).claims == {"plan": "pro"}


def test_a_manager_goes_with_its_event_loop() -> None:
    """Every `async_to_sync` in a worker or a command has a loop of its own: none is kept, nor its manager."""

    async def use() -> tuple[ref[asyncio.AbstractEventLoop], ref[Any]]:
        manager = get_async_manager()
        await manager.issue("u")
        await manager.flush()
        return ref(asyncio.get_running_loop()), ref(manager)

    gone = [each for _ in range(3) for each in asyncio.run(use())]
    asyncio.run(sync_to_async(str)())  # asgiref keeps the last loop that has asked its thread for something
    gc.collect()
    assert [each() for each in gone] == [None] * 6


def test_what_is_in_a_managers_place_is_found_while_its_loop_lives() -> None:
    """For threads always; for any other manager than those of the settings there is nothing."""
    plain, store = get_manager(), MemoryStore()
    other = TokenManager(store=store, keys=RING, issuer="i", audience="a")
    assert successor_of(other) is None

    async def use() -> Any:
        before = get_async_manager()
        find = successor_of(before)
        with with_keyturn(ACCESS_TTL="1h"):
            assert find is not None
            assert find() is get_async_manager() is not before
        return before

    before = asyncio.run(use())
    gc.collect()
    assert successor_of(before) is None
    find = successor_of(plain)
    assert find is not None
    with with_keyturn(ACCESS_TTL="1h"):
        assert find() is get_manager() is not plain


def test_both_colours_accept_each_others_tokens() -> None:
    """They share one policy, one key ring and one store."""
    user = User.objects.create_user("ann")
    pair = get_manager().issue(user_id_of(user))

    async def use() -> str:
        manager = get_async_manager()
        assert manager is get_async_manager()
        assert manager.policy is get_settings().policy
        principal = await manager.authenticate(pair.access_token)
        await manager.flush()
        return principal.user_id

    assert async_to_sync(use)() == user_id_of(user)


def test_the_manager_for_asyncio_belongs_to_a_loop() -> None:
    """Asked for elsewhere, it says so."""
    with pytest.raises(ConfigurationError, match="coroutines"):
        get_async_manager()


def test_a_uuid_is_a_user_id() -> None:
    """Its text and back; what is no key, or is not written as in tokens, is nobody's."""
    user = User.objects.create_user("ann")
    assert isinstance(user.pk, uuid.UUID)
    assert user_id_of(user) == str(user.pk)
    assert find_user(str(user.pk)) == user
    for other in ("", "7", user.pk.hex, str(user.pk).upper(), str(uuid.uuid4()), "\0"):
        assert find_user(other) is None
    assert find_users([str(user.pk), "7"]) == {str(user.pk): user}


def test_a_forked_child_makes_a_manager_of_its_own() -> None:
    """The parent's threads and connections are not there."""
    manager = get_manager()
    pair = manager.issue("u")
    manager.flush()
    connections.close_all()

    def work() -> bool:
        theirs = get_manager()
        return theirs is not manager and theirs.authenticate(pair.access_token).user_id == "u"

    assert fork(work)() == 0


def test_no_error_shows_a_secret() -> None:
    """Neither the settings' errors nor the managers' reprs hold the key material."""
    with override_settings(SECRET_KEY="short and secret"), pytest.raises(KeyturnError) as raised:
        get_manager()
    assert "short and secret" not in str(raised.value)
    assert settings.SECRET_KEY not in repr(get_settings())


def test_garbage_is_no_token() -> None:
    """As everywhere: 401, not 500."""
    with pytest.raises(InvalidToken):
        get_manager().refresh("garbage")


PAGE = SessionsPage(path="/devices")


@pytest.mark.parametrize("given", [PAGE, f"{__name__}.PAGE"], ids=["page", "path"])
def test_the_page_of_devices_is_a_setting(given: object) -> None:
    """As it is, or by its dotted path; what is no page is refused by the key's name."""
    with with_keyturn(SESSIONS_PAGE=given):
        assert get_settings().sessions_page is PAGE
        assert get_settings().places.home == "/auth/devices"
    with (
        with_keyturn(SESSIONS_PAGE=7),
        pytest.raises(ConfigurationError, match=r"KEYTURN\['SESSIONS_PAGE'\] is not usable: sessions_page"),
    ):
        get_settings()


def test_a_page_that_hides_an_endpoint_is_refused_at_the_start() -> None:
    """Django's check says it by the key's name, before any endpoint is asked."""
    _, problems = examine({**BASE, "SESSIONS_PAGE": SessionsPage(path="/sessions")})
    (problem,) = problems
    wrong = "sessions_page: its path would hide the endpoint at /auth/sessions"
    assert problem.message == f"KEYTURN['SESSIONS_PAGE'] is not usable: {wrong}."
