"""The proxy of the test kit: each of its faults is what it says. It knows no database."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from keyturn.testing.proxy import Proxy
from tests.support.processes import wait_until


class Echo(socketserver.ThreadingTCPServer):
    """Answers each request with itself, and remembers it; one that ends with a comma goes on."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.got: list[bytes] = []


class EchoHandler(socketserver.BaseRequestHandler):
    """One connection to an echo."""

    def handle(self) -> None:
        """Echo until the client leaves."""
        assert isinstance(self.server, Echo)
        while request := self.request.recv(1000):
            self.server.got.append(request)
            if not request.endswith(b","):
                self.request.sendall(request)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server behind the proxy."""
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy(echo.server_address[1]) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    """Open a connection through the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def ask(client: socket.socket, request: bytes) -> bytes:
    """Send a request and give the answer."""
    client.sendall(request)
    return client.recv(1000)


def test_it_forwards(proxy: Proxy) -> None:
    """Without a fault it is not noticed, and it lets go of a connection that its client closed."""
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        assert ask(client, b"two") == b"two"
        assert proxy.connections == 1
    wait_until(lambda: proxy.connections == 0, what="the end of the connection")


def test_it_counts_round_trips(proxy: Proxy, echo: Echo) -> None:
    """A request and its answer are one, and so is what is sent in pieces before the answer comes."""
    with connect(proxy) as client:
        for _ in range(3):
            ask(client, b"one")
        assert proxy.round_trips == 3
        client.sendall(b"two,")
        wait_until(lambda: echo.got[-1] == b"two,", what="the first piece")
        assert ask(client, b"three") == b"three"
        assert proxy.round_trips == 4


def test_a_lost_answer(proxy: Proxy, echo: Echo) -> None:
    """The server got the request, its client nothing but a broken connection; the next one works."""
    proxy.lose("answer", to=b"COMMIT")
    with connect(proxy) as client:
        assert ask(client, b"BEGIN") == b"BEGIN"
        with pytest.raises(ConnectionResetError):
            ask(client, b"COMMIT")
    with connect(proxy) as client:
        assert ask(client, b"COMMIT") == b"COMMIT"
    assert echo.got == [b"BEGIN", b"COMMIT", b"COMMIT"]
    assert proxy.lost == 1


def test_a_lost_request(proxy: Proxy, echo: Echo) -> None:
    """The server never got it."""
    proxy.lose("request", 2, after=1)
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        with pytest.raises(ConnectionResetError):
            ask(client, b"two")
    proxy.lose_nothing()
    with connect(proxy) as client:
        assert ask(client, b"three") == b"three"
    assert echo.got == [b"one", b"three"]


def test_a_delayed_answer(proxy: Proxy, echo: Echo) -> None:
    """The server has done it long before its client is told."""
    proxy.delay(0.3)
    with connect(proxy) as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            ask(client, b"one")
        wait_until(lambda: echo.got == [b"one"], what="the request")
        client.settimeout(10)
        assert client.recv(1000) == b"one"


def test_a_reset(proxy: Proxy) -> None:
    """What is open breaks; what comes after works."""
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            ask(client, b"two")
    with connect(proxy) as client:
        assert ask(client, b"three") == b"three"


def test_a_deaf_server(proxy: Proxy, echo: Echo) -> None:
    """Old and new connections stay open without an answer, until it hears again and they break."""
    with connect(proxy) as old:
        assert ask(old, b"one") == b"one"
        proxy.deafen()
        with connect(proxy) as new:
            for client in (old, new):
                client.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    ask(client, b"two")
                client.settimeout(10)
            proxy.hear()
            with pytest.raises(ConnectionResetError):
                old.recv(1000)
    assert echo.got == [b"one"]
    with connect(proxy) as client:
        assert ask(client, b"three") == b"three"


def test_nobody_listens(proxy: Proxy) -> None:
    """While it refuses, no connection is made; afterwards on the same port."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.listen()
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"


def test_another_server_takes_over(proxy: Proxy, echo: Echo) -> None:
    """After a failover, what is open breaks, and new connections reach the other server on the same port."""
    with Echo() as other, connect(proxy) as client:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        assert ask(client, b"one") == b"one"
        proxy.fail_over(other.server_address[1])
        with connect(proxy) as newer:
            assert ask(newer, b"two") == b"two"
        other.shutdown()
        thread.join(10)
    assert (echo.got, other.got) == ([b"one"], [b"two"])


def test_the_url_of_a_server_becomes_the_proxys(proxy: Proxy, echo: Echo) -> None:
    """Only the port changes."""
    port = echo.server_address[1]
    assert proxy.url(f"redis://:pw@127.0.0.1:{port}/0") == f"redis://:pw@127.0.0.1:{proxy.port}/0"
