"""Holds the public names: sorted, documented, and at home under public paths."""

from __future__ import annotations

import inspect
import types

import pytest

import keyturn

NAMES: list[str] = list(vars(keyturn).get("__all__", ()))

# Names that users rely on; more may join, none may leave.
PROMISED = {"AccessVerifier", "AsyncTokenManager", "KeyRing", "Policy", "TokenManager"}


def public(name: str) -> object:
    """Return the object behind a public name."""
    return getattr(keyturn, name)


def test_all_is_sorted_and_names_nothing_twice() -> None:
    """`__all__` is sorted, so that a change to it is one line of a diff."""
    assert sorted(set(NAMES)) == NAMES


def test_all_is_what_is_public() -> None:
    """`__all__` names every public object of the package, and nothing that is not there."""
    found = {
        name
        for name, value in vars(keyturn).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert set(NAMES) - {"__version__"} == found


def test_promised_names_are_there() -> None:
    """The names that the documentation opens with exist."""
    assert set(NAMES) >= PROMISED


@pytest.mark.parametrize("name", NAMES)
def test_every_public_class_and_function_is_documented(name: str) -> None:
    """A public class or function has a docstring of its own, not its parent's."""
    value = public(name)
    if inspect.isclass(value) or inspect.isroutine(value):
        doc = value.__doc__ or ""
        assert doc.strip(), f"{name} has no docstring"
        assert not doc.startswith(f"{name}("), f"{name} has only the docstring that dataclass made"


@pytest.mark.parametrize("name", NAMES)
def test_public_methods_are_documented(name: str) -> None:
    """So has every public method and property of a public class."""
    value = public(name)
    if not inspect.isclass(value):
        return
    members = [
        member
        for member, each in vars(value).items()
        if not member.startswith("_") and (inspect.isroutine(each) or isinstance(each, property))
    ]
    assert [member for member in members if not inspect.getdoc(getattr(value, member))] == []


@pytest.mark.parametrize("name", NAMES)
def test_public_objects_live_under_public_paths(name: str) -> None:
    """Tracebacks and reprs name a path from which the object can be imported, with nothing private in it."""
    value = public(name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    assert value.__module__.partition(".")[0] == "keyturn"
    private = [part for part in value.__module__.split(".") if part.startswith("_")]
    assert private == [], f"{name}.__module__ is {value.__module__}"
    assert getattr(inspect.getmodule(value), value.__name__) is value
