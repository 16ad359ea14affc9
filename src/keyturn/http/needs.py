"""What a route asks: scopes, roles, claims, a recent sign-in. It knows no request and no manager."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, Final, TypeAlias, TypedDict, cast, get_args

from typing_extensions import Unpack

from keyturn._core.encoding import is_array
from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError
from keyturn.manager_base import wrong_check
from keyturn.policy import RevocationCheck

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a route asks of a request.

    Attributes:
        optional: Whether nobody need be signed in. A token that is sent must be acceptable all the same.
        scopes: What the token's `scope` claim must hold, all of it.
        claims: Names and values of claims, all of which it must hold. A claim that is a list holds each of
            its values; where the wanted value is a list, one of its values is enough.
        revocation: How the token is checked for revocation: in this process's "view", "strict" in the store,
            or "none" at all; None: as the policy says.
        fresh: How many seconds ago the user may have signed in at most (`auth_time`, which a refresh keeps);
            None: it does not matter.
    """

    optional: bool = False
    scopes: tuple[str, ...] = ()
    claims: tuple[tuple[str, Any], ...] = ()
    fresh: float | None = None
    revocation: RevocationCheck | None = None

    def __post_init__(self) -> None:
        """Refuse what would never be met.

        Raises:
            ConfigurationError: The scopes are one text, where a tuple of names is meant; one of them is no
                name (RFC 6749, section 3.3); or there is no such way of checking.
        """
        scopes: object = self.scopes
        if isinstance(scopes, str):
            raise ConfigurationError(f"scopes must be a tuple such as ({scopes!r},)")
        for scope in cast("Iterable[object]", scopes):
            if not isinstance(scope, str):  # a repr of it might tell what a request holds
                kind = type(scope).__name__
                raise ConfigurationError(
                    f"a scope is a name, not a {kind}; is it require() that lacks its parentheses?"
                )
            if not _SCOPE.fullmatch(scope):
                raise ConfigurationError(f"a scope is one name without spaces, not {scope!r}")
        if self.revocation not in (None, *get_args(RevocationCheck)):
            raise wrong_check(str(self.revocation))


EVERYBODY: Final = Needs()
"""Anybody with an acceptable token."""

Requirements: TypeAlias = Mapping[str, Mapping[str, Any] | Needs]
"""What paths need: claims, such as `{"/admin/*": {"roles": "admin"}}`, or what `needs` gives."""


class NeedsOptions(TypedDict, total=False):
    """What a route may ask beside scopes: the keyword arguments of `needs` and of each framework's guard."""

    optional: bool
    """Whether nobody need be signed in. A token that is sent must be acceptable all the same."""
    roles: tuple[str, ...]
    """Roles of which the `roles` claim must hold one (RFC 9068, section 2.2.3.1)."""
    claims: Mapping[str, Any]
    """Which claims the token must hold, such as `{"tenant": "acme"}`: see `Needs`."""
    fresh: Duration | None
    """How long ago the user may have signed in at most, such as "5m" (RFC 9470)."""
    revocation: RevocationCheck | None
    """How the token is checked: "view", "strict" or "none"; None: as the policy says."""


_NO_CLAIMS: Final = frozenset({*NeedsOptions.__annotations__, "scopes"}) - {"roles"}
"""What is an option of `needs`, or looks like one; `roles` is the name of a claim too."""


def needs(*scopes: str, **options: Unpack[NeedsOptions]) -> Needs:
    """Say what a route asks of a request.

    Args:
        scopes: What the token's `scope` must hold, all of it.
        options: See `NeedsOptions`.

    Raises:
        ConfigurationError: It would never be met; or there is no such option.

    Examples:
        >>> needs("orders:read", roles=("admin", "clerk"), fresh="5m").fresh
        300.0
    """
    # A type checker sees such a typo, and not everybody has one: it must not guard less than it says.
    if unknown := sorted(set(options) - set(NeedsOptions.__annotations__)):
        known = ", ".join(NeedsOptions.__annotations__)
        raise ConfigurationError(f"there is no option {unknown[0]!r}: scopes stand first, then {known}")
    roles: object = options.get("roles", ())
    if isinstance(roles, str):
        raise ConfigurationError(f"roles must be a tuple such as ({roles!r},)")
    if "roles" in options and not roles:
        raise ConfigurationError(
            "roles are empty: who has none of no roles? Leave them out to let anybody in"
        )
    wanted = dict(options.get("claims") or {})
    if roles and "roles" in wanted:
        raise ConfigurationError("say which roles are needed in roles or in claims, not in both")
    if roles:
        wanted["roles"] = list(cast("Iterable[str]", roles))
    wanted = {name: _as_in_tokens(value) for name, value in wanted.items()}
    fresh = options.get("fresh")
    return Needs(
        optional=options.get("optional", False),
        scopes=scopes,
        claims=tuple(wanted.items()),
        fresh=None if fresh is None else seconds(fresh, name="fresh"),
        revocation=options.get("revocation"),
    )


