"""The rules of WebSockets: opened with an access token, closed with its session. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from keyturn.testing._http.wire import connected, head, status_of
from keyturn.testing._http.world import Framework, Rules, Site, served, tokens_of

FEED = "/feed"
PATIENCE = 20.0  # seconds


@contextmanager
def opened(
    site: Site, bearer: str | None = None, protocols: tuple[str, ...] = (), path: str = FEED
) -> Generator[ClientConnection]:
    """Open a socket as a program does (with a header) or as a page does (with subprotocols)."""
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    with connect(
        f"ws{site.url.removeprefix('http')}{path}",
        additional_headers=headers,
        subprotocols=[Subprotocol(each) for each in protocols] or None,
        open_timeout=PATIENCE,
        proxy=None,
    ) as socket:
        yield socket


def user_of(socket: ClientConnection) -> object:
    """Read who the server says has opened a socket."""
    return json.loads(socket.recv(PATIENCE))["user_id"]


def echo(socket: ClientConnection, text: str) -> str | bytes:
    """Send something and give what comes back."""
    socket.send(text)
    return socket.recv(PATIENCE)


def closing(socket: ClientConnection) -> tuple[int, str] | None:
    """Wait until the server closes, and give its code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(PATIENCE)
    frame = closed.value.rcvd
    return None if frame is None else (frame.code, frame.reason)


def refusal_of(
    site: Site, bearer: str | None = None, protocols: tuple[str, ...] = (), path: str = FEED
) -> int:
    """Fail to open a socket, and give the status of the answer."""
    with pytest.raises(InvalidStatus) as refused, opened(site, bearer, protocols, path):
        pass
    return refused.value.response.status_code


class SocketRules(Rules):
    """Handshakes and closes."""

    def test_a_program_opens_a_socket_with_a_header(self, site: Site) -> None:
        """As any request."""
        tokens = site.sign_in("wes")
        with opened(site, tokens.access) as socket:
            assert user_of(socket) == "wes"
            assert echo(socket, "hello") == "hello"

    def test_a_page_opens_a_socket_with_a_subprotocol(self, site: Site) -> None:
        """It can set no header; the answer names `keyturn`, never the token."""
        tokens = site.sign_in("pag")
        with opened(site, None, ("keyturn", f"keyturn.bearer.{tokens.access}")) as socket:
            assert socket.subprotocol == "keyturn"
            assert user_of(socket) == "pag"

    def test_a_handshake_is_refused_as_any_request(self, site: Site) -> None:
        """401 without a token and with a bad one, 400 with two."""
        tokens = site.sign_in("ref")
        offered = f"keyturn.bearer.{tokens.access}"
        assert refusal_of(site) == 401
        assert refusal_of(site, "garbage") == 401
        assert refusal_of(site, None, ("keyturn", "keyturn.bearer.garbage")) == 401
        assert refusal_of(site, tokens.access, ("keyturn", offered)) == 400
        assert refusal_of(site, None, ("keyturn", offered, f"{offered}x")) == 400
        site.post("/auth/logout", cookie=tokens.refresh)
        assert refusal_of(site, tokens.access) == 401

    def test_a_token_is_not_read_from_the_url_of_a_socket(self, site: Site) -> None:
        """URLs are logged."""
        tokens = site.sign_in("url")
        assert refusal_of(site, path=f"{FEED}?access_token={tokens.access}") == 401

    def test_a_subprotocol_is_no_token_of_another_request(self, site: Site) -> None:
        """Only a handshake may bring it there."""
        tokens = site.sign_in("sub")
        header = ("Sec-WebSocket-Protocol", f"keyturn, keyturn.bearer.{tokens.access}")
        assert site.send("GET", "/private", headers=(header,)).status_code == 401

    def test_a_socket_closes_when_its_session_ends(self, site: Site) -> None:
        """At once, with the code for "unauthorized"; the user's other session stays."""
        ended, other = site.sign_in("clo"), site.sign_in("clo")
        with opened(site, ended.access) as closed, opened(site, other.access) as open_:
            assert (user_of(closed), user_of(open_)) == ("clo", "clo")
            assert site.send("DELETE", f"/auth/sessions/{ended.session_id}", bearer=other.access).is_success
            assert closing(closed) == (3000, "the session has ended")
            assert echo(open_, "still here") == "still here"

    @pytest.mark.parametrize("method", ["HEAD", "POST"])
    def test_no_method_opens_a_socket_that_nobody_watches(self, site: Site, method: str) -> None:
        """A handshake is a GET; a server that takes another one closes that socket with its session, too."""
        tokens = site.sign_in("met")
        asked = head(
            method,
            FEED,
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Authorization", f"Bearer {tokens.access}"),
        )
        with connected(site.url) as wire:
            wire.sendall(asked.replace(b"Connection: close\r\n", b""))
            if status_of(wire) == 101:
                site.post("/auth/logout", cookie=tokens.refresh)
                while wire.recv(4096):  # until the server closes; a socket that stays open ends in a timeout
                    pass

    def test_a_logout_closes_the_sockets_of_the_session(self, site: Site) -> None:
        """All of them."""
        tokens = site.sign_in("lou")
        with opened(site, tokens.access) as one, opened(site, tokens.access) as two:
            assert (user_of(one), user_of(two)) == ("lou", "lou")
            site.post("/auth/logout", cookie=tokens.refresh)
            assert closing(one) == closing(two) == (3000, "the session has ended")

    def test_reuse_closes_the_sockets_of_the_session(self, framework: Framework) -> None:
        """Theft that is noticed ends what the thief has opened."""
        with served(framework) as site:
            first = site.sign_in("thi")
            site.refresh(tokens_of(site.refresh(first.refresh)).refresh)
            with opened(site, first.access) as socket:
                assert user_of(socket) == "thi"
                site.world.clock.advance(60)
                site.refresh(first.refresh)
                assert closing(socket) == (3000, "the session has ended")

    def test_a_socket_outlives_its_token(self, framework: Framework) -> None:
        """The session counts; a new handshake needs a fresh token."""
        with served(framework) as site:
            tokens = site.sign_in("old")
            with opened(site, tokens.access) as socket:
                assert user_of(socket) == "old"
                site.world.clock.advance(3600)
                assert refusal_of(site, tokens.access) == 401
                assert echo(socket, "still here") == "still here"
                site.post("/auth/logout", cookie=tokens.refresh)
                assert closing(socket) == (3000, "the session has ended")

    def test_paths_guard_sockets_too(self, framework: Framework) -> None:
        """A guard by paths refuses and closes as one on the route does."""
        with served(framework, by_path=True) as site:
            tokens = site.sign_in("pat")
            assert refusal_of(site, path="/path-feed") == 401
            with opened(site, tokens.access, path="/path-feed") as socket:
                assert user_of(socket) == "pat"
                assert echo(socket, "hello") == "hello"
                site.post("/auth/logout", cookie=tokens.refresh)
                assert closing(socket) == (3000, "the session has ended")
