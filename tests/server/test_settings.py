"""Settings: one name everywhere, every value checked, each of them read somewhere."""

from __future__ import annotations

import ast
from dataclasses import fields
from functools import cache
from typing import Any

import pytest

from keyturn.errors import ConfigurationError
from keyturn.http import HttpSettings
from keyturn.policy import Policy
from keyturn.server.settings import BY_NAME, SETTINGS, Setting, Settings, check_names
from tests.support.sources import modules

# Who carries settings about, by the last part of its name; `self` counts inside the classes of settings.
CARRIERS = {"settings", "policy", "_settings", "_policy"}
OWNERS = {"Settings", "HttpSettings", "Policy"}
CODE = {"device_from", "context_from"}  # functions: no flag and no file can give them


def names_read(tree: ast.Module) -> set[str]:
    """Return the settings that a module reads. Checking a value does not count as reading it."""
    found: set[str] = set()

    def visit(node: ast.AST, owner: str) -> None:
        match node:
            case ast.ClassDef(name=name):
                owner = name
            case ast.FunctionDef(name=name) if owner in OWNERS and (
                name == "__post_init__" or name.startswith("_check")
            ):
                return
            case ast.Attribute(attr=attr, value=ast.Name(id="self")) if owner in OWNERS:
                found.add(attr)
            case ast.Attribute(attr=attr, value=ast.Name(id=carrier) | ast.Attribute(attr=carrier)) if (
                carrier in CARRIERS
            ):
                found.add(attr)
            case _:
                pass
        for child in ast.iter_child_nodes(node):
            visit(child, owner)

    visit(tree, "")
    return found


@cache
def read_anywhere() -> set[str]:
    """Return the settings that are read in `src`."""
    return set().union(*(names_read(module.tree()) for module in modules().values()))


@pytest.mark.parametrize("name", BY_NAME)
def test_every_setting_is_read_somewhere(name: str) -> None:
    """A setting that nothing reads would be a promise that is not kept."""
    assert name in read_anywhere()


def test_a_setting_that_nobody_reads_is_found() -> None:
    """The search above finds reading only: neither a check nor another object's attribute counts."""
    source = (
        "class Policy:\n"
        "    def __post_init__(self):\n        self.checked\n"
        "    def use(self):\n        self.used\n"
        "parts.port\nsettings.host\n"
    )
    assert names_read(ast.parse(source)) == {"used", "host"}


