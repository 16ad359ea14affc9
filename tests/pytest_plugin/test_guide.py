"""The guide for applications' tests: its blocks are the files of a suite, which runs as it stands."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.support.sources import ROOT
from tests.support.suites import IN_ONE_LOOP, run

pytest_plugins = ["pytester"]

GUIDE: Final = ROOT / "docs" / "how-to" / "test-your-application.md"
BLOCK: Final = re.compile(r"^```python\n# (\w+)\.py\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FIXTURE: Final = re.compile(r"^```python\n(@pytest\.fixture\n.*?)^```$", re.DOTALL | re.MULTILINE)

SHOP: Final = """
from flask import Flask
from keyturn import KeyRing, TokenManager
from keyturn.flask import Keyturn, auth_required
from keyturn.stores.memory import MemoryStore

manager = TokenManager(
    store=MemoryStore(), keys=KeyRing.generate(), issuer="https://auth.example.com", audience="my-api"
)
app = Flask(__name__)
Keyturn(manager).init_app(app)


@app.get("/orders")
@auth_required(scopes=("orders:read",))
def orders():
    return {"orders": []}
"""


def test_the_guide_is_a_suite_that_passes(pytester: pytest.Pytester) -> None:
    """Whoever copies its blocks into files of those names, beside an application, has tests that pass."""
    files = dict(BLOCK.findall(GUIDE.read_text("utf-8")))
    tests = sum(len(re.findall(r"^(?:async )?def test_", text, re.MULTILINE)) for text in files.values())
    assert {"conftest", "test_orders", "test_with_await"} <= files.keys()
    assert tests == 8
    run(pytester, shop=SHOP, **files).assert_outcomes(passed=tests)


SHOP_WITH_AWAIT: Final = (
    IN_ONE_LOOP
    + """
from starlette.applications import Starlette
from starlette.testclient import TestClient
from keyturn.starlette import Keyturn

app = Starlette(routes=Keyturn(manager).routes, lifespan=lifespan)
"""
)

TESTS_WITHOUT_AWAIT: Final = """
def test_it(client, keyturn):
    ann = keyturn.login_as("ann")
    assert client.get("/auth/me", headers=ann.headers).status_code == 200
    assert keyturn.simulate_race(ann).converged


def test_it_again(keyturn, client):
    ann = keyturn.login_as("ann")
    assert client.post("/auth/refresh", json=ann.body).status_code == 200
"""


@pytest.mark.parametrize("named", [False, True])
def test_the_guides_fixtures_find_the_applications_loop(pytester: pytest.Pytester, *, named: bool) -> None:
    """An entered client is found, and one that is named is taken; the store belongs to that loop alone."""
    fixtures = FIXTURE.findall(GUIDE.read_text("utf-8"))
    assert len(fixtures) == 2
    conftest = SHOP_WITH_AWAIT + "\n\n" + "\n\n".join(fixtures[: 1 + named])
    run(pytester, conftest=conftest, test_shop=TESTS_WITHOUT_AWAIT).assert_outcomes(passed=2)
