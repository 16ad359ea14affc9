"""The plugin in the suites of applications: several frameworks, stores and managers of both colours."""

from __future__ import annotations

import pytest

from tests.support.suites import IN_ONE_LOOP, run

pytest_plugins = ["pytester"]

# What every application's suite below proves over HTTP; `client` and `post` are the framework's.
OVER_HTTP = """
import pytest
from keyturn import (
    InvalidToken, Issued, RefreshConverged, Refreshed, RefreshRejected, ReuseDetected, ReusedToken, Revoked,
    StoreUnavailable,
)
from keyturn.lab import LabError


def test_signed_in(client, keyturn):
    ann = keyturn.login_as("ann", claims={"roles": ["admin"]})
    assert client.get("/me", headers=ann.headers).status_code == 200
    assert client.get("/me").status_code == 401
    keyturn.assert_event(Issued, user_id="ann")


def test_time_passes(client, keyturn):
    ann = keyturn.login_as("ann")
    keyturn.clock.advance("15m")
    assert client.get("/me", headers=ann.headers).status_code == 200  # the leeway
    keyturn.clock.advance("6s")
    assert client.get("/me", headers=ann.headers).status_code == 401
    ann.refresh()
    assert client.get("/me", headers=ann.headers).status_code == 200
    keyturn.clock.advance("7d")
    assert post(client, "/auth/refresh", ann.body).status_code == 401
    ann.assert_ended("idle")


def test_a_race_logs_nobody_out(client, keyturn):
    ann = keyturn.login_as("ann")
    keyturn.clock.advance("1h")
    race = keyturn.simulate_race(ann, tabs=5)
    assert race.converged and len(race.pairs) == 5
    assert len(keyturn.events.of(Refreshed)) == 1
    assert {event.kind for event in keyturn.events.of(RefreshConverged)} == {"race"}
    assert len(keyturn.events.of(RefreshConverged)) == 4
    assert client.get("/me", headers=ann.headers).status_code == 200
    assert post(client, "/auth/refresh", ann.body).status_code == 200


def test_a_lost_answer_is_made_up_for(client, keyturn):
    ann = keyturn.login_as("ann")
    lost = keyturn.simulate_lost_response(ann)
    assert lost.refresh_token != ann.refresh_token
    keyturn.clock.advance("1h")
    assert post(client, "/auth/refresh", ann.body).status_code == 200
    keyturn.assert_event(RefreshConverged, kind="recovered", session_id=ann.session_id)
    assert ann.lives


def test_a_thief_is_noticed_and_everybody_is_out(client, keyturn):
    ann = keyturn.login_as("ann")
    thief = keyturn.steal(ann)
    thief.refresh()
    assert client.get("/me", headers=thief.headers).status_code == 200
    keyturn.flush()
    keyturn.clock.advance("1h")
    assert post(client, "/auth/refresh", ann.body).status_code == 401
    keyturn.assert_event(ReuseDetected, kind="previous", user_id="ann")
    keyturn.assert_no_event(ReuseDetected, kind="fork")
    ann.assert_ended("reuse")
    assert client.get("/me", headers=thief.headers).status_code == 401


def test_what_a_client_got_over_http_is_taken(client, keyturn):
    ann = keyturn.login_as("ann")
    keyturn.clock.advance("1h")
    answer = post(client, "/auth/refresh", ann.body)
    ann.take(answer.json if isinstance(answer.json, dict) else answer.json())
    assert client.get("/me", headers=ann.headers).status_code == 200
    keyturn.clock.advance("25h")
    ann.refresh()
    refused = post(client, "/auth/refresh", {"refresh_token": "nonsense"})
    with pytest.raises(LabError, match="nothing to take"):
        ann.take(refused.json if isinstance(refused.json, dict) else refused.json())


def test_signing_out_over_http_is_seen(client, keyturn):
    ann = keyturn.login_as("ann")
    assert post(client, "/auth/logout", ann.body).status_code == 204
    ann.assert_ended("logout")
    assert not ann.lives
    assert keyturn.login_as("bob").sign_out()


def test_an_outage_is_503_and_passes(client, keyturn):
    ann = keyturn.login_as("ann")
    with keyturn.store_away():
        keyturn.clock.advance("10s")
        assert client.get("/me", headers=ann.headers).status_code == 503
        assert post(client, "/auth/refresh", ann.body).status_code == 503
        with pytest.raises(StoreUnavailable):
            ann.refresh()
        keyturn.assert_event(StoreUnavailable, operation="rotate")
    assert client.get("/me", headers=ann.headers).status_code == 200
    ann.refresh()
    ann.assert_lives()


def test_what_anybody_can_cause_is_seen_each_time(client, keyturn):
    keyturn.events.clear()
    for _ in range(3):
        assert post(client, "/auth/refresh", {"refresh_token": "nonsense"}).status_code == 401
    assert len(keyturn.events.of(RefreshRejected)) == 3


def test_the_clock_was_given_back(keyturn_manager):
    import time
    assert abs(keyturn_manager.now() - time.time()) < 60
"""

