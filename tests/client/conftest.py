"""The fixtures of the client's tests. They know no rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.served import COLOURS, Api, Colour, names, running


@pytest.fixture
def api() -> Iterator[Api]:
    """A server of the test's own."""
    with running() as api:
        yield api


@pytest.fixture(params=COLOURS, ids=names)
def colour(request: pytest.FixtureRequest) -> Colour:
    """Each way to call, in turn."""
    chosen: Colour = request.param
    return chosen
