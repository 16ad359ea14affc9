"""The page on which users see and end their sessions, without a script. It knows no template.

Rule 1: the refresh cookie says whose page it is, and is redeemed as at `POST /auth/refresh`: opening the page
is a refresh, so a stolen cookie gives itself away here, too.
Rule 2: what no person asked for redeems nothing: `HEAD`, what a browser fetches ahead of its user, and what
another site's page embeds.
Rule 3: what changes something is a `POST` of our own page's form, and ends in a redirect to the page.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast, get_args
from urllib.parse import parse_qsl

from keyturn.errors import KeyturnError
from keyturn.http.bodies import is_form, read_form, read_text
from keyturn.http.calls import SignIn, call
from keyturn.http.cookies import read_cookie
from keyturn.http.messages import Headers, HttpReply, HttpRequest
from keyturn.http.origins import check_navigation, check_origin
from keyturn.http.page import Done, Page, PageView
from keyturn.http.replies import invalid_request, refusal_of
from keyturn.http.signing_in import begin_session, checked, redeem
from keyturn.http.site import Answer, Site, cleared, kept
from keyturn.results import Principal, SessionInfo, TokenPair

_LOG: Final = logging.getLogger("keyturn")
MOST_SHOWN: Final = 100
"""How many sessions the page lists: those of the newest sign-ins, and the reader's own however old it is."""

_MAX_QUERY: Final = 64
_MAX_TARGET: Final = 64  # a session's id has 36 characters
_CREDENTIALS: Final = frozenset({"username", "password"})
_NO_STORE: Final = ("Cache-Control", "no-store")
_UNWRITTEN: Final = HttpReply(
    500,
    (("Content-Type", "text/plain; charset=utf-8"), _NO_STORE, ("X-Content-Type-Options", "nosniff")),
    b"This page could not be shown.",
)
_UNAUTHORIZED: Final = 401
_CONFLICT: Final = 409
_SIGNED_OUT: Final = frozenset({"this", "all"})


def lead_home(_site: Site, request: HttpRequest, *, home: str) -> Answer:
    """Lead from where the application wants the page to where it lives, in whatever that is mounted."""
    target = posixpath.relpath(home, posixpath.dirname(request.path))
    return HttpReply(303, (("Location", target), _NO_STORE))


def show(site: Site, request: HttpRequest, *, page: Page) -> Answer:
    """`GET`: the sessions of whoever sent the refresh cookie."""
    visit = _Visit(site, page, request)
    if _is_ahead_of_its_user(request):
        return HttpReply(503, (_NO_STORE,))  # which browsers do not keep; they ask again when it is wanted
    try:
        check_navigation(request)
        token = None if request.method == "HEAD" else read_cookie(request, site.settings)
    except KeyturnError as error:
        return visit.refused(error)
    done = _done(request)
    if token is None:
        return visit.answer(done=done if done in _SIGNED_OUT else None, asks_password=site.has_login)

    def go_on(who: Principal[Any], cookies: Headers) -> Answer:
        def listed(found: Iterable[SessionInfo]) -> HttpReply:
            ordered = _ordered(found)
            return visit.answer(
                cookies,
                sessions=ordered[:MOST_SHOWN],
                more=len(ordered) > MOST_SHOWN,
                done=None if done in _SIGNED_OUT else done,
            )

        def with_own(found: list[SessionInfo]) -> Answer:
            if any(session.current for session in found):
                return listed(found)
            return call(
                lambda backend: backend.manager.inspect(token),
                lambda own: listed([replace(own, current=True), *found] if own.active else found),
                failed,
            )

        def failed(error: KeyturnError) -> HttpReply:
            return visit.refused(error, cookies)

        return call(
            lambda backend: backend.manager.sessions(
                who.user_id, current=who.session_id, limit=MOST_SHOWN + 1
            ),
            with_own,
            failed,
        )

    return visit.redeemed(token, go_on)


