"""How requests to the endpoints travel. It knows no token and no answer.

They go by a transport, below everything that an application's client adds: no redirect is followed (one would
carry a refresh token wherever an answer says), no cookie goes along, no hook sees them.
"""

from __future__ import annotations

import ssl

import httpx

from keyturn.errors import ConfigurationError


class Wire:
    """Sends requests, with the transports that it was given or with httpx's own."""

    def __init__(
        self,
        transport: httpx.BaseTransport | None,
        async_transport: httpx.AsyncBaseTransport | None,
        *,
        timeout: float,
        encrypted: bool,
        direct: bool,
    ) -> None:
        """Take transports for threads and for tasks; one that is both serves both.

        Args:
            transport: For threads.
            async_transport: For tasks.
            timeout: How many seconds each of connecting, sending and reading may take.
            encrypted: Over TLS; else no certificate authorities are read, which takes a while.
            direct: By no proxy that the environment names: the server is on this machine, a proxy is not.
        """
        self._transport = transport or _if_plain(async_transport)
        self._async_transport = async_transport or _if_async(transport)
        self._timeout, self._direct = timeout, direct
        self._tls: ssl.SSLContext | None = None
        if transport is None and async_transport is None:  # made once: it takes longer than a request
            self._tls = httpx.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the answer.

        Raises:
            httpx.RequestError: There was none; the error does not hold the request's body.
            ConfigurationError: There is a transport for tasks alone.
        """
        try:
            if (
                self._transport is not None
            ):  # not closed: it is its owner's, and the client holds nothing else
                return httpx.Client(transport=self._transport, timeout=self._timeout).send(request)
            if self._tls is None:
                raise ConfigurationError("there is an async_transport alone; give KeyturnAuth transport= too")
            with httpx.Client(verify=self._tls, timeout=self._timeout, trust_env=not self._direct) as client:
                return client.send(request)
        except httpx.RequestError as error:
            error.request = _bare(request)
            raise

    async def send_async(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the answer; see `send`."""
        try:
            if self._async_transport is not None:  # not closed: see `send`
                client = httpx.AsyncClient(transport=self._async_transport, timeout=self._timeout)
                return await client.send(request)
            if self._tls is None:
                raise ConfigurationError("there is a transport alone; give KeyturnAuth async_transport= too")
            async with httpx.AsyncClient(
                verify=self._tls, timeout=self._timeout, trust_env=not self._direct
            ) as client:
                return await client.send(request)
        except httpx.RequestError as error:
            error.request = _bare(request)
            raise


def _if_plain(transport: object) -> httpx.BaseTransport | None:
    return transport if isinstance(transport, httpx.BaseTransport) else None


def _if_async(transport: object) -> httpx.AsyncBaseTransport | None:
    return transport if isinstance(transport, httpx.AsyncBaseTransport) else None


def _bare(request: httpx.Request) -> httpx.Request:
    """Give a request without its body, which holds a secret: errors end in logs and in trackers."""
    return httpx.Request(request.method, request.url)
