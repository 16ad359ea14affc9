"""`keyturn serve`: the server process. What it serves is in `keyturn.server`."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import click
import uvicorn

import keyturn
from keyturn.cli.options import with_settings
from keyturn.errors import ConfigurationError
from keyturn.server.app import build_app
from keyturn.server.demo import DemoUser, prepare_demo
from keyturn.server.demonstration.routes import Demonstration
from keyturn.server.logs import configure
from keyturn.server.opening import Service, open_service
from keyturn.server.safety import check_safety
from keyturn.server.settings import Settings
from keyturn.stores.urls import masked

_GRACE_SECONDS = 10
_BACKLOG = 2048  # uvicorn's own


@click.command()
@click.option("--demo", is_flag=True, help="Add users with random passwords, and print them.")
@with_settings()
def serve(settings: Settings, *, demo: bool) -> None:
    """Run the server. The first start makes the database and the keys; sessions outlive a restart."""
    try:
        check_safety(settings, demo=demo)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    configure(settings)
    listener = _take_port(settings)
    service = open_service(settings, demo=demo)
    if demo and service.users is None:
        raise click.UsageError(
            "--demo adds users of its own, and an authenticator has others: use one of them"
        )
    with _port(settings):
        listener.listen(_BACKLOG)  # two that took it at the same moment: only one may listen, and go on
    shown = prepare_demo(service.users) if demo and service.users is not None else []
    demonstration = Demonstration(service) if demo else None
    app = build_app(service, demonstration)
    click.echo(_welcome(service, shown))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # the application has its own, without query strings
        server_header=False,
        proxy_headers=settings.forwarded_allow_ips is not None,
        forwarded_allow_ips=settings.forwarded_allow_ips or "",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        _Server(config, demonstration).run(sockets=[listener])
    except KeyboardInterrupt:  # raised again by uvicorn when it has shut down
        click.echo("Stopped.")


class _Server(uvicorn.Server):
    """A server that ends what would never end by itself before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, demonstration: Demonstration | None) -> None:
        super().__init__(config)
        self._demonstration = demonstration

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._demonstration is not None:
            self._demonstration.close()
        await super().shutdown(sockets)


@contextmanager
def _port(settings: Settings) -> Generator[None]:
    """Say in one sentence that the port cannot be had."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}"
        ) from None


def _take_port(settings: Settings) -> socket.socket:
    """Take the port before anything is made."""
    taken = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    with _port(settings):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait
        taken.bind((settings.host, settings.port))
    return taken


def _welcome(service: Service, shown: Sequence[DemoUser]) -> str:
    settings = service.settings
    lines = [
        f"Keyturn {keyturn.__version__} listens on {settings.url}",
        f"  sessions   {masked(settings.store)}",
        f"  users      {_users_place(settings)}",
        f"  keys       {_keys_place(settings)}{' (made just now)' if service.new_keys else ''}",
        f"  issuer     {settings.issuer_url}, audience {settings.audience}",
    ]
    if shown:
        lines += ["", "Users of this demonstration, with passwords that are new at each start:"]
        lines += [f"  {user.username:<10} {user.password}" for user in shown]
        lines += ["", "Open the page above, or paste this:", f"  {_curl(settings, shown[0])}"]
    elif service.users is not None and not service.users.list():
        lines += ["", "There are no users yet: `keyturn users add NAME`, or start with --demo."]
    return "\n".join([*lines, "", "Press Ctrl-C to stop."])


def _keys_place(settings: Settings) -> str:
    return settings.keys_file if settings.keys_url is None else masked(settings.keys_url)


def _users_place(settings: Settings) -> str:
    if settings.authenticator is not None:
        return f"those of your own check, {settings.authenticator}"
    return masked(settings.users_url or "")


def _curl(settings: Settings, user: DemoUser) -> str:
    body = json.dumps({"username": user.username, "password": user.password, "transport": "body"})
    command = [
        "curl",
        f"{settings.url}{settings.prefix}/login",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
    ]
    return " ".join(shlex.quote(part) for part in command)
