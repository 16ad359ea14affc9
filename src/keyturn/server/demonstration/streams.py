"""A session's story as server-sent events (HTML, section 9.2): replayed, then followed. It knows no words."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyturn.server.demonstration.recorder import Moment, Recorder

HEARTBEAT_SECONDS: Final = 15.0
LINGER_SECONDS: Final = 5.0
"""How long a stream goes on after its session's end: who tries then is refused, which is worth seeing."""
_RETRY: Final = "retry: 1000\n\n"
_END: Final = "event: end\ndata: {}\n\n"
_PLACE: Final = re.compile(r"(\w{1,32})\.(\d{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Watch:
    """One reader.

    Attributes:
        recorder: What it reads.
        run: Names this start of the server: numbers of another one mean nothing here.
        session_id: The session that it watches.
        lives: Asked now and then whether that session lives: another process may have ended it.
        tell: Puts a moment into words.
    """

    recorder: Recorder
    run: str
    session_id: str
    lives: Callable[[], Awaitable[bool]]
    tell: Callable[[Moment], Mapping[str, Any]]

    def place(self, known: str | None) -> int:
        """Read the id of the last event that a reader has seen.

        Returns:
            The number that it has in it; 0 where it is none of this run.
        """
        found = _PLACE.fullmatch(known or "")
        return int(found[2]) if found and found[1] == self.run else 0


async def follow(
    watch: Watch,
    after: int,
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
    linger: float = LINGER_SECONDS,
) -> AsyncGenerator[str]:
    """Give the events of a stream: what is kept and newer than a number, then what comes.

    It ends after its session has, with an event `end`; without one when the server does: then the reader
    comes back, and is given what it has missed.

    Args:
        watch: What is read.
        after: The number of the last moment that the reader knows.
        heartbeat: Seconds of silence after which something is sent: a reader that has gone is noticed.
        linger: Seconds to go on for when the session is over.
    """
    now = asyncio.get_running_loop().time
    over_at: float | None = None
    yield _RETRY
    while not watch.recorder.is_closed:
        patience = heartbeat if over_at is None else over_at - now()
        moments = await watch.recorder.news(watch.session_id, after, patience=patience)
        for moment in moments:
            after = moment.number
            yield _event(watch, moment)
            if moment.is_end and over_at is None:
                over_at = now() + linger
        if moments or watch.recorder.is_closed:
            continue
        if over_at is not None or not await watch.lives():
            yield _END
            return
        yield ":\n\n"


def _event(watch: Watch, moment: Moment) -> str:
    return f"id: {watch.run}.{moment.number}\ndata: {json.dumps(watch.tell(moment))}\n\n"
