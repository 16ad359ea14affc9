"""The guard of an application's own routes: who asks, and may they. It knows no framework.

Rule 1: what is not exempt needs an acceptable access token.
Rule 2: renewing a token on the way never fails a request.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final, TypeAlias

from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.http.calls import AsyncBackend, Backend, Step, call, drive, drive_async
from keyturn.http.credentials import SOCKET_HEADER, is_socket, read_bearer
from keyturn.http.given import check_manager, settings_of
from keyturn.http.messages import Headers, HttpReply, HttpRequest
from keyturn.http.needs import EVERYBODY, Needs, Requirements, all_of, holds, needs_at, scopes_of
from keyturn.http.origins import CORS_HEADERS, REFRESHED_HEADER, cors_headers, is_preflight, preflight_reply
from keyturn.http.page import Page
from keyturn.http.places import Places
from keyturn.http.replies import insufficient_scope, no_credentials, refuse, stale_sign_in
from keyturn.http.routes import is_endpoint, places_of
from keyturn.http.settings import HttpSettings
from keyturn.http.site import authenticate
from keyturn.http.sockets import Ending, until_over
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.manager_base import ManagerBase
from keyturn.policy import RevocationCheck
from keyturn.results import ClaimsT, Principal

LIST_VALUED: Final = frozenset({"Access-Control-Expose-Headers"})
"""Headers that are added to an application's own of that name; all others replace them."""


def put_headers(
    headers: Headers, add: Callable[[str, str], object], replace: Callable[[str, str], object]
) -> None:
    """Put headers into an application's answer, in the two ways that its framework has: see `LIST_VALUED`."""
    for name, value in headers:
        (add if name in LIST_VALUED else replace)(name, value)


_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@dataclass(frozen=True, slots=True)
class Admitted:
    """The request may pass.

    Attributes:
        principal: Who asks; None where the route is exempt or asks nobody to sign in.
        scopes: What the `scope` claim allows (RFC 9068, section 2.2.3), as the manager's claims model has it.
        headers: What the answer must carry, instead of any header of the same name (but see `LIST_VALUED`).
        revocation: How the token was checked for revocation: see `Needs`.
    """

    principal: Principal[Any] | None
    scopes: tuple[str, ...] = ()
    headers: Headers = field(default=(), repr=False)
    revocation: RevocationCheck | None = None


def signed_in(principal: Principal[ClaimsT] | None) -> Principal[ClaimsT]:
    """Give who asks, to what needs somebody who is signed in.

    Raises:
        ConfigurationError: Nothing guards the route, or nobody need be signed in there and nobody is.
    """
    if principal is None:
        raise ConfigurationError("nobody is signed in here: guard the route, and not as optional")
    return principal


Verdict: TypeAlias = Admitted | HttpReply
"""A request may pass, or this is what to answer it."""

Admission: TypeAlias = Step[Verdict]

_drive: Callable[[Admission, Backend], Verdict] = drive  # type: ignore[assignment] # mypy takes a union for object


