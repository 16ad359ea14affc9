"""Reading JSON bodies: which fields, of which kind, how long. It knows no endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keyturn._core.encoding import EncodingError, parse_json_object
from keyturn.http.messages import MAX_BODY, HttpRequest
from keyturn.http.replies import invalid_request

MAX_USERNAME: Final = 255
MAX_PASSWORD: Final = 1024  # NIST SP 800-63B-4, section 3.1.1.2 wants at least 64; hashing must stay bounded
MAX_REFRESH_TOKEN: Final = 8192


def check_size(request: HttpRequest) -> None:
    """Refuse a body that is too large.

    Raises:
        Refusal: It is.
    """
    if len(request.body) > MAX_BODY:
        raise invalid_request(f"The body must not exceed {MAX_BODY} bytes.", 413)


def read_fields(request: HttpRequest, allowed: frozenset[str]) -> Mapping[str, Any]:
    """Give the fields of a JSON body; none where there is no body.

    Args:
        request: The request.
        allowed: The fields' names; others are refused, because what they meant would be ignored.

    Raises:
        Refusal: It is something else.
    """
    if not request.body:
        return {}
    if not _is_json(request.header("content-type") or ""):
        raise invalid_request("The body must be JSON: Content-Type: application/json.", 415)
    try:
        fields = parse_json_object(request.body)
    except EncodingError as error:
        raise invalid_request(f"The body must be a JSON object: {error}.") from None
    if not fields.keys() <= allowed:
        raise invalid_request(f"The body may have these fields only: {', '.join(sorted(allowed))}.")
    return fields


def read_text(fields: Mapping[str, Any], name: str, most: int) -> str:
    """Give a field that must be text, not empty, not too long and without NUL.

    Raises:
        Refusal: It is something else.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most or "\0" in value:
        raise invalid_request(f"{name} must be text of 1 to {most} characters without NUL.")
    return value


def read_switch(fields: Mapping[str, Any], name: str) -> bool:
    """Give a field that must be true or false, and is false where it is absent.

    Raises:
        Refusal: It is something else.
    """
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise invalid_request(f"{name} must be true or false.")
    return value


def _is_json(content_type: str) -> bool:
    kind, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return kind.strip().lower() == "application/json" and charset in {"", "charset=utf-8"}
