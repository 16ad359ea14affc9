"""Holds the tree of errors: one base, stable codes, statuses, and messages that are their documentation."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from keyturn import errors
from keyturn.errors import KeyturnError

CLASSES: list[type[KeyturnError]] = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, KeyturnError)
]

# What clients and dashboards rely on: changing a code or a status is a breaking change.
PROMISED = {
    "KeyturnError": ("error", 500),
    "ConfigurationError": ("configuration", 500),
    "InvalidInput": ("invalid_input", 400),
    "TokenError": ("invalid", 401),
    "AccessTokenError": ("invalid_token", 401),
    "RefreshError": ("invalid", 401),
    "InvalidToken": ("invalid", 401),
    "InvalidProof": ("invalid_proof", 401),
    "ExpiredToken": ("expired", 401),
    "RevokedToken": ("revoked", 401),
    "ReusedToken": ("reused", 401),
    "RefreshConflict": ("conflict", 409),
    "SessionLimitReached": ("session_limit", 403),
    "UserInactive": ("user_inactive", 401),
    "StoreError": ("store", 503),
    "SchemaError": ("schema", 503),
    "StoreUnavailable": ("unavailable", 503),
}


def test_codes_and_statuses_are_stable() -> None:
    """Each error has the code and the status that are promised."""
    assert {error.__name__: (error.code, error.http_status) for error in CLASSES} == PROMISED


@pytest.mark.parametrize("error", CLASSES)
def test_there_is_one_tree(error: type[KeyturnError]) -> None:
    """Every error is a `KeyturnError`, and the module's drawing shows it below its parent."""
    assert issubclass(error, KeyturnError)
    drawing = (errors.__doc__ or "").splitlines()
    depth = {
        found[2]: len(found[1])
        for line in drawing
        if (found := re.match(r"([│├└─\s]*)([A-Z]\w+)(?:\s|$)", line))
    }
    parent = error.__mro__[1]
    if issubclass(parent, KeyturnError):
        assert depth[error.__name__] == depth[parent.__name__] + 4
        before = list(depth)[: list(depth).index(error.__name__)]
        assert [name for name in before if depth[name] == depth[parent.__name__]][-1] == parent.__name__


@pytest.mark.parametrize("error", CLASSES)
def test_the_docstring_is_the_message(error: type[KeyturnError]) -> None:
    """The default message is the first line of the docstring: a sentence, and it cannot differ from it."""
    message = str(error())
    assert message == (error.__doc__ or "").strip().splitlines()[0]
    assert message.endswith((".", "again."))
    assert error().detail == ""


@pytest.mark.parametrize("error", CLASSES)
def test_a_detail_is_never_in_the_message(error: type[KeyturnError]) -> None:
    """What is for logs does not reach clients through `str`; a better message may be given."""
    detailed = error("A better message.", detail="unknown_key")
    assert (str(detailed), detailed.detail) == ("A better message.", "unknown_key")
    assert "unknown_key" not in repr(error(detail="unknown_key"))


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_survives_another_process(error: type[KeyturnError]) -> None:
    """Errors cross process borders (task queues, process pools) with message and detail."""
    copy = pickle.loads(pickle.dumps(error("A message.", detail="why")))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), copy.detail) == (error, "A message.", "why")


def test_wrong_values_are_value_errors() -> None:
    """Who knows nothing of Keyturn catches wrong values as what they are."""
    values = {error.__name__ for error in CLASSES if issubclass(error, ValueError)}
    assert values == {"ConfigurationError", "InvalidInput"}


def test_an_outage_is_no_answer_about_a_token() -> None:
    """No error of the store is an error of a token: the statuses and the trees are apart."""
    for error in CLASSES:
        if issubclass(error, errors.StoreError):
            assert not issubclass(error, errors.TokenError)
            assert error.http_status == 503
        elif issubclass(error, errors.TokenError):
            assert error.http_status in {401, 409}
