"""Each framework keeps every rule of the HTTP suite."""

from __future__ import annotations

import pytest

from keyturn.testing.http_suite import HttpConformance, SocketConformance
from tests.http import django_app
from tests.http.aiohttp_app import AiohttpFramework
from tests.http.fastapi_app import FastAPIFramework
from tests.http.flask_app import FlaskFramework, application
from tests.http.litestar_app import LitestarFramework
from tests.http.starlette_app import StarletteFramework
from tests.support.gunicorn import Gunicorn


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


class TestFastAPI(SocketConformance):
    """FastAPI over uvicorn."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> FastAPIFramework:
        """FastAPI."""
        return FastAPIFramework()


class TestAiohttp(SocketConformance):
    """aiohttp over its own server."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> AiohttpFramework:
        """Give aiohttp."""
        return AiohttpFramework()


class TestLitestar(SocketConformance):
    """Litestar over uvicorn."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> LitestarFramework:
        """Litestar."""
        return LitestarFramework()


class TestFlaskOnGunicorn(HttpConformance):
    """Flask over gunicorn, whose two workers are processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> Gunicorn:
        """Flask, loaded once and then forked."""
        return Gunicorn(application)


class TestDjango(HttpConformance):
    """Django's WSGI over Werkzeug's server."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> django_app.DjangoFramework:
        """Django."""
        return django_app.DjangoFramework("wsgi")


class TestDjangoAsgi(SocketConformance):
    """Django's ASGI over uvicorn."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> django_app.DjangoFramework:
        """Django."""
        return django_app.DjangoFramework("asgi")


class TestDjangoOnGunicorn(HttpConformance):
    """Django's WSGI over gunicorn, whose two workers are processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> Gunicorn:
        """Django, loaded once and then forked."""
        return Gunicorn(django_app.application)
