"""Reading bodies, JSON and forms: which fields, of which kind, how long. It knows no endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard
from urllib.parse import parse_qsl

from keyturn._core.encoding import EncodingError, parse_json_object
from keyturn.http.messages import MAX_BODY, HttpRequest
from keyturn.http.replies import invalid_request

MAX_USERNAME: Final = 255
MAX_PASSWORD: Final = 1024  # NIST SP 800-63B-4, section 3.1.1.2 wants at least 64; hashing must stay bounded
MAX_REFRESH_TOKEN: Final = 8192
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")  # UTF-8 has no lone surrogates
_MOST_FIELDS: Final = 16
_FORM: Final = "application/x-www-form-urlencoded"


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


def is_form(request: HttpRequest) -> bool:
    """Tell whether a body is a form."""
    return _kind(request.header("content-type") or "") == _FORM


def read_form(request: HttpRequest, allowed: frozenset[str]) -> Mapping[str, Any]:
    """Give the fields of a form (RFC 6749, appendix B), each of which may come once.

    Args:
        request: The request.
        allowed: The fields' names; others are refused, as in JSON.

    Raises:
        Refusal: It is something else.
    """
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # whose message would quote the body
        raise invalid_request("The body must be a form in UTF-8.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise invalid_request("A field of the form was sent more than once.")
    if not fields.keys() <= allowed:
        raise invalid_request(f"The form may have these fields only: {', '.join(sorted(allowed))}.")
    return fields


def read_text(fields: Mapping[str, Any], name: str, most: int) -> str:
    """Give a field that must be text, not empty, not too long and without NUL.

    Raises:
        Refusal: It is something else.
    """
    value = fields.get(name)
    if not is_text(value, most):
        raise invalid_request(f"{name} must be text of 1 to {most} characters without NUL.")
    return value


def is_text(value: object, most: int) -> TypeGuard[str]:
    """Tell whether something is text that can be sent, not empty, not too long and without NUL."""
    return isinstance(value, str) and 1 <= len(value) <= most and not _UNSENDABLE.search(value)


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
    charset = content_type.partition(";")[2].strip().lower().replace('"', "")
    return _kind(content_type) == "application/json" and charset in {"", "charset=utf-8"}


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
