"""The parts of a demonstration by themselves: what it keeps, for how long, and what it says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from keyturn import events
from keyturn.policy import Policy
from keyturn.server.demonstration.pockets import Pockets
from keyturn.server.demonstration.recorder import Dropped, Moment, Recorder, Stolen, Told, acting_as
from keyturn.server.demonstration.streams import Watch, follow
from keyturn.server.demonstration.telling import code_of, tell
from keyturn.server.texts import LANGUAGES, texts_in

NOW = 1_800_000_000.0


def rotated(session_id: str, generation: int) -> events.Refreshed:
    """One rotation of a session."""
    return events.Refreshed(NOW, "alice", session_id, generation)


def watch(recorder: Recorder, *, lives: bool = True) -> Watch:
    """Somebody who watches the session `one`, and is told generations alone."""

    async def asked() -> bool:
        return lives

    return Watch(recorder, "run", "one", asked, lambda moment: {"generation": generation_of(moment)})


def generation_of(moment: Moment) -> int | None:
    """Give the generation of a moment that is of one."""
    found: int | None = getattr(moment.told, "generation", None)
    return found


def test_sessions_are_kept_apart() -> None:
    """A reader of one session is given its moments alone, in order, and those after a number."""
    recorder = Recorder()
    for generation in (1, 2):
        for session_id in ("one", "other"):
            recorder.record(rotated(session_id, generation))
    assert [generation_of(each) for each in recorder.since("one", 0)] == [1, 2]
    assert [each.number for each in recorder.since("other", 2)] == [4]
    assert recorder.since("nobody's", 0) == ()


def test_memory_is_bounded() -> None:
    """Of a session, and of sessions, the oldest are forgotten; the numbers go on."""
    recorder = Recorder(most_sessions=2, most_moments=3)
    for generation in range(10):
        recorder.record(rotated("one", generation))
    assert [generation_of(each) for each in recorder.since("one", 0)] == [7, 8, 9]
    recorder.record(rotated("two", 1))
    recorder.record(rotated("one", 10))
    recorder.record(rotated("three", 1))
    assert recorder.since("two", 0) == (), "the session that was seen longest ago"
    assert [each.number for each in recorder.since("one", 9)] == [10, 12]
    pockets = Pockets(most=2)
    for session_id in ("one", "two", "three"):
        pockets.put(session_id, f"of {session_id}")
    assert (pockets.get("one"), pockets.get("three"), len(pockets)) == (None, "of three", 2)
    pockets.empty("three")
    assert pockets.get("three") is None


def test_what_is_of_no_session_is_nobodys_line() -> None:
    """An outage, lost lines and a denied access token are no part of a session's story."""
    recorder = Recorder()
    recorder.record(events.StoreUnavailable(NOW, "refresh"))
    recorder.record(events.AuditLost(NOW, 1, 1))
    recorder.record(events.Denied(NOW, "alice", "token"))
    recorder.record(events.RefreshRejected(NOW, "invalid"))
    assert recorder.last == 0


def test_who_acted_is_known() -> None:
    """What happens while the thief acts is the thief's; before and after it is the owner's."""
    recorder = Recorder()
    recorder.record(rotated("one", 1))
    with acting_as("thief"):
        recorder.record(rotated("one", 2))
    recorder.record(rotated("one", 3))
    assert [each.actor for each in recorder.since("one", 0)] == ["owner", "thief", "owner"]


async def test_a_stream_replays_then_follows_then_ends() -> None:
    """What is kept comes first, then what happens; a while after the session's end, the stream says so."""
    recorder = Recorder()
    recorder.record(rotated("one", 1))
    recorder.record(rotated("one", 2))
    stream = follow(watch(recorder), 1, linger=0.01)
    assert (await anext(stream)).startswith("retry: ")
    assert await anext(stream) == 'id: run.2\ndata: {"generation": 2}\n\n'
    recorder.record(events.Revoked(NOW, "alice", "one", "logout"))
    assert await anext(stream) == 'id: run.3\ndata: {"generation": null}\n\n'
    assert [text async for text in stream] == ["event: end\ndata: {}\n\n"]


async def test_a_quiet_stream_beats_and_looks() -> None:
    """In silence a stream sends what readers ignore; it ends when another process has ended the session."""
    stream = follow(watch(Recorder()), 0, heartbeat=0.01)
    assert [await anext(stream) for _ in range(3)][1:] == [":\n\n", ":\n\n"]
    await stream.aclose()
    over = follow(watch(Recorder(), lives=False), 0, heartbeat=0.01)
    assert [text async for text in over][1:] == ["event: end\ndata: {}\n\n"]


async def test_streams_end_with_the_server() -> None:
    """A recorder that is closed ends its streams without the word that they are over: readers come back."""
    recorder = Recorder()
    stream = follow(watch(recorder), 0)
    await anext(stream)
    recorder.close()
    assert [text async for text in stream] == []


