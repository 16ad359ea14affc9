"""The operations on many sessions: of a user, or of all, in bounded steps; and the audit trail's.

They know no connection and no colour. A walk through all users' sessions looks at every key of the server,
some hundreds at a time: it is an administrator's tool, never part of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final
from uuid import UUID

from keyturn._core.ids import bucket_of_session
from keyturn._core.revocations import entries_of
from keyturn.errors import InvalidInput
from keyturn.stores._redis import scripts
from keyturn.stores._redis.calls import NODES, Call
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.rows import is_moment, pack_line, unpack, unpack_all, unpack_line
from keyturn.stores._redis.stream import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from keyturn._core.commands import Purge, Where
    from keyturn._core.records import Millis, Session
    from keyturn._core.trail import TrailEntry
    from keyturn.stores._redis.calls import Operation
    from keyturn.stores._redis.keys import Keys
    from keyturn.stores._redis.stream import Stream

STEP: Final = 100  # keys that one call looks at: under a millisecond, in which nobody else is served
TRAILS_STEP: Final = 100  # trails are bigger
CHUNK: Final = 100  # keys that one call is given
LINES: Final = 10_000  # that the trail of a session keeps: 90 days of a rotation every 15 minutes are 8,640
_START: Final = b"0"


@dataclass(slots=True)
class Place:
    """Where a walk in many calls goes on: each walk has one, and any thread may move it.

    Attributes:
        node: The name of the server.
        cursor: Its cursor there.
    """

    node: str = ""
    cursor: bytes = _START


def find(keys: Keys, where: Where, limit: int) -> Operation[Sequence[Session]]:
    """See `Store.find`."""
    if where.user_id is not None:
        return unpack_all((yield _of_user(keys, where.user_id, where, max(limit, 0))))
    found: dict[bytes, bytes] = {}
    for node in (yield NODES):
        cursor = _START
        while limit > 0:
            edge = b""  # the farthest of a full page: what lies beyond it need not be sent
            if len(found) >= limit:
                edge = min(found) if where.newest_first else max(found)
            reply = yield _step_of_walk(keys, node, cursor, where, edge, sends=True)
            cursor = reply[0]
            found.update(zip(reply[1::2], reply[2::2], strict=True))
            nearest = sorted(found, reverse=where.newest_first)[:limit]
            found = {sid: found[sid] for sid in nearest}
            if cursor == _START:
                break
    return tuple(unpack(UUID(bytes=sid), row) for sid, row in found.items())


def count(keys: Keys, where: Where) -> Operation[int]:
    """See `Store.count`. Of all users' sessions, it is no single moment's number.

    While the server makes its table of keys bigger or smaller, it may show a key twice.
    """
    if where.user_id is not None:
        counted: int = yield _of_user(keys, where.user_id, where, -1)
        return counted
    total = 0
    for node in (yield NODES):
        cursor = _START
        while True:
            cursor, seen = yield _step_of_walk(keys, node, cursor, where, b"", sends=False)
            total += seen
            if cursor == _START:
                break
    return total


def delete(keys: Keys, stream: Stream, sids: Sequence[UUID]) -> Operation[int]:
    """See `Store.delete`. It counts what it removes, so it is not repeated here; whoever asked may.

    In a cluster the log is told first: whoever repeats a removal that was broken off finds nothing any more.
    """
    gone = 0
    for chunk in _chunks(set(sids), sharded=stream.sharded):
        sessions = tuple(map(keys.session, chunk))
        if stream.sharded:
            rows = yield Call(None, sessions, ("MGET", *sessions))
            there = [sid for sid, row in zip(chunk, rows, strict=True) if row is not None]
            yield from tell(stream, entries_of(there))
        call = Call(scripts.DELETE, (*sessions, *stream.beside), (len(sessions),), repeatable=False)
        gone += yield call
    return gone


def purge(keys: Keys, place: Place, command: Purge) -> Operation[int]:
    """See `Store.purge`: expiry does the usual work; this removes what has a shorter retention."""

    def call(node: Anything, cursor: bytes, sessions: int, denials: int) -> Call:
        until = (command.before, command.now, command.limit - sessions, command.limit - denials)
        return Call(
            scripts.PURGE, (), (cursor, keys.purged, STEP, keys.kind_at, *until), node, repeatable=False
        )

    return (yield from _sweep(place, command.limit, call))


def forget(keys: Keys, place: Place, before: Millis, limit: int) -> Operation[int]:
    """See `Trail.forget`. Lines sort by their ids, which begin with their moment."""
    if not is_moment(before):
        raise InvalidInput("A moment must be between 1970 and the year 10000.", detail="not_storable")
    edge = before.to_bytes(6, "big")

    def call(node: Anything, cursor: bytes, gone: int, _: int) -> Call:
        return Call(
            scripts.FORGET, (), (cursor, keys.trails, TRAILS_STEP, edge, limit - gone), node, repeatable=False
        )

    return (yield from _sweep(place, limit, call))


def note(keys: Keys, keep_for: Millis, entries: Sequence[TrailEntry], *, sharded: bool) -> Operation[None]:
    """See `Trail.note`: on a single server one call; on a cluster one for each bucket."""
    trails: dict[UUID, list[bytes]] = {}
    for entry in entries:
        trails.setdefault(entry.sid, []).append(pack_line(entry))
    for chunk in _chunks(trails, sharded=sharded):
        lines = [part for sid in chunk for part in (len(trails[sid]), *trails[sid])]
        yield Call(scripts.NOTE, tuple(keys.trail(sid) for sid in chunk), (LINES, keep_for, *lines))


def history(keys: Keys, sid: UUID, after: UUID | None, limit: int) -> Operation[Sequence[TrailEntry]]:
    """See `Trail.history`."""
    key = keys.trail(sid)
    start = b"-" if after is None else b"(%b\xff" % after.bytes  # beyond every line of that id
    lines = yield Call(None, (key,), ("ZRANGE", key, start, b"+", "BYLEX", "LIMIT", 0, limit))
    return tuple(unpack_line(sid, line) for line in lines)


def _of_user(keys: Keys, user_id: str, where: Where, most: int) -> Call:
    return Call(
        scripts.FIND_USER,
        (keys.index(user_id),),
        (
            keys.base(user_id),
            "" if where.live_at is None else where.live_at,
            b"" if where.after is None else where.after.bytes,
            int(where.newest_first),
            most,
        ),
    )


def _step_of_walk(
    keys: Keys,
    node: Anything,
    cursor: bytes,
    where: Where,
    edge: bytes,
    *,
    sends: bool,
) -> Call:
    after = b"" if where.after is None else where.after.bytes
    low, high = (edge, after) if where.newest_first else (after, edge)
    live_at = "" if where.live_at is None else where.live_at
    return Call(scripts.WALK, (), (cursor, keys.sessions, STEP, live_at, low, high, int(sends)), node)


def _sweep(place: Place, limit: int, call: Callable[[Anything, bytes, int, int], Call]) -> Operation[int]:
    """Walk on from a place until enough is gone, or until every key was looked at."""
    gone: int = 0
    also_gone: int = 0
    nodes = yield NODES
    for node, start in _itinerary(nodes, place):
        cursor = start
        while True:
            following, these, those, more = yield call(node, cursor, gone, also_gone)
            gone += int(these)
            also_gone += int(those)
            if not more:
                cursor = following
            if more or gone >= limit or also_gone >= limit:
                place.node, place.cursor = node.name, cursor
                return gone + also_gone
            if cursor == _START:
                break
    place.node, place.cursor = "", _START
    return gone + also_gone


def _itinerary(nodes: Sequence[Anything], place: Place) -> Iterator[tuple[Anything, bytes]]:
    """Give servers and cursors: from a place through all of them, and to that place again."""
    names = [node.name for node in nodes]
    if place.node not in names:
        yield from ((node, _START) for node in nodes)
        return
    position, cursor = names.index(place.node), place.cursor
    yield nodes[position], cursor
    yield from ((node, _START) for node in (*nodes[position + 1 :], *nodes[:position]))
    if cursor != _START:
        yield nodes[position], _START


def _chunks(sids: Iterable[UUID], *, sharded: bool) -> Iterator[list[UUID]]:
    """Cut ids into as many as one call may have: in a cluster, all of one slot."""
    ordered = sorted(sids, key=bucket_of_session)
    groups = (list(group) for _, group in groupby(ordered, bucket_of_session)) if sharded else [ordered]
    for group in groups:
        yield from (group[start : start + CHUNK] for start in range(0, len(group), CHUNK))