@dataclass(frozen=True, slots=True)
class Rules:
    """What a guard is made of.

    Attributes:
        manager: Of either colour; the rules use only what needs no I/O.
        settings: How tokens travel.
        exempt: Which paths need nothing: exact ones, and with "/*" at the end a path and all below it.
        require: What paths need, in the same way; several that fit must all be met.
        places: Where the endpoints are, which see to their own callers.
    """

    manager: ManagerBase[Any]
    settings: HttpSettings
    exempt: tuple[str, ...]
    require: tuple[tuple[str, Needs], ...]
    places: Places

    def begin(self, request: HttpRequest, needs: Needs, known: Admitted | None = None) -> Admission:
        """Take the first step; what is wrong with the request is an answer too."""
        try:
            if known and known.principal and known.revocation == needs.revocation:
                return self._judge(known.principal, needs)
            return self._begin(request, needs)
        except KeyturnError as error:
            return self._refuse(request, error)

    def begin_identity(self, request: HttpRequest, *, endpoints: bool) -> Admission:
        """Take the first step of a request that nobody need be signed in for; exempt paths ask nobody."""
        if self._is_exempt(request, endpoints=endpoints):
            return Admitted(None)
        return self.begin(request, Needs(optional=True))

    def begin_path(self, request: HttpRequest, *, endpoints: bool) -> Admission:
        """Take the first step of a request that is judged by its path."""
        if self._is_exempt(request, endpoints=endpoints):
            return Admitted(None)
        if is_preflight(request):  # browsers send no token with it
            return self._for_other_origins(request, preflight_reply(request, self.settings, _METHODS))
        return self.begin(request, self._needs_of(request.path))

    def asks(self, path: str, *, endpoints: bool) -> bool:
        """Tell whether a path needs somebody who is signed in."""
        asked = HttpRequest("GET", path)
        return not self._is_exempt(asked, endpoints=endpoints) and not self._needs_of(path).optional

    def _needs_of(self, path: str) -> Needs:
        plain = posixpath.normpath("/" + path.lstrip("/"))  # as generously as any server may read it
        return all_of(found for pattern, found in self.require if covers(pattern, plain))

    def _is_exempt(self, request: HttpRequest, *, endpoints: bool) -> bool:
        if endpoints and is_endpoint(self.places, request.path) and not is_socket(request):
            return True  # the endpoints see to their own callers; none is a socket
        return any(covers(pattern, request.path) for pattern in self.exempt)

    def _begin(self, request: HttpRequest, needs: Needs) -> Admission:
        token = read_bearer(request, self.settings)
        if token is None:
            if needs.optional:
                return Admitted(None)
            raise no_credentials()

        def go_on(principal: Principal[Any]) -> Admission:
            admitted = self._judge(principal, needs)
            return admitted if is_socket(request) else self._renewed(token, admitted)

        return authenticate(token, go_on, lambda error: self._refuse(request, error), needs.revocation)

    def _judge(self, principal: Principal[Any], needs: Needs) -> Admitted:
        claims = self.manager.dump_claims(principal.claims)
        scopes = scopes_of(claims.get("scope"))
        if needs.scopes and not set(needs.scopes) <= set(scopes):
            raise insufficient_scope(needs.scopes)
        if needs.claims and not all(
            name in claims and holds(claims[name], wanted) for name, wanted in needs.claims
        ):
            raise insufficient_scope()
        if needs.fresh is not None and not self._is_fresh(principal, needs.fresh):
            raise stale_sign_in(needs.fresh)
        return Admitted(principal, scopes, revocation=needs.revocation)

    def _is_fresh(self, principal: Principal[Any], most: float) -> bool:
        signed_in = principal.auth_time
        return signed_in is not None and self.manager.now() - signed_in <= most

    def _renewed(self, token: str, admitted: Admitted) -> Admission:
        within, principal = self.settings.renew_within, admitted.principal
        if within is None or principal is None or principal.expires_at - self.manager.now() > within:
            return admitted
        return call(
            lambda backend: backend.manager.renew(token),
            lambda fresh: replace(
                admitted,
                headers=(
                    (REFRESHED_HEADER, fresh.access_token),
                    ("Access-Control-Expose-Headers", REFRESHED_HEADER),
                    ("Cache-Control", "no-store"),
                ),
            ),
            lambda _: admitted,
        )

    def _refuse(self, request: HttpRequest, error: KeyturnError) -> HttpReply:
        return self._for_other_origins(request, refuse(error))

    def _for_other_origins(self, request: HttpRequest, reply: HttpReply) -> HttpReply:
        return replace(reply, headers=(*reply.headers, *cors_headers(request, self.settings)))


def rules_of(
    manager: ManagerBase[Any],
    settings: HttpSettings,
    exempt: Iterable[str],
    require: Requirements,
    page: Page | None,
) -> Rules:
    """Check a guard's patterns. The endpoints themselves are exempt, too; other paths below them are not.

    Raises:
        ConfigurationError: See `check_paths`.
    """
    if isinstance(exempt, str):
        raise ConfigurationError(f"exempt must be a tuple such as ({exempt!r},)")
    patterns = tuple(exempt)
    return Rules(manager, settings, patterns, check_paths(patterns, require), places_of(settings, page))


def check_paths(exempt: Iterable[str], require: Requirements) -> tuple[tuple[str, Needs], ...]:
    """Check the patterns of paths, and give what they need.

    Raises:
        ConfigurationError: A pattern is none, or is spelled so that it would cover nothing; or what is
            required would never be asked, because it is exempt.
    """
    free = tuple(exempt)
    for pattern in (*free, *require):
        if not pattern.startswith("/") or "*" in pattern.removesuffix("/*"):
            raise ConfigurationError(f"a path must look like /health or /public/*, not {pattern!r}")
    for pattern in require:  # requests are compared in this spelling
        base = pattern.removesuffix("/*")
        if base and posixpath.normpath("/" + base.lstrip("/")) != base:
            plain = posixpath.normpath("/" + base.lstrip("/"))
            raise ConfigurationError(f"require: write {plain!r} (it covers {plain}/ too), not {pattern!r}")
    for pattern, open_to_all in product(require, free):
        if _contains(open_to_all, pattern):
            recipe = f'require={{"/*": needs(optional=True), {pattern!r}: …}}'
            raise ConfigurationError(
                f"require: {pattern!r} would ask nothing, since exempt has {open_to_all!r}, which covers it: "
                f"take one of the two away; to guard only some paths, write {recipe} without that exempt"
            )
    return tuple((path, needs_at(path, what)) for path, what in require.items())


def _contains(pattern: str, other: str) -> bool:
    """Tell whether a pattern covers all that another one covers."""
    base = pattern.removesuffix("/*")
    return pattern == other or (base != pattern and f"{other.removesuffix('/*')}/".startswith(f"{base}/"))