def act(site: Site, request: HttpRequest, *, page: Page) -> Answer:
    """`POST`: ends a session of the user's (`end=<id>`), all others (`end=others`) or all (`end=all`).

    With a user name and a password it signs in, where the endpoints do.
    """
    visit = _Visit(site, page, request)
    try:
        check_origin(request, site.settings, simple=True)
        fields = _fields(request, _CREDENTIALS if site.has_login else frozenset())
        if "end" not in fields and site.has_login:
            return _sign_in(visit, fields)
        target = read_text(fields, "end", _MAX_TARGET)
        token = read_cookie(request, site.settings)
    except KeyturnError as error:
        return visit.refused(error)
    if token is None:
        return visit.back()

    def go_on(who: Principal[Any], cookies: Headers) -> Answer:
        return _end(visit, who, target, cookies)

    return visit.redeemed(token, go_on)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request for the page, and the ways in which it is answered."""

    site: Site
    page: Page
    request: HttpRequest

    @property
    def address(self) -> str:
        return posixpath.basename(self.request.path)

    def answer(self, headers: Headers = (), **shown: Any) -> HttpReply:  # noqa: ANN401 - as PageView takes them
        """Show the page. Whatever it raises, the headers go out: no rotation is lost for want of a page."""
        view = PageView(self.address, self.site.manager.now(), **shown)
        try:
            reply = self.page.show(self.request, view)
        except Exception:  # noqa: BLE001  (templates and texts may be the application's)
            _LOG.exception("the page of a user's sessions could not be written")
            reply = _UNWRITTEN
        return replace(reply, headers=(*reply.headers, *headers))

    def back(self, done: Done | None = None, headers: Headers = ()) -> HttpReply:
        query = "" if done is None else f"?done={done}"
        return HttpReply(303, (("Location", f"{self.address}{query}"), _NO_STORE, *headers))

    def refused(self, error: KeyturnError, cookies: Headers = ()) -> HttpReply:
        """Show what is wrong. A token that is not acceptable means that nobody is signed in."""
        refusal = refusal_of(error)
        if refusal.status == _UNAUTHORIZED:
            return self.answer(cookies, asks_password=self.site.has_login)
        return self.answer(
            (*refusal.headers, *cookies),
            status=refusal.status,
            problem=refusal.error,
            # Where the other tab's answer was lost, only a new sign-in leads on.
            asks_password=refusal.status == _CONFLICT and self.site.has_login,
        )

    def not_signed_in(self, error: KeyturnError) -> HttpReply:
        """Show why nobody has been signed in, with the form once more."""
        refusal = refusal_of(error)
        return self.answer(refusal.headers, status=refusal.status, problem=refusal.error, asks_password=True)

    def redeemed(self, token: str, go_on: Callable[[Principal[Any], Headers], Answer]) -> Answer:
        """Redeem the refresh cookie, then go on with who it is and with what becomes of the cookie."""
        return redeem(
            self.site,
            self.request,
            token,
            "cookie",
            go_on=lambda pair: go_on(
                self.site.manager.verify_access(pair.access_token), kept(self.site, pair, "cookie")
            ),
            refused=self.refused,
        )


def _end(visit: _Visit, who: Principal[Any], target: str, cookies: Headers) -> Answer:
    """End what is to be ended. Whatever is another user's, unknown or malformed gets one answer."""

    def failed(error: KeyturnError) -> HttpReply:
        return visit.refused(error, cookies)

    if target in {"others", "all"}:
        done = cast("Done", target)
        keep = who.session_id if done == "others" else None
        after = cookies if keep else cleared(visit.site, when=True)
        return call(
            lambda backend: backend.manager.revoke_user(who.user_id, keep=keep),
            lambda _: visit.back(done, after),
            failed,
        )
    if target == who.session_id:
        return call(
            lambda backend: backend.manager.revoke(target, user_id=who.user_id, reason="logout"),
            lambda _: visit.back("this", cleared(visit.site, when=True)),
            failed,
        )
    return call(
        lambda backend: backend.manager.revoke(target, user_id=who.user_id),
        lambda found: visit.back("one" if found else "gone", cookies),
        failed,
    )


def _sign_in(visit: _Visit, fields: Mapping[str, Any]) -> Answer:
    """Sign in by the rules of `POST /auth/login`, and lead to the page."""

    def begun(pair: TokenPair) -> HttpReply:
        return visit.back(headers=kept(visit.site, pair, "cookie"))

    def go_on(who: SignIn) -> Answer:
        return begin_session(visit.site, visit.request, who, begun=begun, refused=visit.not_signed_in)

    try:
        return checked(visit.site, visit.request, fields, go_on, visit.not_signed_in)
    except KeyturnError as error:
        return visit.not_signed_in(error)


def _fields(request: HttpRequest, more: frozenset[str]) -> Mapping[str, Any]:
    if not is_form(request):
        raise invalid_request("The body must be a form.", 415)
    return read_form(request, more | {"end"})


def _ordered(found: Iterable[SessionInfo]) -> tuple[SessionInfo, ...]:
    return tuple(sorted(found, key=lambda session: (not session.current, -session.last_seen_at)))


def _done(request: HttpRequest) -> Done | None:
    """Read what the page has just done from its address: one of a few words, or nothing."""
    said = dict(parse_qsl(request.query[:_MAX_QUERY])).get("done")
    return cast("Done", said) if said in get_args(Done) else None


def _is_ahead_of_its_user(request: HttpRequest) -> bool:
    """Tell whether a browser fetches what its user has not asked for (Sec-Purpose: prefetch, prerender)."""
    named = (request.header(name) or "" for name in ("sec-purpose", "purpose", "x-moz"))
    return any("prefetch" in value.lower() for value in named)
