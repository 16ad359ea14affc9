"""`authenticate` among live revocations, and beside how peers accept a request. It knows no JWT library."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from _environments import DJANGO, FLASK
from _filling import revoked
from _findings import Finding, Plan, Versions, rates_table
from _managers import CLAIMS, cold, manager_on, remembers, wait_for_view
from _places import site
from _rounds import Line, in_turns, line, one_by_one, warmed
from _workers import Worker, hired
from keyturn import KeyRing, TokenManager
from keyturn.stores.urls import store_from_url

REVOCATIONS: Final = (0, 1_000, 100_000)
QUICK_REVOCATIONS: Final = (0, 100, 1_000)
KEYTURN: Final = "Keyturn `authenticate`, the defaults"


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure what a request costs before the application sees it."""
    ring = KeyRing.generate("HS256")
    with ExitStack() as stack:
        server = stack.enter_context(site("redis", durable=plan.durable))
        lines: list[Line] = []
        for count in QUICK_REVOCATIONS if plan.quick else REVOCATIONS:
            place = server.place()
            revoked(place, count)
            for name, policy in (("cold", cold()), ("cached", None))[: 2 if remembers() else 1]:
                manager: TokenManager = manager_on(store_from_url(place.url), ring, policy)
                stack.callback(manager.close)
                lines.append(_accepting(f"{name}, {count:,} live revocations", manager))
                wait_for_view(manager, count)
        rates = in_turns("accepting among revocations", lines, plan.effort)
        yield rates_table("`authenticate` among live revocations, HS256", rates, lines[0].name)

        manager = manager_on(store_from_url(server.place().url), ring)
        stack.callback(manager.close)
        lines = [_accepting(KEYTURN, manager)]
        folder = Path(stack.enter_context(TemporaryDirectory()))
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "users.db")}
        secret = secrets.token_hex(32)
        django = hired(stack, plan, DJANGO, "django_peers.py", {"secret": secret, "database": database})
        flask = hired(stack, plan, FLASK, "flask_accepts.py", {"secret": secret, "redis": server.place().url})
        for each in (django, flask):
            yield Versions(each.versions) if isinstance(each, Worker) else each
        if isinstance(django, Worker):
            lines += [
                django.line("simplejwt, stateless: no revocation acts", "accept stateless"),
                django.line("simplejwt, the user read from SQLite", "accept"),
            ]
        if isinstance(flask, Worker):
            lines.append(flask.line("flask-jwt-extended, blocklist in Redis", "accept"))
        rates = in_turns("accepting, beside peers", lines, plan.effort)
        yield rates_table("A request's access token, as applications check it, HS256", rates, KEYTURN)


def _accepting(name: str, manager: TokenManager) -> Line:
    token = manager.issue("user", claims=CLAIMS).access_token
    return line(name, one_by_one(warmed(partial(manager.authenticate, token))))
