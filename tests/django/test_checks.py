"""A wrong configuration fails at `manage.py check`: each id, its message and its hint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connections
from django.test import override_settings

from keyturn.django import checks
from tests.support import django_site
from tests.support.sources import ROOT

pytestmark = pytest.mark.usefixtures("project")

BASE: dict[str, Any] = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api"}
SAFE = {"KEYS": "tests.django.test_settings.RING"}


def found(*, deploy: bool = False) -> list[CheckMessage]:
    """Run all of Django's checks, and give ours."""
    every = run_checks(include_deployment_checks=deploy)
    return [each for each in every if str(each.id).startswith("keyturn.")]


def ids(*, deploy: bool = False) -> set[str]:
    """Give the ids of what is found."""
    return {str(each.id) for each in found(deploy=deploy)}


def test_a_right_configuration_has_nothing_to_say() -> None:
    """The tiny project's, and with --deploy only what it really does."""
    assert found() == []
    assert ids(deploy=True) == {"keyturn.W011", "keyturn.W014", "keyturn.W021"}


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("keyturn.E001", {"KEYTURN": ["ISSUER"]}, "no dict"),
    ("keyturn.E001", {"KEYTURN": {**BASE, "ACESS_TTL": "5m"}}, "'ACESS_TTL'"),
    ("keyturn.E002", {"KEYTURN": {"AUDIENCE": "api"}}, "'ISSUER'"),
    ("keyturn.E002", {"KEYTURN": {**BASE, "AUDIENCE": 7}}, "'AUDIENCE'"),
    ("keyturn.E003", {"KEYTURN": {**BASE, "ACCESS_TTL": "30d"}}, "KEYTURN['ACCESS_TTL']"),
    ("keyturn.E003", {"KEYTURN": {**BASE, "COOKIE_PATH": "/x"}}, "KEYTURN['COOKIE_PATH']"),
    ("keyturn.E003", {"KEYTURN": {**BASE, "REQUIRE": "/staff"}}, "KEYTURN['REQUIRE']"),
    ("keyturn.E004", {"KEYTURN": {**BASE, "LOAD_CLAIMS": "no.where"}}, "KEYTURN['LOAD_CLAIMS']"),
    ("keyturn.E005", {"KEYTURN": {**BASE, "KEYS": "./missing.json"}}, "KEYTURN['KEYS']"),
    ("keyturn.E005", {"KEYTURN": {**BASE, "KEYS": "mongo://x"}}, "mongo"),
    ("keyturn.E005", {"SECRET_KEY": "short"}, "SECRET_KEY"),
    ("keyturn.E006", {"KEYTURN_SESSION_MODEL": "nowhere.Session"}, "KEYTURN_SESSION_MODEL"),
    ("keyturn.E006", {"KEYTURN_SESSION_MODEL": "accounts.User"}, "AbstractSession"),
    ("keyturn.E007", {"KEYTURN": {**BASE, "DATABASE": "elsewhere"}}, "DATABASES"),
    ("keyturn.E008", {"KEYTURN": {**BASE, "STORE": "mongo://x"}}, "mongo"),
    ("keyturn.W001", {"AUTH_PASSWORD_VALIDATORS": []}, "sessions"),
    ("keyturn.W004", {"KEYTURN": {**BASE, "STORE": "memory://"}}, "memory://"),
]


@pytest.mark.parametrize(("name", "settings", "said"), ERRORS)
def test_what_is_wrong_is_found(name: str, settings: dict[str, Any], said: str) -> None:
    """Under its id, with the key in the message and something to do in the hint."""
    with override_settings(**settings):
        (message,) = [each for each in found() if each.id == name]
    assert said in message.msg
    assert message.hint


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("keyturn.W010", {"COOKIE_SECURE": False}),
        ("keyturn.W011", {"KEYS": None}),
        ("keyturn.W012", {"REVOCATION": "none"}),
        ("keyturn.W013", {"ON_STORE_ERROR": "allow"}),
        ("keyturn.W015", {"ROTATION": False}),
    ],
)
def test_what_should_not_go_into_production_is_found_with_deploy(name: str, changes: dict[str, Any]) -> None:
    """And without --deploy not, because it is right for development."""
    with override_settings(KEYTURN={**BASE, **SAFE, **changes}):
        assert name in ids(deploy=True)
        assert name not in ids()
    with override_settings(KEYTURN={**BASE, **SAFE}):
        assert name not in ids(deploy=True)


def test_atomic_requests_are_pointed_out() -> None:
    """Because a refresh cannot run inside them."""
    settings = connections["default"].settings_dict
    settings["ATOMIC_REQUESTS"] = True
    try:
        assert ids() == {"keyturn.W002"}
    finally:
        settings["ATOMIC_REQUESTS"] = False


class Elsewhere:
    """A router that would part the tables."""

    def allow_migrate(self, *_: str, model_name: str | None = None, **__: Any) -> bool | None:
        """Let denials be nowhere."""
        return False if model_name == "denial" else None


def test_routers_that_part_the_tables_are_found() -> None:
    """Sessions, denials and the trail must be in one database."""
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.Elsewhere"]):
        assert ids() == {"keyturn.E007"}


def test_an_engine_that_nobody_has_tried_is_pointed_out(tmp_path: Path) -> None:
    """A database whose vendor is none of those that the tests run on."""
    with django_site.database("other", django_site.file_settings(tmp_path)) as alias:
        connections[alias].vendor = "oracle"
        with override_settings(KEYTURN={**BASE, "DATABASE": alias}):
            assert ids() == {"keyturn.W003"}


def test_every_id_is_documented() -> None:
    """The table in how-to/django.md has each id once, and no other."""
    source = Path(checks.__file__).read_text("utf-8")
    source += (Path(checks.__file__).parent / "settings.py").read_text("utf-8")
    used = set(re.findall(r"keyturn\.[EW]\d{3}", source))
    table = (ROOT / "docs/how-to/django.md").read_text("utf-8")
    documented = re.findall(r"^\| `(keyturn\.[EW]\d{3})` \|", table, re.MULTILINE)
    assert sorted(documented) == sorted(used)