def needs_at(path: str, what: object) -> Needs:
    """Read one of the `Requirements`.

    Args:
        path: Where it is needed, for the error.
        what: What `needs` gives, or claims.

    Raises:
        ConfigurationError: It is neither; or a claim has the name of an option, which is hardly meant.

    Examples:
        >>> needs_at("/admin/*", {"roles": "admin"}) == needs(claims={"roles": "admin"})
        True
    """
    if isinstance(what, Needs):
        return what
    if not isinstance(what, Mapping):
        kind = what.__name__ if isinstance(what, type) else type(what).__name__
        raise ConfigurationError(
            f'require: what {path!r} needs is a dict of claims such as {{"roles": "admin"}}, '
            f"or needs(…), not a {kind}"
        )
    claims = cast("Mapping[str, Any]", what)
    for name, value in claims.items():
        if name in _NO_CLAIMS:
            meant = 'needs("orders:read")' if name == "scopes" else f"needs({name}={value!r})"
            raise ConfigurationError(
                f"require: a dict is claims, so {name!r} would be one at {path!r}; write {meant}, "
                "or needs(claims={…}) if a claim is meant"
            )
    return needs(claims=claims)


def _as_in_tokens(wanted: object) -> object:
    """Give a wanted value as a token has it: members of enumerations stand for their values.

    Raises:
        ConfigurationError: No token has such a value, so nobody would ever meet it.
    """
    match wanted:
        case Enum():
            return _as_in_tokens(wanted.value)
        case list() | tuple() | set() | frozenset():
            return [_as_in_tokens(each) for each in cast("Iterable[object]", wanted)]
        case str() | bool() | int() | float() | None:
            return wanted
        case _:
            raise ConfigurationError(f"no claim is a {type(wanted).__name__}: write it as it is in JSON")


def all_of(several: Iterable[Needs]) -> Needs:
    """Put needs together, each of which must be met: the strictest of each kind counts."""
    found = tuple(several)
    if len(found) <= 1:
        return found[0] if found else EVERYBODY
    ages = [each.fresh for each in found if each.fresh is not None]
    checks: set[RevocationCheck | None] = {each.revocation for each in found}
    return Needs(
        optional=all(each.optional for each in found),
        scopes=tuple(chain.from_iterable(each.scopes for each in found)),
        claims=tuple(chain.from_iterable(each.claims for each in found)),
        fresh=min(ages, default=None),
        revocation=_strictest(checks),
    )


def _strictest(checks: Collection[RevocationCheck | None]) -> RevocationCheck | None:
    """Give the strictest way of checking; "as the policy says" is stricter than none at all."""
    order: tuple[RevocationCheck | None, ...] = ("strict", "view", None, "none")
    return next(check for check in order if check in checks)


def scopes_of(scope: object) -> tuple[str, ...]:
    """Read a `scope` claim: names with spaces between them (RFC 8693, section 4.2), or a list of names."""
    if isinstance(scope, str):
        return tuple(scope.split())
    return tuple(each for each in scope if isinstance(each, str)) if is_array(scope) else ()


def holds(claim: object, wanted: object) -> bool:
    """Tell whether a claim holds what is wanted: see `Needs.claims`."""
    if isinstance(wanted, tuple | set):  # whoever writes a rule may use any collection; JSON has only lists
        wanted = list(cast("Collection[object]", wanted))
    held, options = (value if is_array(value) else [value] for value in (claim, wanted))
    # True is no 1 here: Python would call them equal.
    return any(type(one) is type(other) and one == other for one in held for other in options)
