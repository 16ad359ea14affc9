"""What an application tests of its sign-ins: two lines each, with Keyturn's pytest plugin."""

import pytest
from aiohttp.test_utils import TestClient, TestServer
from app import create_app, manager, settings

from keyturn import ReusedToken

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def keyturn_manager():
    return manager


@pytest.fixture
def keyturn_settings():
    return settings


@pytest.fixture
async def client():
    async with TestClient(TestServer(create_app())) as client:
        yield client


async def test_notes_are_their_owners(client, async_keyturn):
    assert (await client.get("/notes")).status == 401
    ann = await async_keyturn.login_as("ann")
    assert await (await client.get("/notes", headers=ann.headers)).json() == ["buy milk"]


async def test_only_admins_see_everything(client, async_keyturn):
    bob = await async_keyturn.login_as("bob", claims={"roles": ["member"]})
    assert (await client.get("/everything", headers=bob.headers)).status == 403


async def test_forgetting_needs_a_recent_sign_in(client, async_keyturn):
    ann = await async_keyturn.login_as("ann")
    async_keyturn.clock.advance("6m")
    assert (await client.delete("/notes", headers=ann.headers)).status == 401


async def test_a_thief_ends_the_session(client, async_keyturn):
    ann = await async_keyturn.login_as("ann")
    thief = async_keyturn.steal(ann)
    await ann.refresh()
    async_keyturn.clock.advance("25h")
    with pytest.raises(ReusedToken):
        await thief.refresh()
    assert (await client.get("/notes", headers=ann.headers)).status == 401
