"""An issuer's JWKS endpoint for tests: a real HTTP server whose answer a test sets. It knows no key."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass
class Issuer:
    """What the endpoint answers, and what it was asked.

    Attributes:
        url: Where it is.
        body: What it answers with; None closes the connection without an answer.
        status: The answer's status.
        headers: Further headers.
        trickle: Sends the body byte by byte, each so many seconds after the last, until the client leaves.
        requests: How often it was asked.
    """

    url: str = ""
    body: bytes | None = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    trickle: float = 0
    requests: int = 0
    gone: threading.Event = field(default_factory=threading.Event)

    def publish(self, jwks: dict[str, Any]) -> None:
        """Answer with a JWK Set from now on."""
        self.status, self.body = 200, json.dumps(jwks).encode()


@contextmanager
def issuer(certificate: Path | None = None) -> Iterator[Issuer]:
    """Run the endpoint on a free port of 127.0.0.1; over TLS if there is a certificate."""
    endpoint = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.requests += 1
            if endpoint.body is None:
                self.close_connection = True
                return
            self.send_response(endpoint.status)
            for name, value in endpoint.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not endpoint.trickle:
                self.wfile.write(endpoint.body)
            while endpoint.trickle and not endpoint.gone.wait(endpoint.trickle):
                self.wfile.write(b" ")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    endpoint.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/jwks.json"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.gone.set()
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(path: Path) -> ssl.SSLContext:
    """Write a certificate for 127.0.0.1 with its key, and give a context that trusts it alone."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
    certificate = (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    path.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ssl.create_default_context(cadata=pem.decode())
