"""Holds the policy: defaults, presets, what each field accepts, and how they must fit together."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import Policy
from keyturn.errors import ConfigurationError

DEFAULTS: dict[str, Any] = {
    "access_ttl": 900.0,
    "idle_ttl": 7 * 86_400.0,
    "absolute_ttl": 90 * 86_400.0,
    "race_window": 10.0,
    "recovery_window": 86_400.0,
    "rotation": True,
    "on_race": "converge",
    "on_reuse": "session",
    "refresh_format": "opaque",
    "max_sessions_per_user": None,
    "on_session_limit": "evict",
    "on_store_error": "refuse",
    "revocation": "view",
    "max_staleness": 5,
    "verified_tokens": 10_000,
    "leeway": 5.0,
    "audit_retention": None,
}


def test_the_defaults_are_those_of_the_documentation() -> None:
    """A policy without arguments has the documented values, in the documented order."""
    assert list(Policy().as_dict().items()) == list(DEFAULTS.items())
    assert [field.name for field in fields(Policy)] == list(DEFAULTS)


def test_a_policy_reads_back_what_it_was_given() -> None:
    """Every field may be given on its own, durations in any form."""
    given_values: dict[str, Any] = {
        "access_ttl": timedelta(minutes=5),
        "idle_ttl": None,
        "absolute_ttl": "30d",
        "race_window": 0,
        "recovery_window": "0",
        "rotation": False,
        "on_race": "conflict",
        "on_reuse": "user",
        "refresh_format": "jwt",
        "max_sessions_per_user": 3,
        "on_session_limit": "refuse",
        "on_store_error": "allow",
        "revocation": "strict",
        "max_staleness": "500ms",
        "verified_tokens": 0,
        "leeway": "60s",
        "audit_retention": "1h",
    }
    read = {
        **given_values,
        "access_ttl": 300,
        "absolute_ttl": 30 * 86_400,
        "recovery_window": 0,
        "max_staleness": 0.5,
        "leeway": 60,
        "audit_retention": 3600,
    }
    assert Policy(**given_values).as_dict() == read
    for name, value in given_values.items():
        assert Policy(**{name: value}).as_dict() == {**DEFAULTS, name: read[name]}
    assert Policy(**read) == Policy(**given_values)


def test_a_policy_is_frozen() -> None:
    """A policy cannot change under a running server, and works as a key."""
    policy = Policy()
    for name, value in DEFAULTS.items():
        with pytest.raises(FrozenInstanceError):
            setattr(policy, name, value)
    assert hash(policy) == hash(Policy())
    with pytest.raises(TypeError):
        Policy("5m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # fields are given by name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("access_ttl", "soon", "access_ttl must be a duration such as"),
        ("access_ttl", None, "access_ttl must be a duration such as"),
        ("access_ttl", 0, "access_ttl must be at least 1 second"),
        ("access_ttl", "999ms", "access_ttl must be at least 1 second"),
        ("access_ttl", "7d", "access_ttl must be shorter than idle_ttl (604800s)"),
        ("idle_ttl", "0", "idle_ttl must be at least 1 second"),
        ("idle_ttl", "91d", "idle_ttl must not be longer than absolute_ttl (7776000s)"),
        ("idle_ttl", -1, "idle_ttl must be between 0 and 100 years"),
        ("absolute_ttl", None, "absolute_ttl must be a duration such as"),
        ("absolute_ttl", "1d", "idle_ttl must not be longer than absolute_ttl (86400s)"),
        ("absolute_ttl", float("nan"), "absolute_ttl must be between 0 and 100 years"),
        ("race_window", -1, "race_window must be between 0 and 100 years"),
        ("race_window", None, "race_window must be a duration such as"),
        ("race_window", "7d", "race_window must be shorter than idle_ttl (604800s)"),
        ("race_window", "25h", "recovery_window must not be shorter than race_window"),
        ("recovery_window", "90d", "recovery_window must be shorter than absolute_ttl"),
        ("recovery_window", "9s", "recovery_window must not be shorter than race_window"),
        ("rotation", "no", "rotation must be True or False, not 'no'"),
        ("rotation", 1, "rotation must be True or False, not 1"),
        ("on_race", "409", "on_race must be one of converge, conflict, not '409'"),
        ("on_race", None, "on_race must be one of converge, conflict, not None"),
        ("on_race", ["converge"], "on_race must be one of converge, conflict, not ['converge']"),
        ("on_reuse", "all", "on_reuse must be one of session, user, not 'all'"),
        ("on_reuse", "User", "on_reuse must be one of session, user, not 'User'"),
        ("refresh_format", "JWT", "refresh_format must be one of opaque, jwt, not 'JWT'"),
        ("max_sessions_per_user", 0, "max_sessions_per_user must be a whole number from 1, or None, not 0"),
        ("max_sessions_per_user", True, "max_sessions_per_user must be a whole number from 1"),
        ("max_sessions_per_user", 2.5, "max_sessions_per_user must be a whole number from 1"),
        ("max_sessions_per_user", "3", "max_sessions_per_user must be a whole number from 1"),
        ("on_session_limit", "", "on_session_limit must be one of evict, refuse, not ''"),
        ("on_store_error", "ignore", "on_store_error must be one of refuse, allow, not 'ignore'"),
        ("revocation", "always", "revocation must be one of view, strict, none, not 'always'"),
        ("max_staleness", 0, "max_staleness must be at least 0.1s; revocation='strict' has none"),
        ("max_staleness", None, "max_staleness must be a duration such as"),
        ("verified_tokens", -1, "verified_tokens must be a whole number from 0, not -1"),
        ("verified_tokens", True, "verified_tokens must be a whole number from 0, not True"),
        ("verified_tokens", "9", "verified_tokens must be a whole number from 0, not '9'"),
        ("leeway", "61s", "leeway must be at most 60s"),
        ("leeway", None, "leeway must be a duration such as"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any, message: str) -> None:
    """Each wrong value is a `ConfigurationError` at construction that says which field and what it may be."""
    with pytest.raises(ConfigurationError) as caught:
        Policy(**{name: value})
    assert str(caught.value).startswith(message)


def test_an_unknown_field_is_refused() -> None:
    """A misspelt setting is an error and not a default."""
    misspelt: dict[str, Any] = {"race_windw": "1s"}
    with pytest.raises(TypeError, match="race_windw"):
        Policy(**misspelt)


@pytest.mark.parametrize(
    "limits", [{"idle_ttl": "1h", "absolute_ttl": "1h"}, {"idle_ttl": None, "absolute_ttl": "16m"}]
)
def test_limits_may_touch(limits: dict[str, Any]) -> None:
    """The idle limit may be as long as the absolute one, or absent; windows then follow."""
    assert Policy(**limits, race_window=0, recovery_window=0).access_ttl == 900


def test_without_an_idle_limit_access_tokens_nest_in_the_absolute_one() -> None:
    """With `idle_ttl=None` it is the absolute limit that access tokens must be shorter than."""
    with pytest.raises(ConfigurationError, match=r"shorter than absolute_ttl \(900s\)"):
        Policy(idle_ttl=None, absolute_ttl="15m", race_window=0, recovery_window=0)


@pytest.mark.parametrize(
    ("preset", "differs"),
    [
        (Policy.strict(), {"race_window": 0, "recovery_window": 0}),
        (Policy.stateless_resources(), {"access_ttl": 300, "recovery_window": 0}),
        (
            Policy.mobile(),
            {"idle_ttl": 60 * 86_400, "absolute_ttl": 365 * 86_400, "recovery_window": 604_800},
        ),
        (
            Policy.aal2(),
            {"access_ttl": 300, "idle_ttl": 3600, "absolute_ttl": 86_400, "recovery_window": 3600},
        ),
    ],
    ids=["strict", "stateless_resources", "mobile", "aal2"],
)
def test_the_presets(preset: Policy, differs: dict[str, float]) -> None:
    """Each preset differs from the defaults in what it is named for, and in nothing else."""
    assert preset.as_dict() == {**DEFAULTS, **differs}


@given(
    access=st.floats(0, 1e7),
    idle=st.none() | st.floats(0, 1e7),
    absolute=st.floats(0, 1e7),
    race=st.floats(0, 1e7),
    recovery=st.floats(0, 1e7),
)
def test_what_is_accepted_nests(
    access: float, idle: float | None, absolute: float, race: float, recovery: float
) -> None:
    """Whatever is accepted satisfies access, race < idle <= absolute, and race <= recovery < absolute."""
    try:
        policy = Policy(
            access_ttl=access,
            idle_ttl=idle,
            absolute_ttl=absolute,
            race_window=race,
            recovery_window=recovery,
        )
    except ConfigurationError:
        return
    nearest = policy.absolute_ttl if policy.idle_ttl is None else policy.idle_ttl
    assert 1 <= policy.access_ttl < nearest <= policy.absolute_ttl
    assert policy.race_window < nearest
    assert policy.recovery_window < policy.absolute_ttl
    assert policy.recovery_window == 0 or policy.race_window <= policy.recovery_window
