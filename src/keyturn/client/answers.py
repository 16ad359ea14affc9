"""What the endpoints' answers mean, and how long to wait before asking again. It sends nothing.

The one rule that matters: only `invalid_grant` signs anybody out (RFC 6749, section 5.2). An outage, a limit,
a proxy's page or a garbled answer says nothing about a token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from keyturn._core.encoding import EncodingError, parse_json_object
from keyturn.client.errors import LoginRefused, SignedOut, TemporarilyUnavailable, UnexpectedAnswer
from keyturn.client.tokens import MAX_DOCUMENT, Tokens
from keyturn.errors import InvalidInput

_PASSING: Final = frozenset({408, 409, 425, 429})  # and whatever is the server's own fault: 5xx
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_SERVER_FAULT: Final = 500
_FIRST_PAUSE: Final = 0.5  # seconds
_SPREAD: Final = 0.5  # of a pause, so that clients which failed together do not come back together
_CODE: Final = re.compile(r"[a-z_]{1,40}")
_BEARER: Final = re.compile(r"(?:^|,)\s*bearer(?:\s|,|$)", re.IGNORECASE)
_ERROR: Final = re.compile(r'(?:^|[\s,])error\s*=\s*"?([a-z_]+)', re.IGNORECASE)


class AccessRefused(Exception):
    """The access token that went along is not good (any more).

    Attributes:
        tokens: Those that it is one of.
    """

    def __init__(self, tokens: Tokens) -> None:
        """Say which."""
        super().__init__()
        self.tokens = tokens


def stepped_of(response: httpx.Response, held: Tokens, *, asked_at: float, now: float) -> Tokens:
    """Read the answer to a step-up: an access token, which comes in the place of the one before.

    Args:
        response: The answer, read.
        held: The tokens of the session.
        asked_at: See `tokens_of`, as for the other.
        now: POSIX seconds.

    Raises:
        AccessRefused: The access token is not good.
        LoginRefused: The user name or the password was, or it is another user's than the session's.
        TemporarilyUnavailable: See `tokens_of`, also for the other.
    """
    check_passing(response, now)
    body = _fields(response)
    if response.status_code == _OK:
        return _tokens({**body, "refresh_token": held.refresh_token}, asked_at)
    match response.status_code, body.get("error"):
        case 401, "invalid_credentials":
            raise LoginRefused(detail="invalid_credentials")
        case 401, _ if is_refusal(response):
            raise AccessRefused(held)
        case _:
            raise unexpected(response)


def tokens_of(response: httpx.Response, *, asked_at: float, now: float) -> Tokens:
    """Read the answer to a sign-in or a refresh.

    Args:
        response: The answer, read.
        asked_at: When it was asked for: POSIX seconds. A server counts from a later moment.
        now: POSIX seconds.

    Raises:
        SignedOut: The refresh token was refused.
        LoginRefused: The user name or the password was, or the user may not sign in any more.
        TemporarilyUnavailable: The server says that it cannot answer now.
        UnexpectedAnswer: It is anything else.
    """
    check_passing(response, now)
    body = _fields(response)
    if response.status_code == _OK:
        return _tokens(body, asked_at)
    match response.status_code, body.get("error"):
        case ((400 | 401), "invalid_grant"):
            raise SignedOut(detail="invalid_grant")
        case 401, "invalid_credentials":
            raise LoginRefused(detail="invalid_credentials")
        case _:
            raise unexpected(response)


def check_ended(response: httpx.Response, *, now: float) -> None:
    """Read the answer to a sign-out.

    Raises:
        TemporarilyUnavailable: The server says that it cannot answer now.
        UnexpectedAnswer: It did not sign anybody out.
    """
    check_passing(response, now)
    if not response.is_success:
        raise unexpected(response)


def check_passing(response: httpx.Response, now: float) -> None:
    """Tell trouble that passes from an answer.

    Raises:
        TemporarilyUnavailable: It passes.
    """
    status = response.status_code
    if status in _PASSING or status >= _SERVER_FAULT:
        raise TemporarilyUnavailable(detail=str(status), retry_after=retry_after(response, now))


def unexpected(response: httpx.Response) -> UnexpectedAnswer:
    """Say what came, by its status and its code alone: the rest of a body may quote what was sent."""
    code = _fields(response).get("error")
    if isinstance(code, str) and _CODE.fullmatch(code):
        return UnexpectedAnswer(f"The server answered {response.status_code} {code}.", detail=code)
    return UnexpectedAnswer(
        f"The server answered {response.status_code}, which is none of Keyturn's answers: is the URL right?",
        detail=str(response.status_code),
    )


def retry_after(response: httpx.Response, now: float) -> float | None:
    """Read `Retry-After` (RFC 9110, section 10.2.3) as seconds; None where there is none that can be read.

    A date is compared with the server's own `Date`, not with a clock of this machine, which may differ.

    Examples:
        >>> retry_after(httpx.Response(503, headers={"Retry-After": "7"}), now=0)
        7.0
        >>> dates = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT", "Retry-After": "Tue, 01 Jan 2030 00:00:09 GMT"}
        >>> retry_after(httpx.Response(503, headers=dates), now=0)
        9.0
    """
    text: str = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until, since = _moment(text), _moment(response.headers.get("Date", ""))
    return None if until is None else max(0.0, until - (now if since is None else since))


def pause_before(attempt: int, wanted: float | None, *, longest: float, chance: float) -> float | None:
    """Say how long to wait before an attempt is repeated; None: so long that it is better to give up.

    Args:
        attempt: How many were made, at least 1.
        wanted: What the server asked for, in seconds; never less than that, if anything.
        longest: More than that is not waited for.
        chance: A random number from 0 to 1.

    Examples:
        >>> [pause_before(n, None, longest=10, chance=0) for n in (1, 2, 3)]
        [0.5, 1.0, 2.0]
        >>> pause_before(1, 4.0, longest=10, chance=0.5), pause_before(1, 60.0, longest=10, chance=0)
        (5.0, None)
    """
    if wanted is not None and wanted > longest:
        return None
    pause = max(wanted or 0.0, min(longest, _FIRST_PAUSE * 2.0 ** (attempt - 1)))
    return pause * (1 + _SPREAD * chance)


def is_refusal(response: httpx.Response) -> bool:
    """Tell whether an answer says that the access token is not good (RFC 6750, section 3).

    Where it says nothing but 401, that is taken for it too. Another scheme's challenge, and one that a fresh
    token of the same session would not answer (RFC 9470), is the caller's.

    Examples:
        >>> def refused(*challenge: str) -> bool:
        ...     return is_refusal(httpx.Response(401, headers=[("WWW-Authenticate", c) for c in challenge]))
        >>> refused('Bearer error="invalid_token"'), refused("Bearer"), refused()
        (True, True, True)
        >>> refused("Basic"), refused('Bearer error="insufficient_user_authentication"')
        (False, False)
    """
    if response.status_code != _UNAUTHORIZED:
        return False
    challenge = response.headers.get("WWW-Authenticate")
    if challenge is None:
        return True
    error = _ERROR.search(challenge)
    return bool(_BEARER.search(challenge)) and (error is None or error[1].lower() == "invalid_token")


def _tokens(body: Mapping[str, Any], asked_at: float) -> Tokens:
    try:
        _check_bearer(body)
        return Tokens(
            access_token=body["access_token"],
            refresh_token=body["refresh_token"],
            asked_at=asked_at,
            expires_in=body["expires_in"],
            session_id=body.get("session_id", ""),
        )
    except (KeyError, InvalidInput):
        raise UnexpectedAnswer("The answer holds no tokens that can be used.") from None


def _check_bearer(body: Mapping[str, Any]) -> None:
    """Refuse tokens of a type that is not understood here (RFC 6749, section 7.1)."""
    if str(body.get("token_type", "Bearer")).lower() != "bearer":
        raise UnexpectedAnswer("The tokens are of another type than Bearer.", detail="token_type")


def _fields(response: httpx.Response) -> Mapping[str, Any]:
    if len(response.content) > MAX_DOCUMENT:
        return {}
    try:
        return parse_json_object(response.content)
    except EncodingError:
        return {}


def _moment(text: str) -> float | None:
    try:
        moment: float = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if math.isfinite(moment) else None