STARLETTE = """
import contextlib
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from keyturn import AsyncTokenManager, KeyRing
from keyturn.starlette import Keyturn
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore

store = {store}
manager = AsyncTokenManager(
    store=store, keys=KeyRing.generate(), issuer="https://auth.example.com", audience="my-api"
)
auth = Keyturn(manager)


@auth.require()
async def me(request):
    return JSONResponse({{"user": request.user.identity}})


@contextlib.asynccontextmanager
async def lifespan(app):
    await store.create_schema()
    {starts}
    yield
    await manager.close()


app = Starlette(routes=[*auth.routes, Route("/me", me)], lifespan=lifespan)


@pytest.fixture
def client():
    {client}


@pytest.fixture
def keyturn_manager():
    return manager
"""

FLASK = """
import pytest
from flask import Flask
from keyturn import KeyRing, TokenManager
from keyturn.flask import Keyturn, auth_required, current_principal
from keyturn.stores.memory import MemoryStore
from keyturn.stores.sqlalchemy import SQLAlchemyStore

store = {store}
store.create_schema()
manager = TokenManager(
    store=store, keys=KeyRing.generate(), issuer="https://auth.example.com", audience="my-api"
)
app = Flask(__name__)
Keyturn(manager).init_app(app)


@app.get("/me")
@auth_required()
def me():
    return {{"user": current_principal.user_id}}


@pytest.fixture
def client():
    return app.test_client()


@pytest.fixture
def keyturn_manager():
    return manager


@pytest.fixture(scope="session", autouse=True)
def closed():
    yield
    manager.close()
"""

POST = """
def post(client, path, body):
    return client.post(path, json=body)
"""

ENTERED = "with TestClient(app) as client:\n        yield client"
TESTS = 10


@pytest.mark.parametrize("starts", ["", "await manager.start()"])
@pytest.mark.parametrize(
    ("store", "client"),
    [
        ("AsyncMemoryStore()", "return TestClient(app)"),
        ("AsyncMemoryStore()", ENTERED),
        ('AsyncSQLAlchemyStore.from_url("sqlite:///sessions.db")', ENTERED),
    ],
    ids=["memory", "memory-entered", "sqlite-entered"],
)
def test_starlette(pytester: pytest.Pytester, store: str, client: str, starts: str) -> None:
    """In Starlette, tests without `await` do what they like with an `AsyncTokenManager`, whoever is first."""
    conftest = STARLETTE.format(store=store, client=client, starts=starts)
    run(pytester, conftest=conftest, test_app=OVER_HTTP + POST).assert_outcomes(passed=TESTS)


@pytest.mark.parametrize("store", ["MemoryStore()", 'SQLAlchemyStore.from_url("sqlite:///sessions.db")'])
def test_flask(pytester: pytest.Pytester, store: str) -> None:
    """In Flask, with a `TokenManager` and real threads in the races, the same tests pass."""
    run(pytester, conftest=FLASK.format(store=store), test_app=OVER_HTTP + POST).assert_outcomes(passed=TESTS)


# Frameworks of which Keyturn's leaf is not needed here: their clients, and where they run the application.
FASTAPI = """
from fastapi import FastAPI, Header
from fastapi.testclient import TestClient

app = FastAPI(lifespan=lifespan)


@app.get("/me")
async def me(authorization: str = Header()):
    return {"user": (await manager.authenticate(authorization.removeprefix("Bearer "))).user_id}
"""

LITESTAR = """
from litestar import Litestar, Request, get
from litestar.testing import TestClient


@get("/me")
async def me(request: Request) -> dict[str, str]:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    return {"user": (await manager.authenticate(token)).user_id}


app = Litestar([me], lifespan=[lifespan], logging_config=None)  # its logging would outlive the suite
"""

AFTER = """

@pytest.fixture
def client():
    with TestClient(app) as client:
        yield client
"""

IN_ITS_LOOP = """
import pytest


@pytest.mark.parametrize("time", range(2))
def test_it(keyturn, client, time):
    ann = keyturn.login_as("ann")
    assert keyturn.simulate_race(ann).converged
    assert client.get("/me", headers=ann.headers).json() == {"user": "ann"}
    ann.assert_lives()


async def by_itself(async_keyturn):
    ann = await async_keyturn.login_as("ann")
    assert (await async_keyturn.manager.authenticate(ann.access_token)).user_id == "ann"
    assert (await async_keyturn.simulate_race(ann)).converged
    await async_keyturn.manager.close()


@pytest.mark.asyncio
async def test_with_await(async_keyturn):
    await by_itself(async_keyturn)


@pytest.mark.anyio
async def test_with_anyio(async_keyturn):
    await by_itself(async_keyturn)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_without_an_application(keyturn):
    assert keyturn.login_as("ann").lives


def test_the_store_is_free_again(keyturn, client):
    ann = keyturn.login_as("ann")
    assert client.get("/me", headers=ann.headers).status_code == 200
"""


@pytest.mark.parametrize("framework", [FASTAPI, LITESTAR], ids=["fastapi", "litestar"])
def test_one_store_goes_from_loop_to_loop(pytester: pytest.Pytester, framework: str) -> None:
    """One application's tests with and without `await`, with and without a client, share a database store."""
    result = run(pytester, conftest=IN_ONE_LOOP + framework + AFTER, test_app=IN_ITS_LOOP)
    result.assert_outcomes(passed=6)
