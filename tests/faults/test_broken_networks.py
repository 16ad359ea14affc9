"""A network between a store and its server that loses, delays, breaks and swallows: in both colours.

A store that cannot answer says so in bounded time; what is safe to repeat is repeated out of sight; later the
same store works again, nothing acknowledged is lost, nobody is logged out, and nothing has leaked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import pytest

from keyturn._core.outcomes import Reused
from keyturn.testing.colours import together
from keyturn.testing.history import Client, Deed, History
from keyturn.testing.proxy import Loss, Proxy
from keyturn.testing.samples import DAY, numbered, refresh_of, sign_in
from tests.faults.storms import COLOURS, TRIES, Colour, Stand, Storm, persist, stand
from tests.support.databases import place_on
from tests.support.processes import no_thread_left, wait_until

POOL_SIZE = 4
# Short, so that a server that never answers costs the tests little; still far longer than any healthy answer.
ANSWER_TIMEOUT = 0.4
LATE_SECONDS = 60.0  # an answer that comes then comes long after anybody waits for it
SQL: dict[str, Any] = {"answer_timeout": ANSWER_TIMEOUT, "connect_timeout": 1.0, "busy_timeout": 3.0}
MOST_MESSAGES = 30


@dataclass(frozen=True, slots=True)
class Engine:
    """A server that runs for the whole run, and how the store is opened on it."""

    name: str
    server: str
    options: Mapping[str, Any]
    portable: bool = False

    def __str__(self) -> str:
        return self.name


ENGINES = (
    Engine("PostgreSQL", "postgres_server", SQL),
    Engine("PostgreSQL through SQLAlchemy", "postgres_server", SQL, portable=True),
    Engine("MariaDB", "mariadb_server", SQL),
    Engine("Redis", "redis_server", {"timeout": ANSWER_TIMEOUT}),
)


@dataclass(frozen=True, slots=True)
class Network:
    """A store whose connections go through a proxy, and what its clients are told.

    Attributes:
        proxy: Between the store and its server.
        site: The store.
        history: What all clients were told since it was opened.
        since: Where in that the test began.
    """

    proxy: Proxy
    site: Stand
    history: History
    since: int = 0

    def client(self, name: str = "client") -> Client:
        """Give a client that is signed in and has refreshed once."""
        client = Client(self.site.manager, self.history, name)
        assert persist(client.sign_in)
        assert persist(client.refresh)
        self.site.manager.flush()
        return client

    def unanswered(self, deed: Deed) -> int:
        """Count what this test's clients asked for and do not know the end of."""
        told = (each for each in self.history.told if each.began >= self.since)
        return sum(each.deed == deed and each.unanswered for each in told)


def named(pair: tuple[Engine, Colour]) -> str:
    """Give the name of an engine and a colour."""
    return f"{pair[0]}, {pair[1]}"


