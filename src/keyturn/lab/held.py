"""What a client holds of a session, and how it shows it to a server. It asks nobody anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from keyturn.http.settings import DEFAULT_ACCESS_HEADER
from keyturn.lab.bench import Bench
from keyturn.lab.faults import LabError
from keyturn.results import AccessToken, SessionInfo, TokenPair

_SAME_SITE: Final = {"X-Keyturn": "1"}


@dataclass(slots=True)
class Holding:
    """The tokens of a client.

    Attributes:
        user_id: Whose session it is; None for a thief who has nothing but a token.
        session_id: The session's id.
        context: What the client gives to be told apart from others.
        refresh_token: The refresh token that it holds now.
        access_token: The access token that it holds now, if it holds one.
    """

    user_id: str | None
    session_id: str
    context: str
    refresh_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


class Held:
    """A client as far as it asks nobody. None of its tokens is in its repr."""

    def __init__(self, bench: Bench, holding: Holding) -> None:
        """Hold tokens."""
        self._bench = bench
        self.holding = holding

    def __repr__(self) -> str:
        """Say whose session it is, and show no token."""
        whose = "an unknown user" if self.user_id is None else self.user_id
        client = f", {self.context}" if self.context else ""
        return f"<{type(self).__name__} {whose}, session {self.session_id}{client}>"

    @property
    def user_id(self) -> str | None:
        """Whose session it is; None for a thief who has nothing but a token."""
        return self.holding.user_id

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.holding.session_id

    @property
    def context(self) -> str:
        """What the client gives to be told apart from others."""
        return self.holding.context

    @property
    def refresh_token(self) -> str:
        """The refresh token that it holds now."""
        return self.holding.refresh_token

    @property
    def access_token(self) -> str:
        """The access token that it holds now.

        Raises:
            LabError: It holds none: a thief with nothing but a refresh token must refresh first.
        """
        if self.holding.access_token is None:
            raise LabError("this client has only a refresh token: refresh() brings an access token")
        return self.holding.access_token

    @property
    def headers(self) -> dict[str, str]:
        """The access token as a header, `Authorization: Bearer …` unless the settings name another one."""
        name = self._bench.settings.access_header
        is_bare = name.lower() != DEFAULT_ACCESS_HEADER.lower()
        return {name: self.access_token if is_bare else f"Bearer {self.access_token}"}

    @property
    def cookies(self) -> dict[str, str]:
        """The refresh cookie, by its name in the settings: what a browser sends to the endpoints."""
        return {self._bench.settings.cookie: self.refresh_token}

    @property
    def cookie_headers(self) -> dict[str, str]:
        """The refresh cookie as a header, with the one that a page of the same site adds (`X-Keyturn`)."""
        pairs = [f"{name}={value}" for name, value in self.cookies.items()]
        return {"Cookie": "; ".join(pairs), **_SAME_SITE}

    @property
    def body(self) -> dict[str, str]:
        """The refresh token as JSON: what a client without cookies sends to the endpoints."""
        return {"refresh_token": self.refresh_token}

    def take(self, answer: TokenPair | AccessToken | Mapping[str, Any]) -> None:
        """Hold other tokens from now on: those of an answer that this client has got.

        Args:
            answer: What a manager gave, or the JSON that the refresh endpoint has answered to `body`. After a
                step-up it is an access token alone: the refresh token stays what it was.

        Raises:
            LabError: It is a refusal, or a cookie brings the refresh token.
        """
        refresh = self.holding.refresh_token
        match answer:
            case TokenPair(access_token=access, refresh_token=refresh):
                pass
            case AccessToken(access_token=access):
                pass
            case {"access_token": str(access), "refresh_token": str(refresh)}:
                pass
            case {"access_token": str(access)} if "refresh_expires_in" not in answer:  # no cookie beside it
                pass
            case _:
                raise LabError(
                    "this answer has no access_token with a refresh_token, so there is nothing to take"
                )
        self.holding.refresh_token, self.holding.access_token = refresh, access

    def must_live(self, info: SessionInfo | None) -> None:
        """Fail unless the session lives."""
        __tracebackhide__ = True  # the test's own line is shown instead
        if info is None or not info.active:
            raise AssertionError(f"{self} is over: {_end_of(info)}.\n{self._bench.events.story()}")

    def must_have_ended(self, info: SessionInfo | None, reason: str | None) -> None:
        """Fail unless the session is over, for a reason if one is given."""
        __tracebackhide__ = True  # as above
        story = self._bench.events.story()
        if info is not None and info.active:
            raise AssertionError(f"{self} lives, at generation {info.generation}.\n{story}")
        end = _end_of(info)
        if reason not in {None, end}:
            raise AssertionError(f"{self} is over: {end}, not {reason}.\n{story}")


def held_by(user_id: str, pair: TokenPair, context: str) -> Holding:
    """Say what a client holds that has just signed in."""
    return Holding(user_id, pair.session_id, context, pair.refresh_token, pair.access_token)


def _end_of(info: SessionInfo | None) -> str:
    return "gone" if info is None else str(info.end_reason)
