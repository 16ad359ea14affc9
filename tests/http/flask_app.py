"""Flask under the HTTP suite, served by Werkzeug's threaded server. It decides nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread
from wsgiref.types import WSGIApplication

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from keyturn.flask import Keyturn, auth_required, current_principal
from keyturn.testing.http_suite import (
    EXEMPT,
    FRESH,
    PATHS,
    REQUIRE,
    SESSIONS_PAGE,
    Throttle,
    World,
    away,
    check_password,
)


class Quiet(WSGIRequestHandler):
    """Werkzeug's handler without its log of requests."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - Werkzeug's name
        """Say nothing."""


def who(**_: object) -> dict[str, str | None]:
    """Say who asks."""
    return {"user_id": getattr(current_principal, "user_id", None)}


def application(world: World) -> Flask:
    """Build what the suite asks for."""
    app = Flask(__name__)
    Keyturn(
        login=check_password,
        settings=world.settings,
        throttle=Throttle(),
        exempt=EXEMPT if world.by_path else None,
        require=REQUIRE if world.by_path else None,
        sessions_page=SESSIONS_PAGE,
    ).init_app(app, world.manager())
    app.add_url_rule("/private", "private", auth_required()(who))
    app.add_url_rule("/maybe", "maybe", auth_required(optional=True)(who))
    app.add_url_rule("/orders", "orders", auth_required(scopes=("orders:read",))(who))
    app.add_url_rule("/staff", "staff", auth_required(roles=("admin", "clerk"))(who))
    app.add_url_rule("/fresh", "fresh", auth_required(fresh=FRESH)(who))
    app.add_url_rule("/admins", "admins", auth_required(claims={"roles": "admin"})(who))
    app.add_url_rule("/away", "away", away)
    for path in PATHS if world.by_path else ():
        app.add_url_rule(path, path, who)
    return app


@contextmanager
def serve_threads(app: WSGIApplication) -> Generator[str]:
    """Serve a WSGI application with Werkzeug until the block ends, and give its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


class FlaskFramework:
    """Flask over Werkzeug."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve_threads(application(world)) as url:
            yield url