@pytest.mark.parametrize(
    ("known", "place"),
    [("run.17", 17), ("walk.17", 0), (None, 0), ("", 0), ("run.x", 0), ("run.-1", 0), ("run." + "9" * 40, 0)],
)
def test_a_place_counts_in_its_own_run(known: str | None, place: int) -> None:
    """The id of an event says where a reader was, unless it is of another start of the server, or none."""
    assert watch(Recorder()).place(known) == place


EXAMPLES: Mapping[type, Any] = {
    events.Issued: [events.Issued(NOW, "alice", "one", {"name": "Firefox"})],
    events.Refreshed: [rotated("one", 1), events.Refreshed(NOW, "alice", "one", 1, rotated=False)],
    events.SteppedUp: [events.SteppedUp(NOW, "alice", "one")],
    events.RefreshConverged: [
        events.RefreshConverged(NOW, "alice", "one", 1, "race"),
        events.RefreshConverged(NOW, "alice", "one", 1, "recovered"),
    ],
    events.RefreshRejected: [
        events.RefreshRejected(NOW, "revoked", "one"),
        events.RefreshRejected(NOW, "conflict", "one"),
    ],
    events.RefreshForged: [events.RefreshForged(NOW, "alice", "one", "key")],
    events.ReuseDetected: [
        events.ReuseDetected(NOW, "alice", "one", 1, "fork"),
        events.ReuseDetected(NOW, "alice", "one", 1, "previous"),
        events.ReuseDetected(NOW, "alice", "one", 2, "stale"),
    ],
    events.SessionExpired: [events.SessionExpired(NOW, "alice", "one", "idle")],
    events.Revoked: [
        events.Revoked(NOW, "alice", "one", "logout"),
        events.Revoked(NOW, "alice", "one", "reuse"),
        events.Revoked(NOW, "alice", "one", "admin"),
        events.Revoked(NOW, "alice", "one", "user"),
    ],
    events.StoreRolledBack: [events.StoreRolledBack(NOW, "alice", "one", 1, recovered=True)],
    Stolen: [Stolen(NOW, "one", 1)],
    Dropped: [Dropped(NOW, "one", 1), Dropped(NOW, "one", 1, lost=False)],
}


def test_each_event_of_a_session_has_an_example() -> None:
    """No event that has a session is left out of the tests below, nor of the catalogues."""
    of_sessions = {each for each in get_args(Told) if "session_id" in each.__dataclass_fields__}
    assert of_sessions == set(EXAMPLES)
    told = {code_of(each) for examples in EXAMPLES.values() for each in examples}
    assert told == set(texts_in("en").part("moments"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_moment_is_a_line(language: str) -> None:
    """Each has a title and a sentence, all braces filled in; the line is JSON and names no device."""
    for example in (each for examples in EXAMPLES.values() for each in examples):
        line = tell(Moment(7, example, "owner"), texts_in(language), Policy())
        assert (line["number"], line["at"]) == (7, NOW)
        assert line["title"]
        assert line["text"].endswith(".")
        assert not re.search(r"[{}]|None", line["title"] + line["text"])
        assert "Firefox" not in json.dumps(line)


def test_a_line_says_what_is_true_of_it() -> None:
    """A conflict ends no session, a sign-out everywhere came from its user, theft shows in two ways."""
    texts = texts_in("en")

    def text(told: Told) -> str:
        return str(tell(Moment(7, told, "owner"), texts, Policy())["text"])

    assert "the session goes on" in text(events.RefreshRejected(NOW, "conflict", "one"))
    assert "administrator" not in text(events.Revoked(NOW, "alice", "one", "user"))
    late = text(events.ReuseDetected(NOW, "alice", "one", 1, "previous"))
    assert "after its windows had passed or its successor was in use" in late
    assert "holds the current token" in text(Dropped(NOW, "one", 1, lost=False))


def places(catalogue: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each text of a catalogue by its place, with what is to be filled in."""
    for name, found in catalogue.items():
        if isinstance(found, str):
            yield f"{above}{name}", tuple(sorted(re.findall(r"{(\w+)}", found)))
        else:
            yield from places(found, f"{above}{name}.")


def test_a_text_is_no_part_and_a_part_no_text() -> None:
    """What is asked for as the other, or lies below a text, is not there: a page does not show a dict."""
    texts = texts_in("en")
    for ask in (
        lambda: texts.say("page"),
        lambda: texts.part("page.title"),
        lambda: texts.say("page.title.more"),
    ):
        with pytest.raises(KeyError):
            ask()


def test_catalogues_are_of_one_shape() -> None:
    """Every language has every text, and the same braces in it."""
    parts = ("page", "facts", "demo", "tab", "moments", "script")
    shapes = [{part: dict(places(texts_in(each).part(part))) for part in parts} for each in LANGUAGES]
    assert all(shape == shapes[0] for shape in shapes)
