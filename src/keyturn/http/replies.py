"""What is answered: bodies, headers and the one table of errors. It knows no request and no framework.

Sources: RFC 6749, section 5; RFC 6750, section 3; RFC 9110, sections 10.2.3, 11 and 15.5; RFC 9470,
section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from keyturn._core.encoding import dump_json
from keyturn.errors import (
    AccessTokenError,
    InvalidInput,
    KeyturnError,
    RefreshConflict,
    RefreshError,
    SessionLimitReached,
    StoreError,
    UserInactive,
)
from keyturn.http.messages import Headers, HttpReply
from keyturn.results import AccessToken, TokenPair

_TAG_DIGITS: Final = 32
RETRY_SECONDS: Final = 1  # after an outage or a race; clients add their own back-off

JSON: Final = "application/json"
_NO_SNIFFING: Final = ("X-Content-Type-Options", "nosniff")
_NO_STORE: Final = (("Cache-Control", "no-store"),)
_QUOTABLE: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


class Refusal(KeyturnError):
    """The request is refused."""

    def __init__(self, status: int, error: str, description: str, headers: Headers = ()) -> None:
        """Refuse.

        Args:
            status: The status code.
            error: The `error` of the body, a code of RFC 6749 or 6750 where one fits.
            description: The `error_description`, for people; it quotes nothing of the request.
            headers: What else the status needs.
        """
        super().__init__(description)
        self.status = status
        self.error = error
        self.headers = headers


def invalid_request(description: str, status: int = 400) -> Refusal:
    """Refuse what is malformed (RFC 6749, section 5.2)."""
    return Refusal(status, "invalid_request", description)


def challenge(error: str | None = None, description: str = "", scope: str | None = None) -> tuple[str, str]:
    """Write `WWW-Authenticate` (RFC 6750, section 3); without an error where no credentials were sent.

    Examples:
        >>> challenge("invalid_token")
        ('WWW-Authenticate', 'Bearer error="invalid_token"')
    """
    named = {"error": error, "error_description": description, "scope": scope}
    parameters = ", ".join(f'{name}="{_quotable(value)}"' for name, value in named.items() if value)
    return ("WWW-Authenticate", f"Bearer {parameters}".rstrip())


def no_credentials() -> Refusal:
    """Refuse a request that carries no token (RFC 6750, section 3.1: no error code in the challenge)."""
    return Refusal(401, "invalid_request", "This needs a token.", (challenge(),))


def insufficient_scope(scopes: Iterable[str] = ()) -> Refusal:
    """Refuse a token that does not reach far enough (RFC 6750, section 3.1)."""
    text = "The access token does not allow this."
    header = challenge("insufficient_scope", text, " ".join(scopes) or None)
    return Refusal(403, "insufficient_scope", text, (header,))


def stale_sign_in(max_age: float) -> Refusal:
    """Refuse a token whose user signed in too long ago (RFC 9470, section 3)."""
    text = "This needs a more recent sign-in."
    name, value = challenge("insufficient_user_authentication", text)
    header = (name, f'{value}, max_age="{math.floor(max_age)}"')
    return Refusal(401, "insufficient_user_authentication", text, (header,))


def invalid_credentials() -> Refusal:
    """Refuse a sign-in: one answer for an unknown user and a wrong password."""
    return Refusal(401, "invalid_credentials", "The user name or the password is wrong.", (challenge(),))


def slow_down(seconds: float) -> Refusal:
    """Refuse an attempt that comes too early."""
    return Refusal(429, "slow_down", "Too many attempts; try again later.", (_retry_after(seconds),))


def csrf_failed() -> Refusal:
    """Refuse what another site's page may have caused; and say what a program lacks, which is no page."""
    text = (
        "The request does not come from an allowed origin. With the cookie, "
        "and without Origin and Sec-Fetch-Site, it must carry X-Keyturn: 1."
    )
    return Refusal(403, "csrf_failed", text)


def not_found() -> Refusal:
    """Refuse what is not there, or is not the caller's."""
    return Refusal(404, "not_found", "There is nothing here.")


