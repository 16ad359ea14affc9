"""How an operation speaks to Redis: it yields calls and receives answers. It knows no connection.

An operation is a generator, so that it is written once and driven in both colours, on a single server and on
a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from keyturn.stores._redis.driver import Anything

if TYPE_CHECKING:
    from keyturn.stores._redis.scripts import Script

T = TypeVar("T")


def never(_: Anything) -> bool:
    """Need no replica."""
    return False


def always(_: Anything) -> bool:
    """Need the replicas that the store was told to wait for, whatever the answer is."""
    return True


def alike(reply: Anything) -> Anything:
    """Take the answer to a repetition for what the first would have been."""
    return reply


@dataclass(frozen=True, slots=True)
class Call:
    """One command.

    Attributes:
        script: The script to call; None: `arguments` are a command of Redis.
        keys: The keys, all of one slot; what routes the call in a cluster.
        arguments: What follows the keys, or the whole command.
        node: The server to send it to; None: the one that has the keys.
        repeatable: Whether it may be sent again where the connection was lost and nobody knows what became
            of it.
        again: What becomes of the answer where the call was sent again.
        waits: Whether an answer like this counts only when replicas have it.
        insists: Whether too few replicas are a failure.
        optional: Whether None is answered where the server will not do it.
    """

    script: Script | None
    keys: tuple[bytes, ...] = ()
    arguments: tuple[Anything, ...] = field(default=(), repr=False)
    node: Anything = None
    repeatable: bool = True
    again: Callable[[Anything], Anything] = alike
    waits: Callable[[Anything], bool] = never
    insists: bool = True
    optional: bool = False

    def command(self) -> tuple[Anything, ...]:
        """Give the command that calls the script by its digest."""
        if self.script is None:
            return self.arguments
        verb = "EVALSHA_RO" if self.script.reads else "EVALSHA"
        return (verb, self.script.sha, len(self.keys), *self.keys, *self.arguments)

    def in_full(self) -> tuple[Anything, ...]:
        """Give the command that brings the script along, and leaves it there: for a server without it."""
        if self.script is None:
            return self.arguments
        return ("EVAL", self.script.source, len(self.keys), *self.keys, *self.arguments)


def parsed_info(answer: bytes | Mapping[str, object]) -> dict[str, str]:
    """Read what INFO answers."""
    if not isinstance(answer, bytes):  # a cluster's driver has read it already
        return {name: str(value) for name, value in answer.items()}
    lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


@dataclass(frozen=True, slots=True)
class AskNodes:
    """Asks for the servers that hold keys, in a stable order: each has a `name`."""


NODES: Final = AskNodes()

Operation: TypeAlias = Generator[Call | AskNodes, Anything, T]
"""What an operation is: it yields calls, and returns its outcome. A call that fails raises inside of it."""
