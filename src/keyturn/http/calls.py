"""What a request needs from the manager, and the one driver per colour that gets it. It knows no endpoint.

A `Step` is an answer, or a `Call` that leads to one. Rules make steps and never wait; drivers wait and never
decide. The drivers differ by `await` alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar, cast

from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.manager import AsyncTokenManager, TokenManager

AnswerT = TypeVar("AnswerT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whom an application's login check has accepted.

    Attributes:
        user_id: Who it is.
        claims: The application's claims for the access tokens; None: none.
        device: What people shall recognise the session by; None: what `HttpSettings.device_from` says.
        holds: Asked once more when the session has begun: whether what was accepted still holds. A password
            that was changed while it was being checked would otherwise leave a session behind that the change
            could not end. With asyncio it is a coroutine function. None: not asked.

    Raises:
        ConfigurationError: The user's id is no text.

    Examples:
        >>> SignIn(17)
        Traceback (most recent call last):
        keyturn.errors.ConfigurationError: user_id must be text, not int: write SignIn(str(user.id))
    """

    user_id: str
    claims: Any = None
    device: dict[str, Any] | None = None
    holds: Callable[[], Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a primary key as it is: the client would be told that its request is malformed."""
        kind = type(cast("object", self.user_id))
        if not issubclass(kind, str):
            raise ConfigurationError(f"user_id must be text, not {kind.__name__}: write SignIn(str(user.id))")


Accepted: TypeAlias = SignIn | str | None
"""What a login check says: who it is (with claims, or the user's id alone), or None for wrong credentials."""

Login: TypeAlias = Callable[[str, str], Accepted]
"""An application's login check: user name and password in, who it is out."""

AsyncLogin: TypeAlias = Callable[[str, str], Accepted | Awaitable[Accepted]]
"""The same for asyncio: a coroutine function, or a plain one, which is then run in a thread."""


def nobody(_username: str, _password: str) -> Accepted:
    """Accept nobody: the login check of what has none, and never asks it."""
    return None


async def nobody_async(_username: str, _password: str) -> Accepted:
    """Accept nobody; see `nobody`."""
    return None


@dataclass(frozen=True, slots=True)
class Backend:
    """Whom the calls go to."""

    manager: TokenManager[Any]
    login: Login = nobody


@dataclass(frozen=True, slots=True)
class AsyncBackend:
    """The same for asyncio."""

    manager: AsyncTokenManager[Any]
    login: Callable[[str, str], Awaitable[Accepted]] = nobody_async


@dataclass(frozen=True, slots=True)
class Call(Generic[AnswerT]):
    """One thing to ask, and how to go on with its result. Made by `call`, which checks the types.

    Attributes:
        run: What to ask; on the other colour of manager it gives something to await.
        then: Goes on with the result.
        failed: Goes on with the error.
    """

    run: Callable[[Backend], Any]
    then: Callable[[Any], Step[AnswerT]]
    failed: Callable[[KeyturnError], Step[AnswerT]]


Step: TypeAlias = AnswerT | Call[AnswerT]


def call(
    run: Callable[[Backend], ResultT],
    then: Callable[[ResultT], Step[AnswerT]],
    failed: Callable[[KeyturnError], Step[AnswerT]],
) -> Call[AnswerT]:
    """Make a call whose parts fit together; an error that `then` raises counts as one of the call."""

    def go_on(result: ResultT) -> Step[AnswerT]:
        try:
            return then(result)
        except KeyturnError as error:
            return failed(error)

    return Call(run, go_on, failed)


def drive(step: Step[AnswerT], backend: Backend) -> AnswerT:
    """Follow a step to its answer."""
    while isinstance(step, Call):
        asked = cast("Call[AnswerT]", step)
        try:
            result = asked.run(backend)
        except KeyturnError as error:
            step = asked.failed(error)
        else:
            step = asked.then(result)
    return step


async def drive_async(step: Step[AnswerT], backend: AsyncBackend) -> AnswerT:
    """Follow a step to its answer.

    The twins have the same methods, so what asks one colour asks the other: that is the one cast here.
    """
    while isinstance(step, Call):
        asked = cast("Call[AnswerT]", step)
        try:
            result = await asked.run(cast("Backend", backend))
        except KeyturnError as error:
            step = asked.failed(error)
        else:
            step = asked.then(result)
    return step


def is_awaited(function: Callable[..., object]) -> bool:
    """Tell whether what a callable gives must be awaited; its class may be what makes it so."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
