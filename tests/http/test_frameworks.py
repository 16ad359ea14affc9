"""Each framework keeps every rule of the HTTP suite."""

from __future__ import annotations

import pytest

from keyturn.testing.http_suite import HttpConformance, SocketConformance
from tests.http.django_app import DjangoFramework
from tests.http.flask_app import FlaskFramework
from tests.http.starlette_app import StarletteFramework


class TestStarlette(SocketConformance):
    """Starlette over uvicorn."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> StarletteFramework:
        """Starlette."""
        return StarletteFramework()


class TestFlask(HttpConformance):
    """Flask over Werkzeug's server."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> FlaskFramework:
        """Flask."""
        return FlaskFramework()


class TestDjango(HttpConformance):
    """Django's WSGI over Werkzeug's server."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> DjangoFramework:
        """Django."""
        return DjangoFramework("wsgi")


class TestDjangoAsgi(SocketConformance):
    """Django's ASGI over uvicorn."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> DjangoFramework:
        """Django."""
        return DjangoFramework("asgi")
