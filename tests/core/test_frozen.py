"""Frozen dataclasses that are made quickly: that nothing but the time it takes has changed."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from keyturn._core.frozen import quickly_made
from keyturn.results import Principal, TokenPair


@dataclass(frozen=True, slots=True)
class Plain:
    """As dataclasses make it."""

    one: str
    two: int = 2
    three: str | None = field(default=None, repr=False)
    four: list[str] = field(default_factory=list[str])


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quickly made."""

    one: str
    two: int = 2
    three: str | None = field(default=None, repr=False)
    four: list[str] = field(default_factory=list[str])


class Sub(Quick):
    """A class of its own on top of it."""


QUICK: list[type[Any]] = [Quick, Principal, TokenPair]


@pytest.mark.parametrize(
    ("args", "named"), [(("a",), {}), (("a", 1), {"three": "c"}), ((), {"two": 5, "one": "a", "four": ["d"]})]
)
def test_it_is_made_and_shown_as_before(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Positions, names and defaults mean what they meant; what is hidden stays hidden."""
    quick, plain = Quick(*args, **named), Plain(*args, **named)
    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert [getattr(quick, one.name) for one in fields(quick)] == [
        getattr(plain, one.name) for one in fields(plain)
    ]


@pytest.mark.parametrize("wrong", [{}, {"one": 1, "five": 5}])
def test_wrong_arguments_are_refused_as_before(wrong: dict[str, Any]) -> None:
    """What is missing or not known is a TypeError that names it."""
    with pytest.raises(TypeError) as plain:
        Plain(**wrong)
    with pytest.raises(TypeError) as quick:
        Quick(**wrong)
    assert str(quick.value) == str(plain.value).replace("Plain", "Quick")


@pytest.mark.parametrize("cls", QUICK)
def test_its_signature_is_that_of_its_fields(cls: type[Any]) -> None:
    """Editors, documentation and frameworks see the same parameters, types and defaults."""
    parameters = inspect.signature(cls).parameters
    assert [(one.name, one.annotation) for one in parameters.values()] == [
        (one.name, one.type) for one in fields(cls)
    ]
    assert cls.__init__.__qualname__ == f"{cls.__qualname__}.__init__"
    assert cls.__init__.__module__ == cls.__module__
    assert inspect.signature(Quick).parameters["two"].default == 2


@pytest.mark.parametrize("cls", QUICK)
def test_it_is_frozen_and_copied_as_before(cls: type[Any]) -> None:
    """Nothing can be changed, added or removed; copies, pickles and `replace` give equals."""
    names = [one.name for one in fields(cls)]
    value = cls(*names)
    for name in (*names, "more"):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(value, name, "other")
    with pytest.raises(FrozenInstanceError):
        delattr(value, names[0])
    assert [getattr(value, name) for name in names] == names
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), replace(value)):  # noqa: S301  (our own)
        assert type(twin) is cls
        assert twin == value
        assert hash(twin) == hash(value)
    assert replace(value, **{names[0]: "other"}) != value


def test_a_factory_makes_a_new_default_each_time() -> None:
    """What a factory makes is shared by no two values."""
    assert Quick("a").four == []
    assert Quick("a").four is not Quick("a").four


def test_a_subclass_stays_one() -> None:
    """Making a value of a subclass gives the subclass."""
    assert type(Sub("a")) is Sub
    assert (Sub("a").one, Sub("a").two) == ("a", 2)


def test_other_classes_are_refused() -> None:
    """What the quick way would get wrong is refused when the class is made."""

    @dataclass(frozen=True)
    class NoSlots:
        one: str

    @dataclass(frozen=True, slots=True)
    class Absent:
        one: str = field(default="a", init=False)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        one: str

    @dataclass(frozen=True, slots=True)
    class Checked:
        one: str

        def __post_init__(self) -> None:
            """Do something that would be left out."""

    for cls in (NoSlots, Absent, Named, Checked):
        with pytest.raises(TypeError, match="ordinary fields"):
            quickly_made(cls)
