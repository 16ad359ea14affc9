"""What the page of a user's sessions is given to show, and what it must be. It knows no template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.results import SessionInfo

Done: TypeAlias = Literal["one", "gone", "others", "this", "all"]
"""What has just been done: another device was signed out, was so before; all others; this one; all."""


@dataclass(frozen=True, slots=True)
class PageView:
    """What is to be shown.

    Attributes:
        address: The page's own address, relative to itself: where its links and forms go.
        now: The moment, POSIX seconds.
        sessions: The user's live sessions in the order in which they are shown; None where nobody is signed
            in, or nothing is known because of a problem.
        more: Whether there are more than these.
        done: What has just been done.
        problem: The code of an error (`Refusal.error`); None where there is none.
        status: The status of the answer.
        asks_password: Whether this page may sign people in, because there is a login check.
    """

    address: str
    now: float
    sessions: tuple[SessionInfo, ...] | None = None
    more: bool = False
    done: Done | None = None
    problem: str | None = None
    status: int = 200
    asks_password: bool = False


@runtime_checkable
class Page(Protocol):
    """The page of a user's sessions, as `keyturn.pages.SessionsPage` is one."""

    @property
    def path(self) -> str:
        """Where the application wants it, below the place where that is mounted."""
        ...

    def show(self, request: HttpRequest, view: PageView, /) -> HttpReply:
        """Write it. Cookies, and what else a refusal needs, are added to its headers."""
        ...
