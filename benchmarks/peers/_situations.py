"""The situations that the comparison looks at, and how a peer tells what it did. It knows no peer.

A peer's script gives, for each situation, what to do there; the words come from what has happened.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version

AT_ONCE = 6
RACES = 10  # how each of them ends hangs on the moment
REFRESHES = 10


def at_once(refresh: Callable[[], str | None]) -> list[str]:
    """Do the same refresh in several threads at one moment.

    Args:
        refresh: Gives the refresh token that came back, or None where it was refused.

    Returns:
        The refresh tokens that came back.
    """
    gate, found = threading.Barrier(AT_ONCE), list[str | None]()

    def one() -> None:
        gate.wait()
        found.append(refresh())

    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [token for token in found if token is not None]


def races(begin: Callable[[], str], refresh: Callable[[str], str | None]) -> str:
    """Let several refreshes of one token race, in a new session each time, and put into words what came.

    Args:
        begin: Signs in and gives the refresh token.
        refresh: Gives the refresh token that came back, or None where it was refused.
    """
    ended = [at_once(partial(refresh, begin())) for _ in range(RACES)]
    fewest, most = min(map(len, ended)), max(map(len, ended))
    different = max(len(set(tokens)) for tokens in ended)
    made = "the same refresh token for all" if different == 1 else f"up to {different} different ones"
    return f"{fewest if fewest == most else f'{fewest} to {most}'} of {AT_ONCE} succeed, {made}"


def again(token: str | None, first: str) -> str:
    """Put into words what the same refresh gave a second time, where its first answer was lost."""
    if token is None:
        return "refused: the user must sign in"
    return "accepted: the same refresh token" if token == first else "accepted: another refresh token"


def spent(*, accepted: bool, goes_on: bool) -> str:
    """Put into words what a spent token did to the client that holds its successor."""
    if accepted:
        return "accepted"
    return "refused; the other copy goes on" if goes_on else "refused, as is the other: the session ended"


def in_step(first: str | None, second: str | None, *, goes_on: bool) -> str:
    """Put into words what two clients got who had redeemed one token at one moment, and went on together.

    Args:
        first: The refresh token that the one got then, if it got one.
        second: The other's.
        goes_on: Whether what the first got is accepted afterwards.
    """
    if first is not None and second is not None:
        return "not noticed: both go on"
    return "one is refused, the other goes on" if goes_on else "noticed: the session ended"


def out(*, accepted: bool) -> str:
    """Put into words what became of an access token after the sign-out."""
    return "accepted until it expires" if accepted else "refused"


def tell(packages: tuple[str, ...], findings: Mapping[str, Mapping[str, str]]) -> None:
    """Write the findings, by name of the peer and situation, to the output."""
    told = {"versions": {name: version(name) for name in packages}, "findings": findings}
    json.dump(told, sys.stdout)