def method_not_allowed(allow: str) -> Refusal:
    """Refuse a method (RFC 9110, section 15.5.6)."""
    return Refusal(405, "method_not_allowed", "This method is not allowed here.", (("Allow", allow),))


def refusal_of(error: KeyturnError) -> Refusal:
    """Look an error up in the one table of answers.

    Unknown, expired, revoked and reused refresh tokens get one answer: which it was is nobody's business.

    Raises:
        KeyturnError: It is no answer to a client but a mistake of the application, such as a
            `ConfigurationError`.
    """
    match error:
        case Refusal():
            return error
        case AccessTokenError():
            text = "The access token is not acceptable."
            return Refusal(401, "invalid_token", text, (challenge("invalid_token", text),))
        case RefreshConflict():
            return Refusal(409, error.code, str(error), (_retry_after(RETRY_SECONDS),))
        case RefreshError():
            text = "The refresh token is not acceptable; sign in again."
            return Refusal(401, "invalid_grant", text, (challenge("invalid_token"),))
        case SessionLimitReached():
            return Refusal(403, error.code, str(error))
        case UserInactive():
            return invalid_credentials()
        case StoreError():
            text = "This is not possible right now; try again."
            return Refusal(503, "temporarily_unavailable", text, (_retry_after(RETRY_SECONDS),))
        case InvalidInput():
            return invalid_request(str(error))
        case _:
            raise error


def refuse(error: KeyturnError, *cookies: tuple[str, str]) -> HttpReply:
    """Answer an error.

    Args:
        error: What happened.
        cookies: Headers to send along.

    Raises:
        KeyturnError: As `refusal_of`.
    """
    refusal = refusal_of(error)
    body = {"error": refusal.error, "error_description": str(refusal)}
    return json_reply(body, *refusal.headers, *cookies, status=refusal.status)


def unreadable_body() -> HttpReply:
    """Answer a body that broke off, or was not sent as HTTP demands: the framework could not read it."""
    return refuse(invalid_request("The body could not be read."))


def json_reply(body: Mapping[str, Any], *headers: tuple[str, str], status: int = 200) -> HttpReply:
    """Answer JSON that nobody may keep."""
    return HttpReply(status, (("Content-Type", JSON), _NO_SNIFFING, *_NO_STORE, *headers), dump_json(body))


def cacheable_reply(content: bytes, kind: str, max_age: int, known: Iterable[str] = ()) -> HttpReply:
    """Answer what is public; 304 and nothing else to who has it already (RFC 9110, section 13.1.2).

    Args:
        content: What it is.
        kind: Its media type.
        max_age: Seconds for which nobody need ask again.
        known: The values of `If-None-Match`.
    """
    tag = f'"{sha256(content).hexdigest()[:_TAG_DIGITS]}"'
    caching = (("Cache-Control", f"public, max-age={max_age}"), ("ETag", tag))
    listed = {each.strip().removeprefix("W/") for value in known for each in value.split(",")}
    if listed & {tag, "*"}:
        return HttpReply(304, caching)
    return HttpReply(200, (("Content-Type", kind), _NO_SNIFFING, *caching), content)


def empty_reply(*headers: tuple[str, str]) -> HttpReply:
    """Answer that it is done, and nothing else."""
    return HttpReply(204, (*_NO_STORE, *headers))


def access_body(token: AccessToken, session_id: str | None) -> dict[str, Any]:
    """Write an access token that comes without a refresh token (RFC 6749, section 5.1)."""
    return {
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "session_id": session_id,
    }


def token_body(pair: TokenPair, *, with_refresh_token: bool) -> dict[str, Any]:
    """Write tokens (RFC 6749, section 5.1); the refresh token only for who holds it in the body."""
    body: dict[str, Any] = {
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_expires_in": pair.refresh_expires_in,
        "session_id": pair.session_id,
    }
    return body | {"refresh_token": pair.refresh_token} if with_refresh_token else body


def _retry_after(seconds: float) -> tuple[str, str]:
    return ("Retry-After", str(max(1, math.ceil(seconds))))


def _quotable(text: str) -> str:
    """Keep what may stand in a quoted string of RFC 6750 (section 3)."""
    return "".join(each for each in text if each in _QUOTABLE)
