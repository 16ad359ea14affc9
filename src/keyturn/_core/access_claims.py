"""The claims of an access token (RFC 9068, section 2.2; RFC 7519, section 4.1). It knows no clock, no store.

There is one way from a token to accepted claims for all: `read_access_token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from keyturn._core.encoding import is_array, is_object
from keyturn._core.jwt import JwtError, JwtReader
from keyturn.errors import AccessTokenError

ACCESS_TYP: Final = "at+jwt"  # RFC 9068, section 2.1

RESERVED_CLAIMS: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "gen", "auth_time", "cnf"}
)
"""The claims that Keyturn sets itself, and an application may not."""

_LATEST: Final = 253_402_300_799  # the last second of the year 9999; beyond it no clock is meant
_MAX_GENERATION: Final = 2**63 - 1


class AccessClaims(NamedTuple):
    """An access token's claims, checked and typed. Times are POSIX seconds.

    A tuple, because it is made for every request: a frozen dataclass of this size takes six times as long.

    Attributes:
        subject: `sub`, never empty.
        session_id: `sid`; None for a token that belongs to no session.
        token_id: `jti`, never empty.
        claims: Everything that is not in `RESERVED_CLAIMS`.
        issued_at: `iat`.
        expires_at: `exp`.
        auth_time: When the user signed in, if the token says so.
        gen: The session's generation; None for a token that belongs to no session.
        jkt: The thumbprint of the key that the token is bound to (RFC 9449, section 6.1), if any.
    """

    subject: str
    session_id: str | None
    token_id: str
    claims: dict[str, Any]
    issued_at: int
    expires_at: int
    auth_time: int | None
    gen: int | None
    jkt: str | None


def read_access_token(
    reader: JwtReader, token: object, *, issuer: str, audience: str, now: float, leeway: float
) -> AccessClaims:
    """Verify an access token: signature, type, times, issuer, audience.

    Args:
        reader: Made with the accepted keys and `ACCESS_TYP`.
        token: What a client sent.
        issuer: The exact `iss`.
        audience: Our identifier, which must be in `aud`.
        now: POSIX seconds.
        leeway: Tolerated clock skew, seconds.

    Raises:
        AccessTokenError: It is not acceptable; `detail` says by which rule.
    """
    try:
        claims, _ = reader.open(token)
    except JwtError as error:
        raise AccessTokenError(detail=error.reason) from None
    return _judge(claims, issuer, audience, now, leeway)


def check_access_claims(
    claims: Mapping[str, Any], *, issuer: str, audience: str, now: float, leeway: float
) -> AccessClaims:
    """Judge the claims of a token whose signature has been verified.

    Args:
        claims: The claims as parsed.
        issuer: The exact `iss`.
        audience: Our identifier, which must be in `aud`.
        now: POSIX seconds.
        leeway: Tolerated clock skew, seconds.

    Raises:
        AccessTokenError: They are not acceptable; `detail` is "claims" where one is missing or has the wrong
            type, else "issuer", "audience", "expired" or "not_yet_valid".
    """
    return _judge(dict(claims), issuer, audience, now, leeway)


def _judge(claims: dict[str, Any], issuer: str, audience: str, now: float, leeway: float) -> AccessClaims:
    """Judge claims. What is judged is taken out of them; what is left is the application's.

    So there is one pass over the claims of each request, and no list of names to filter by.
    """
    take = claims.pop
    if take("iss", None) != issuer:
        raise AccessTokenError(detail="issuer")
    if (aud := take("aud", None)) != audience:
        _check_audience(aud, audience)
    expires_at, issued_at = _time(take("exp", None)), _time(take("iat", None))
    if now >= expires_at + leeway:
        raise AccessTokenError(detail="expired")
    if issued_at > now + leeway or ("nbf" in claims and _time(take("nbf")) > now + leeway):
        raise AccessTokenError(detail="not_yet_valid")
    if "client_id" in claims:
        _text(claims["client_id"])
    subject, token_id = take("sub", None), take("jti", None)
    if not (isinstance(subject, str) and subject and isinstance(token_id, str) and token_id):
        raise AccessTokenError(detail="claims")
    return AccessClaims(  # by position: names would take twice as long
        subject,
        _text(take("sid")) if "sid" in claims else None,
        token_id,
        claims,
        int(issued_at),
        int(expires_at),
        int(_time(take("auth_time"))) if "auth_time" in claims else None,
        _generation(take("gen")) if "gen" in claims else None,
        _thumbprint(take("cnf")) if "cnf" in claims else None,
    )


def _check_audience(aud: object, audience: str) -> None:
    """Find our identifier in an `aud` that is not just that: a list of strings, or another string."""
    audiences = aud if is_array(aud) else [aud]
    if not audiences or not all(isinstance(one, str) for one in audiences):
        raise AccessTokenError(detail="claims")
    if audience not in audiences:
        raise AccessTokenError(detail="audience")


def _time(value: object) -> float:
    """Check a NumericDate (RFC 7519, section 2)."""
    if (type(value) is int or type(value) is float) and 0 <= value <= _LATEST:
        return value
    raise AccessTokenError(detail="claims")


def _text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise AccessTokenError(detail="claims")


def _generation(value: object) -> int:
    if type(value) is int and 0 <= value <= _MAX_GENERATION:
        return value
    raise AccessTokenError(detail="claims")


def _thumbprint(confirmation: object) -> str:
    """Take the one confirmation that we can check (RFC 7800; RFC 9449); another must not be ignored."""
    if not is_object(confirmation) or confirmation.keys() != {"jkt"}:
        raise AccessTokenError(detail="claims")
    return _text(confirmation["jkt"])
