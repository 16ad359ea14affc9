"""Stores that come back without their last writes: an older backup of PostgreSQL, a lagging replica of Redis.

Whoever loses one or two rotations goes on as if nothing had happened, and a stolen token is noticed as ever.
Revocations that were lost are lost: such a server cannot promise them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import pytest

from keyturn.errors import AccessTokenError, InvalidToken, ReusedToken, RevokedToken
from keyturn.stores.protocol import EVERY, Store, Where
from keyturn.testing.history import Client, History
from keyturn.testing.proxy import Proxy
from keyturn.testing.servers import PostgresServer, RedisCluster, RedisSentinel, RedisServer
from keyturn.testing.wrappers import StoreWrapper
from tests.faults.storms import COLOURS, Colour, Stand, Storm, answered, persist, stand
from tests.support.databases import in_step, started
from tests.support.processes import wait_until

MOST_LOST = 2  # rotations per session that a lossy store may lose

EACH_COLOUR = pytest.mark.parametrize("colour", COLOURS)


@dataclass(frozen=True, slots=True)
class Lossy:
    """A store on a server that will forget what comes after a moment.

    Attributes:
        site: The store.
        remember: What was written so far will be there.
        forget: What came after that is gone.
    """

    site: Stand
    remember: Callable[[], None]
    forget: Callable[[], None]


@contextmanager
def older_backup(colour: Colour) -> Generator[Lossy]:
    """Run PostgreSQL, of which a backup is made and put back."""
    with started(PostgresServer()) as server, stand(server.new_database(), colour) as site:

        def remember() -> None:
            server.stop()
            server.backup()
            server.start()

        def forget() -> None:
            server.stop()
            server.restore(server.folder / "backup")
            server.start()

        yield Lossy(site, remember, forget)


@contextmanager
def lagging_replica(colour: Colour) -> Generator[Lossy]:
    """Run Redis with a replica, which is cut off from it and takes over."""
    with ExitStack() as stack:
        primary = stack.enter_context(started(RedisServer()))
        replica = stack.enter_context(started(RedisServer(options=primary.replication())))
        proxy = stack.enter_context(Proxy(primary.port))
        site = stack.enter_context(stand(proxy.url(primary.url), colour))

        def remember() -> None:
            in_step(primary)
            replica.command("REPLICAOF", "NO", "ONE")

        def forget() -> None:
            primary.kill()
            proxy.fail_over(replica.port)

        yield Lossy(site, remember, forget)


Fate: TypeAlias = Callable[[Stand], Generator[None]]
"""What happens to one client: before the moment that will be remembered, after it, and after the loss."""


def losing(lost: int, fate: Callable[[Stand, int], Generator[None]]) -> Fate:
    """Let a client lose so many rotations."""
    return lambda site: fate(site, lost)


def goes_on(site: Stand, lost: int) -> Generator[None]:
    """Whoever loses no, one or two rotations goes on with what it was told last."""
    history, user = History(), f"honest-{lost}"
    client = Client(site.manager, history, user)
    assert client.sign_in()
    assert client.refresh()
    yield
    assert all(persist(client.refresh) for _ in range(lost))
    yield
    assert persist(client.refresh)
    assert client.use()
    assert client.refresh()
    history.check(OnlyOf(user, site.rows), lost_writes=lost)


def is_robbed(site: Stand, lost: int) -> Generator[None]:
    """A token that a thief took ends the session at its next use, as it would without the loss."""
    user = f"robbed-{lost}"
    client = Client(site.manager, History(), user)
    assert client.sign_in()
    assert client.refresh()
    assert client.pair is not None
    loot = client.pair.refresh_token
    assert client.refresh()
    yield
    assert all(persist(client.refresh) for _ in range(lost))
    yield
    assert persist(client.refresh)
    with pytest.raises(ReusedToken):
        site.manager.refresh(loot, context="a thief")
    with pytest.raises(RevokedToken):
        site.manager.refresh(client.pair.refresh_token, context=user)


def must_sign_in(site: Stand) -> Generator[None]:
    """A token that is further ahead is refused without a word on theft, and its session is left alone."""
    pair = newer = site.manager.issue("far ahead")
    yield
    for _ in range(MOST_LOST + 1):
        newer = answered(partial(site.manager.refresh, newer.refresh_token))
    yield
    with pytest.raises(InvalidToken):
        answered(lambda: site.manager.refresh(newer.refresh_token))
    (row,) = site.rows.find(Where(user_id="far ahead"))
    assert (str(row.sid), row.gen, row.revoked_at) == (pair.session_id, 0, None)


def stays_revoked(site: Stand) -> Generator[None]:
    """A revocation that the server still has holds."""
    pair = site.manager.issue("gone")
    assert site.manager.revoke(pair.session_id)
    yield
    yield
    with pytest.raises(RevokedToken):
        answered(lambda: site.manager.refresh(pair.refresh_token))
    with pytest.raises(AccessTokenError):
        answered(lambda: site.manager.authenticate(pair.access_token))


FATES: tuple[Fate, ...] = (
    *(losing(lost, fate) for fate in (goes_on, is_robbed) for lost in range(MOST_LOST + 1)),
    must_sign_in,
    stays_revoked,
)


class OnlyOf(StoreWrapper):
    """A store of which only one user's sessions are counted."""

    def __init__(self, user_id: str, inner: Store) -> None:
        super().__init__(inner)
        self._user_id = user_id

    def count(self, where: Where = EVERY, /) -> int:
        return super().count(replace(where, user_id=self._user_id))


