"""JSON values that nobody can change: what is verified once is handed to many. They know no token.

They are a `dict` and a `list` to everybody who reads them; copies of them are plain ones.
"""

from __future__ import annotations

from typing import Any, NoReturn

from keyturn._core.encoding import is_array, is_object


class ReadOnlyDict(dict[str, Any]):
    """A JSON object that cannot be changed."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Copy and pickle as a plain one."""
        return dict, (dict(self),)


class ReadOnlyList(list[Any]):
    """A JSON array that cannot be changed."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Copy and pickle as a plain one."""
        return list, (list(self),)


def read_only(value: dict[str, Any]) -> dict[str, Any]:
    """Give a JSON object, with all that is in it, as one that cannot be changed.

    Examples:
        >>> claims = read_only({"roles": ["member"]})
        >>> claims
        {'roles': ['member']}
        >>> claims["roles"].append("admin")
        Traceback (most recent call last):
        ...
        TypeError: verified claims are read-only: change a copy of them
    """
    return ReadOnlyDict({name: _frozen(member) for name, member in value.items()})


def _frozen(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if is_object(value):
        return read_only(value)
    if is_array(value):
        return ReadOnlyList(map(_frozen, value))
    return value


def _refuse(_: object, *__: object, **___: object) -> NoReturn:
    raise TypeError("verified claims are read-only: change a copy of them")


_CHANGING = {
    ReadOnlyDict: (
        "clear",
        "pop",
        "popitem",
        "setdefault",
        "update",
        "__setitem__",
        "__delitem__",
        "__ior__",
    ),
    ReadOnlyList: (
        *("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"),
        *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
    ),
}

for _kind, _names in _CHANGING.items():
    for _name in _names:
        setattr(_kind, _name, _refuse)
