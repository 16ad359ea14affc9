"""Holds what callers rely on when something goes wrong: one tree, stable codes, and nothing secret."""

from __future__ import annotations

import inspect
import pickle

import pytest

from keyturn.client import TemporarilyUnavailable, errors
from keyturn.client.errors import ClientError
from keyturn.errors import KeyturnError

CLASSES: list[type[ClientError]] = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, ClientError)
]

# What programs rely on: changing a code or a status is a breaking change.
PROMISED = {
    "BodyNotReplayable": ("body_not_replayable", 500),
    "ClientError": ("client", 500),
    "LoginRefused": ("login_refused", 401),
    "SignedOut": ("signed_out", 401),
    "TemporarilyUnavailable": ("temporarily_unavailable", 503),
    "UnexpectedAnswer": ("unexpected_answer", 502),
}


def test_codes_and_statuses_are_stable() -> None:
    """Each error has the code and the status that are promised."""
    assert {error.__name__: (error.code, error.http_status) for error in CLASSES} == PROMISED


@pytest.mark.parametrize("error", CLASSES)
def test_there_is_one_tree(error: type[ClientError]) -> None:
    """Who catches a `KeyturnError` catches them all, and each is drawn in the module; none is another."""
    assert issubclass(error, KeyturnError)
    assert [each for each in CLASSES if issubclass(error, each)] in (
        [error],
        [ClientError, error],
        [error, ClientError],
    )
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_survives_another_process(error: type[ClientError]) -> None:
    """The docstring is the message, and both it and the detail cross process borders."""
    copy = pickle.loads(pickle.dumps(error(detail="why")))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), copy.detail) == (error, (error.__doc__ or "").splitlines()[0], "why")


def test_so_does_how_long_to_wait() -> None:
    """`retry_after` is carried along."""
    copy = pickle.loads(pickle.dumps(TemporarilyUnavailable(retry_after=7.0)))  # noqa: S301 - our own bytes
    assert copy.retry_after == 7.0