@EACH_COLOUR
@pytest.mark.parametrize("lossy", [older_backup, lagging_replica])
def test_what_was_lost_is_made_up_for(
    lossy: Callable[[Colour], AbstractContextManager[Lossy]], colour: Colour
) -> None:
    """Each of the fates above ends as its own sentence says."""
    with lossy(colour) as server:
        fates = [fate(server.site) for fate in FATES]
        for fate in fates:
            next(fate)
        server.remember()
        for fate in fates:
            next(fate)
        server.forget()
        for fate in fates:
            assert next(fate, "its end") == "its end"


@EACH_COLOUR
def test_a_sentinel_promotes_a_replica_in_a_storm(colour: Colour) -> None:
    """When the primary dies and its replica takes over, every client goes on, and finds it by itself."""
    with (
        started(RedisServer()) as primary,
        started(RedisServer(options=primary.replication())) as replica,
        started(RedisSentinel(primary)) as sentinel,
    ):
        in_step(primary)
        wait_until(
            lambda: str(replica.port) in sentinel.command("SENTINEL", "replicas", sentinel.service),
            what="the Sentinel to know the replica",
        )
        with stand(sentinel.url, colour) as site:
            storm = Storm(site.manager, visitors=0)  # a revocation may be lost here
            storm.begin()
            try:
                storm.blow(40)
                primary.kill()
                storm.blow(40)
            finally:
                storm.end()
            storm.check(site.rows, lost_writes=MOST_LOST)


@pytest.mark.slow
@EACH_COLOUR
def test_a_node_of_a_cluster_dies_in_a_storm(colour: Colour) -> None:
    """When a primary of a cluster dies and its replica takes over, every client goes on and finds it."""
    with started(RedisCluster()) as cluster, stand(cluster.url, colour) as site:
        storm = Storm(site.manager, stayers=8, visitors=0)
        storm.begin()
        try:
            storm.blow(80)
            cluster.nodes[0].kill()
            storm.blow(80)
            cluster.nodes[0].start()
            cluster.wait_until_whole()
            storm.blow(80)
        finally:
            storm.end()
        storm.check(site.rows, lost_writes=MOST_LOST)
        assert "master" in cluster.nodes[3].command("ROLE").split()
