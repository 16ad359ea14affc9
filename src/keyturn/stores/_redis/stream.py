"""The revocation log: a stream of Redis, from which followers read on. It knows no connection and no colour.

The script that ends a session writes the line, in one step with the end. In a cluster it cannot: the log is
in one slot, and the sessions are in others. There the operation sends the line after the end, and is
acknowledged when it is written. What follows from that:

- A revocation whose line could not be written is reported as unavailable, and its repetition writes the line,
  though the session has ended. So some lines may be there twice, which does no harm.
- A refresh that finds a reuse still says so, and a sign-in that made room for itself stands: their repetition
  would find neither again, or end one more session. The store owes these lines, and writes them with its next
  operation. Nothing is accepted wrongly in the meantime where the log's node is away: nobody can read the log
  then, views become stale, and whoever has a stale view asks the store, which knows the end. It is different
  where one call alone was lost, or where this process ends before it has paid: then views know of it with the
  next operation of this process, or never, and the session's access tokens live until they expire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from keyturn._core.outcomes import Followed
from keyturn._core.revocations import LogEntry
from keyturn.errors import StoreUnavailable
from keyturn.stores._redis import scripts
from keyturn.stores._redis.calls import Call, always, parsed_info
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.rows import newer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from keyturn._core.commands import Follow
    from keyturn._core.records import Millis
    from keyturn.stores._redis.calls import Operation

NOTHING: Final = b"0-0"  # before every line
CHUNK: Final = 500  # lines that one call writes


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is in the stream, and the cursor of whoever has read it last.

    Attributes:
        id: Its id there: a moment of the server's, and a number.
        kind: The letter of what ended: `s` for a session, `t` for a token.
        subject: A session's id as 16 bytes, or a token's id.
    """

    id: bytes
    kind: bytes = b""
    subject: bytes = b""


BEFORE_ALL: Final = Line(NOTHING)


@dataclass(frozen=True, slots=True)
class Stream:
    """The log of one store.

    Attributes:
        key: The stream's key.
        sharded: The sessions are in other slots than the log.
        owed: Lines that could not be written when their sessions had ended.
    """

    key: bytes
    sharded: bool
    owed: dict[LogEntry, None] = field(init=False, default_factory=dict[LogEntry, None], repr=False)

    @property
    def beside(self) -> tuple[bytes, ...]:
        """What a script that ends sessions is given besides its own keys: the log, where it reaches it."""
        return () if self.sharded else (self.key,)

    def take(self) -> list[LogEntry]:
        """Take what is owed: whoever has it writes it, so that only one waits for a server that is away."""
        taken: list[LogEntry] = []
        while self.owed:
            try:
                taken.append(self.owed.popitem()[0])
            except KeyError:  # another thread was faster
                break
        return taken


def tell(stream: Stream, entries: Sequence[LogEntry], *, insists: bool = True) -> Operation[None]:
    """Write the lines of what an operation has ended, where its script could not; and what is owed.

    Args:
        stream: The log.
        entries: The lines.
        insists: Whether the operation fails where they cannot be written.

    Raises:
        StoreUnavailable: They could not.
    """
    if not stream.sharded:
        return
    try:
        yield from _write(stream, entries, insists=insists)
    except StoreUnavailable:
        if insists and entries:
            raise


def follow(stream: Stream, command: Follow) -> Operation[Followed]:
    """See `RevocationLog.follow`.

    A page begins with the line that was the last of the page before. Where that is not the first to be found,
    lines that were read are gone, so others may have come in their place: the log is another one.
    """
    if stream.sharded:
        yield from _write(stream, (), insists=True)
    last, limit = command.cursor, max(command.limit, 1)
    if not isinstance(last, Line):
        last = yield from _begin(stream, command.now - command.since)
    reply = yield Call(None, (stream.key,), ("XRANGE", stream.key, last.id, b"+", "COUNT", limit + 1))
    found = [_line(*each) for each in reply]
    news = found[:limit]
    if last != BEFORE_ALL:
        if not found or found[0] != last:
            return Followed((), None, more=True)
        news = found[1:]
    cursor = news[-1] if news else last
    return Followed(tuple(map(_entry, news)), cursor, more=len(found) > limit)


def listening(stream: Stream, cursor: object | None, seconds: float) -> tuple[Anything, ...]:
    """Give the command that waits for a line after a cursor."""
    after = cursor.id if isinstance(cursor, Line) else NOTHING
    milliseconds = max(1, int(seconds * 1000))  # 0 would be for ever
    return ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", stream.key, after)


def _begin(stream: Stream, span: Millis) -> Operation[Line]:
    """Find the last line from before a span of time, by the server's clock, which has made the ids.

    INFO says the time and, unlike TIME, is a right that the store needs anyway. Where it may not be asked,
    the log is read from its first line: that is more than is needed, and nothing is missing.
    """
    info = parsed_info((yield Call(None, (stream.key,), ("INFO", "server"), optional=True)) or {})
    start = int(info.get("server_time_usec", "0")) // 1000 - span
    if start <= 0:
        return BEFORE_ALL
    words = ("XREVRANGE", stream.key, b"(%d-0" % start, b"-", "COUNT", 1)
    for each in (yield Call(None, (stream.key,), words)):
        return _line(*each)
    return BEFORE_ALL


def _write(stream: Stream, entries: Iterable[LogEntry], *, insists: bool) -> Operation[None]:
    lines = [*stream.take(), *entries]
    try:
        for start in range(0, len(lines), CHUNK):
            parts = [part for entry in lines[start : start + CHUNK] for part in _packed(entry)]
            yield Call(scripts.APPEND, (stream.key,), tuple(parts), waits=always, insists=insists)
    except BaseException:  # also where nobody waits for it any more
        stream.owed.update(dict.fromkeys(lines))
        raise


def _packed(entry: LogEntry) -> tuple[bytes, bytes]:
    match entry.kind:
        case "session":
            return b"s", UUID(entry.subject).bytes
        case "token":
            return b"t", entry.subject.encode()


def _line(name: bytes, fields: dict[bytes, bytes] | list[bytes]) -> Line:
    # A cluster's driver has made a dictionary of what is a list elsewhere.
    kind, subject = next(iter(fields.items())) if isinstance(fields, dict) else fields[:2]
    return Line(name, kind, subject)


def _entry(line: Line) -> LogEntry:
    match line.kind:
        case b"s":
            return LogEntry("session", str(UUID(bytes=line.subject)))
        case b"t":
            return LogEntry("token", line.subject.decode())
        case _:
            raise newer()