@pytest.fixture(
    scope="module", params=[(engine, colour) for engine in ENGINES for colour in COLOURS], ids=named
)
def opened(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A store of each engine in each colour. When it is closed, nothing of it is left."""
    engine, colour = request.param
    server = request.getfixturevalue(engine.server)
    with place_on(server) as url, Proxy(server.port) as proxy:
        options = {**engine.options, "pool_size": POOL_SIZE}
        with (
            no_thread_left(),
            stand(proxy.url(url), colour, portable=engine.portable, **options) as site,
        ):
            yield Network(proxy, site, History())
        wait_until(lambda: proxy.connections == 0, what="the store to close its connections")


@pytest.fixture
def network(opened: Network) -> Iterator[Network]:
    """The same store for all tests, on a healthy network. Each test ends with a look at all that was told."""
    yield replace(opened, since=opened.history.now())
    opened.proxy.behave()
    opened.site.manager.flush()
    opened.history.check(opened.site.rows)


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_any_message_may_be_lost(network: Network, loss: Loss) -> None:
    """Whichever message of an operation is lost, before or after the server got it, the client can go on.

    Where a repetition is safe, nobody notices: a refresh converges. Where it is not, the client is told.
    """
    deeds = (Client.sign_in, Client.refresh, Client.use, Client.sign_out)
    for deed in deeds:
        for messages in range(MOST_MESSAGES):
            client, lost = network.client(), network.proxy.lost
            network.proxy.lose(loss, after=messages)
            assert persist(partial(deed, client))
            hit = network.proxy.lost > lost
            network.proxy.lose_nothing()
            if deed is not Client.sign_out:
                assert persist(client.refresh)
            if not hit:
                break
        else:
            pytest.fail(f"{deed.__name__} takes more than {MOST_MESSAGES} messages")
        assert messages > 0, "nothing was lost"
    assert network.unanswered("refresh") == 0
    assert network.unanswered("use") == 0
    assert network.unanswered("sign-in") > 0


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_reuse_is_told_whichever_message_is_lost(network: Network, loss: Loss) -> None:
    """A store that asks again does not take the reuse that its first try found for an end long ago."""
    rows = network.site.rows
    session = numbered(1 if loss == "request" else 2)
    for messages in range(MOST_MESSAGES):
        rows.delete([session.sid])
        rows.create(sign_in(session))
        for generation in range(3):
            step = session.created_at + generation * DAY
            rows.rotate(replace(refresh_of(session, step), gen=generation))
        lost = network.proxy.lost
        network.proxy.lose(loss, after=messages)
        outcome = rows.rotate(refresh_of(session, session.created_at + 3 * DAY))
        network.proxy.lose_nothing()
        assert isinstance(outcome, Reused), (messages, outcome)
        assert outcome.kind == "stale"
        if network.proxy.lost == lost:
            break
    else:
        pytest.fail(f"a refresh takes more than {MOST_MESSAGES} messages")
    assert messages > 0, "nothing was lost"
    rows.delete([session.sid])


def test_a_server_that_is_too_slow(network: Network) -> None:
    """An answer that comes too late is none: the client is told so, and can go on with what it has."""
    client = network.client()
    network.proxy.delay(LATE_SECONDS)
    assert not client.refresh()
    network.proxy.delay(0)
    assert persist(client.refresh)
    assert network.unanswered("refresh") == 1


def test_a_server_that_never_answers(network: Network) -> None:
    """Each operation ends in bounded time and says nothing about any token; later the store works again."""
    client, guest = network.client(), Client(network.site.manager, network.history, "guest")
    network.proxy.deafen()
    deeds = (client.refresh, client.use, client.sign_out, guest.sign_in)
    assert together(deeds) == [False] * len(deeds)
    assert [each.unanswered for each in network.history.told[-len(deeds) :]] == [True] * len(deeds)
    network.proxy.hear()
    assert persist(guest.sign_in)
    assert persist(client.sign_out)


def test_a_server_that_is_not_there(network: Network) -> None:
    """While nobody listens, every operation says that the store is unavailable; later it works again."""
    client, guest = network.client(), Client(network.site.manager, network.history, "guest")
    network.proxy.refuse()
    for deed in (client.refresh, client.use, guest.sign_in, client.sign_out):
        assert not deed()
        assert network.history.told[-1].unanswered
    network.proxy.listen()
    assert persist(guest.sign_in)
    assert persist(client.refresh) or persist(client.sign_out)


def test_connections_that_broke_while_nobody_looked(network: Network) -> None:
    """After all pooled connections broke, as after the server's restart, refreshes work at the first try."""
    clients = [network.client(f"client-{number}") for number in range(POOL_SIZE)]
    for _ in range(5):
        assert all(together([client.refresh for client in clients]))
        network.proxy.reset()
        assert all(together([client.refresh for client in clients]))
        assert network.proxy.connections <= POOL_SIZE


def test_nothing_leaks(network: Network) -> None:
    """However often connections break and the server is gone, threads, tasks and connections stay as many."""
    client = network.client()
    counts: list[tuple[int, int]] = []
    for _ in range(12):
        network.proxy.reset()
        assert persist(client.refresh)
        network.proxy.refuse()
        assert not client.refresh()
        network.proxy.listen()
        assert persist(client.refresh)
        assert persist(client.use)
        network.site.manager.flush()
        assert network.proxy.connections <= POOL_SIZE
        counts.append((threading.active_count(), network.site.tasks()))
    threads, tasks = zip(*counts, strict=True)
    assert max(threads[4:]) <= max(threads[:4])
    assert max(tasks[4:]) <= max(tasks[:4])


def blow(network: Network, rounds: int) -> None:
    """Let a storm blow while the network misbehaves in every way, in an order of chance."""
    random, proxy = Random(rounds), network.proxy  # noqa: S311 - it chooses a history
    storm = Storm(network.site.manager, history=network.history)
    storm.begin()

    def until_noticed(begin: Callable[[], None], end: Callable[[], None]) -> None:
        before = network.history.unanswered()
        begin()
        wait_until(lambda: network.history.unanswered() > before, what="an outage to be noticed")
        end()

    acts: list[Callable[[], object]] = [
        lambda: proxy.lose("answer", 3, after=random.randrange(5)),
        lambda: proxy.lose("request", 3, after=random.randrange(5)),
        proxy.reset,
        lambda: until_noticed(proxy.deafen, proxy.hear),
        lambda: until_noticed(proxy.refuse, proxy.listen),
        lambda: until_noticed(lambda: proxy.delay(LATE_SECONDS), lambda: proxy.delay(0)),
    ]
    try:
        for _ in range(rounds):
            random.shuffle(acts)
            for act in acts:
                act()
                storm.blow(10)
    finally:
        storm.end()
    proxy.lose_nothing()
    storm.check(network.site.rows)


def test_a_storm_on_a_bad_network(network: Network) -> None:
    """With everything that can go wrong, each client goes on, and each is told the truth or nothing."""
    blow(network, 1)


@pytest.mark.slow
def test_a_long_storm_on_a_bad_network(network: Network) -> None:
    """As above, for long enough that faults meet."""
    blow(network, TRIES)