def _headers_read(settings: HttpSettings) -> tuple[str, ...]:
    return (settings.access_header.lower(), SOCKET_HEADER, *CORS_HEADERS)


def covers(pattern: str, path: str) -> bool:
    """Tell whether a pattern covers a path; one that servers may read in two ways is covered by none."""
    base = pattern.removesuffix("/*")
    if base == pattern:
        return path == pattern
    unclear = {"", ".", ".."} & set(path.removesuffix("/").split("/")[1:])
    return not unclear and (path == base or path.startswith(f"{base}/"))


class Guard:
    """The guard for frameworks with threads."""

    def __init__(
        self,
        manager: TokenManager[Any],
        *,
        settings: HttpSettings | None = None,
        exempt: Iterable[str] = (),
        require: Requirements | None = None,
        sessions_page: Page | None = None,
    ) -> None:
        """Set the guard up.

        Args:
            manager: The lifecycle.
            settings: How tokens travel; None: the defaults.
            exempt: Paths that need no token: exact ones, or with "/*" at the end a path and all below it.
            require: What paths need: claims, such as `{"/admin/*": {"roles": "admin"}}`, or `needs(…)`.
            sessions_page: The page that the endpoints have, if any, whose paths are theirs.

        Raises:
            ConfigurationError: A path is not usable, or the manager is none of this colour.
        """
        check_manager(manager, TokenManager)
        self._rules = rules_of(manager, settings_of(settings), exempt, require or {}, sessions_page)
        self._backend = Backend(manager)

    def check(
        self, request: HttpRequest, needs: Needs = EVERYBODY, *, known: Admitted | None = None
    ) -> Verdict:
        """Admit a request that brings what a route needs, or say what to answer it.

        Args:
            request: The request.
            needs: What the route needs.
            known: What this guard has said of the same request before: its token is not checked again, unless
                its revocation is to be checked in another way.
        """
        return _drive(self._rules.begin(request, needs, known), self._backend)

    def check_path(self, request: HttpRequest, *, endpoints: bool = True) -> Verdict:
        """Admit a request that brings what its path needs, or say what to answer it.

        Args:
            request: The request.
            endpoints: Whether the endpoints answer it, if it has the path of one; where the application
                itself does, that path is guarded as any other.
        """
        return _drive(self._rules.begin_path(request, endpoints=endpoints), self._backend)

    def identify(self, request: HttpRequest, *, endpoints: bool = True) -> Verdict:
        """Say who asks, if anybody does; a token that is sent must be acceptable, but on exempt paths.

        See `check_path`.
        """
        return _drive(self._rules.begin_identity(request, endpoints=endpoints), self._backend)


class AsyncGuard:
    """The guard for asyncio."""

    def __init__(
        self,
        manager: AsyncTokenManager[Any],
        *,
        settings: HttpSettings | None = None,
        exempt: Iterable[str] = (),
        require: Requirements | None = None,
        sessions_page: Page | None = None,
    ) -> None:
        """Set the guard up.

        See `Guard`.
        """
        check_manager(manager, AsyncTokenManager)
        self._rules = rules_of(manager, settings_of(settings), exempt, require or {}, sessions_page)
        self._backend = AsyncBackend(manager)
        self.reads = frozenset(name.encode() for name in _headers_read(self._rules.settings))
        """The headers that it looks at, in lower case; a leaf need not read others."""

    async def check(
        self, request: HttpRequest, needs: Needs = EVERYBODY, *, known: Admitted | None = None
    ) -> Verdict:
        """Admit a request that brings what a route needs, or say what to answer it: see `Guard.check`."""
        return await drive_async(self._rules.begin(request, needs, known), self._backend)

    async def check_path(self, request: HttpRequest, *, endpoints: bool = True) -> Verdict:
        """Admit a request that brings what its path needs, or say what to answer it.

        See `Guard.check_path`.
        """
        return await drive_async(self._rules.begin_path(request, endpoints=endpoints), self._backend)

    async def identify(self, request: HttpRequest, *, endpoints: bool = True) -> Verdict:
        """Say who asks, if anybody does; a token that is sent must be acceptable, but on exempt paths.

        See `Guard.check_path`.
        """
        return await drive_async(self._rules.begin_identity(request, endpoints=endpoints), self._backend)

    def asks(self, path: str, *, endpoints: bool = True) -> bool:
        """Tell whether a path that is guarded needs somebody who is signed in, as documents say it.

        Args:
            path: The path of a route; what its parameters will be does not matter.
            endpoints: See `Guard.check_path`.
        """
        return self._rules.asks(path, endpoints=endpoints)

    async def until_over(self, principal: Principal[Any]) -> Ending:
        """Wait until what an admitted WebSocket was opened with is over, and say how to close it."""
        return await until_over(self._backend.manager, principal)