def test_every_field_is_a_setting() -> None:
    """The policy's, the HTTP layer's and the server's fields all are in the one table, once."""
    expected = {field.name for owner in (Policy, HttpSettings, Settings) for field in fields(owner)}
    assert {setting.name for setting in SETTINGS} == expected - CODE
    assert len(SETTINGS) == len(BY_NAME)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_explained_and_reads_its_default(setting: Setting) -> None:
    """Each has a description, and its default is a value that it takes."""
    assert setting.help
    given: dict[str, Any] = {setting.name: setting.read(setting.default)}
    assert getattr(Settings(**given), setting.name) == getattr(Settings(), setting.name)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("race_window", "1s", 1.0),
        ("race_window", 2, 2.0),
        ("idle_ttl", "off", None),
        ("idle_ttl", "None", None),
        ("renew_within", "2m", 120.0),
        ("max_sessions_per_user", "3", 3),
        ("max_sessions_per_user", "none", None),
        ("rotation", "off", False),
        ("rotation", True, True),
        ("on_reuse", "USER", "user"),
        ("cookie_samesite", "lax", "Lax"),
        (
            "allowed_origins",
            "https://a.example, https://b.example",
            ("https://a.example", "https://b.example"),
        ),
        ("allowed_origins", ["https://a.example"], ("https://a.example",)),
        ("login_rate", "off", None),
        ("port", 8080, 8080),
    ],
)
def test_values_are_read(name: str, given: object, value: object) -> None:
    """Text from flags and variables, and the values of a TOML file, mean the same."""
    assert BY_NAME[name].read(given) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("race_window", "soon"),
        ("race_window", True),
        ("absolute_ttl", "off"),
        ("rotation", "perhaps"),
        ("port", "eighty"),
        ("port", True),
        ("port", "-1"),
        ("on_reuse", "all"),
        ("log_level", 3),
        ("allowed_origins", [1]),
        ("store", 5),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, given: object) -> None:
    """What is no value of a setting is an error that names the setting."""
    with pytest.raises(ConfigurationError, match=name):  # noqa: PT012  (either step may refuse it)
        values: dict[str, Any] = {name: BY_NAME[name].read(given)}
        Settings(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": 0}, "port must be from 1"),
        ({"port": 70_000}, "port must be from 1"),
        ({"host": ""}, "host must not be empty"),
        ({"login_rate": "often"}, "login_rate must be like"),
        ({"login_rate": "10/minute, 100/hour"}, "login_rate must be like"),
        ({"login_rate": "0/minute"}, "at least one attempt"),
        ({"log_format": "xml"}, "log_format must be one of"),
        ({"key_algorithm": "none"}, "key_algorithm must be one of"),
        ({"access_ttl": "30d"}, "access_ttl must be shorter"),
        ({"cookie_path": "/other"}, "cookie_path"),
    ],
)
def test_settings_check_themselves(values: dict[str, Any], message: str) -> None:
    """Code that gives settings gets the same checks, the policy's and the HTTP layer's included."""
    with pytest.raises(ConfigurationError, match=message):
        Settings(**values)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, "sqlite:///keyturn.db"),
        ({"store": "sqlite:////var/keyturn.db"}, "sqlite:////var/keyturn.db"),
        ({"store": "postgresql://db/x"}, "postgresql://db/x"),
        ({"store": "mysql://db/x", "authenticator": "shop:check"}, "mysql://db/x"),
        ({"store": "memory://"}, "memory://"),
        ({"store": "redis://db"}, "sqlite:///keyturn.db"),
        ({"store": "redis+cluster://db:1", "users": "mysql://db/x"}, "mysql://db/x"),
        ({"store": "postgresql://db/x", "users": "sqlite:///users.db"}, "sqlite:///users.db"),
        ({"store": "redis://db", "authenticator": "shop:check"}, None),
    ],
)
def test_where_users_are(values: dict[str, Any], place: str | None) -> None:
    """Beside the sessions where another table can be; the default's file otherwise; or where it is said."""
    assert Settings(**values).users_url == place


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"store": "oracle://scott:hunter2@db/x"}, "store: there is no store for oracle://"),
        ({"users": "oracle://scott:hunter2@db/x"}, "users: there is no store for oracle://"),
        ({"users": "redis://:hunter2@db"}, "users: Redis keeps sessions only"),
        ({"store": "hunter2"}, "store: that is not the URL of a store"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    """The message names the setting, and quotes nothing of the URL."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        Settings(**values)
    assert "hunter2" not in str(caught.value)


def test_no_password_is_in_a_repr() -> None:
    """Settings may be printed: what a URL holds is left out."""
    settings = Settings(store="redis://:hunter2@db", users="mysql://u:hunter2@db/x")
    assert "hunter2" not in repr(settings)


def test_an_unknown_name_names_the_nearest() -> None:
    """A slip of the pen in a file is found, with the name that was meant."""
    with pytest.raises(ConfigurationError, match="'acess_ttl'; did you mean 'access_ttl'"):
        check_names({"acess_ttl": "5m"}, where="keyturn.toml")


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:8000"),
        ("127.8.8.8", True, "http://127.8.8.8:8000"),
        ("::1", True, "http://[::1]:8000"),
        ("localhost", True, "http://localhost:8000"),
        ("0.0.0.0", False, "http://0.0.0.0:8000"),  # noqa: S104  (that it is public is what is tested)
        ("example.com", False, "http://example.com:8000"),
    ],
)
def test_where_it_listens(host: str, loopback: bool, url: str) -> None:  # noqa: FBT001  (a column of a table)
    """What counts as reachable by others is decided on the address."""
    settings = Settings(host=host)
    assert (settings.is_loopback, settings.url) == (loopback, url)
