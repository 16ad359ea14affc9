"""Which tokens a request carries (RFC 6750, section 2). It verifies none, and never looks at a URL."""

from __future__ import annotations

from keyturn.http.messages import HttpRequest
from keyturn.http.replies import invalid_request
from keyturn.http.settings import DEFAULT_ACCESS_HEADER, HttpSettings


def read_bearer(request: HttpRequest, settings: HttpSettings) -> str | None:
    """Give the access token as sent; None where there is none, or another scheme's credentials.

    Raises:
        Refusal: There are several, so that it is not known which is meant. Some servers join several headers
            with a comma, which no token contains.
    """
    values = request.values(settings.access_header.lower())
    parts = [part.strip(" \t") for value in values for part in value.split(",")]
    is_bare = settings.access_header.lower() != DEFAULT_ACCESS_HEADER.lower()
    meant = parts if is_bare else [part for part in parts if part.partition(" ")[0].lower() == "bearer"]
    if len(values) > 1 or (meant and len(parts) > 1):
        raise invalid_request("More than one access token was sent.")
    if not meant:
        return None
    if is_bare:
        return values[0].strip(" \t")
    scheme, _, token = values[0].strip(" \t").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None
