"""Public keys of an issuer, from a JWK Set (RFC 7517): a dict, a file or an https URL. It knows no token."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from keyturn._core.encoding import EncodingError, is_array, is_object, parse_json_object
from keyturn._core.jwk import PRIVATE_MEMBERS, algorithm_of, public_from_jwk, serves
from keyturn._core.keyset import Key, KeySet, key_set
from keyturn._core.schedule import JWKS_MAX_AGE
from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.files import read_file
from keyturn.forks import in_forked_children

MAX_JWKS_BYTES: Final = 256 * 1024
MAX_JWKS_KEYS: Final = 100
_CHUNK: Final = 16 * 1024


def load_jwks(source: Mapping[str, Any] | str | Path) -> KeySet:
    """Read the public keys of a JWK Set.

    Keys of other types, curves, algorithms or uses are passed over (RFC 7517, section 5), and so is a key
    without a `kid`, which no token could name. A key without `alg` gets what its type
    implies: ES256, EdDSA, RS256.

    Args:
        source: The set as a dict, or the path of a file.

    Raises:
        ConfigurationError: It is no JWK Set, publishes a private or symmetric key, names two keys alike,
            holds a weak or malformed key, or holds none that is usable.
    """
    if not isinstance(source, Mapping):
        return _parse(read_file(Path(source), what="JWK Set", limit=MAX_JWKS_BYTES))
    return _keys_of(source)


class RemoteKeys:
    """An issuer's JWK Set behind a URL: fetched when first needed, when old, and for an unknown `kid`.

    A failed fetch keeps the last good set. No token causes more than one fetch per cool-down. Safe to share
    between threads: one fetches, the others go on with the set they have.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: Duration = "5s",
        cooldown: Duration = "30s",
        max_age: Duration = JWKS_MAX_AGE,
        ssl_context: ssl.SSLContext | None = None,
        unsafe_allow_http_on_loopback: bool = False,
    ) -> None:
        """Remember where the keys are; nothing is fetched yet.

        Args:
            url: An https URL. Redirects are not followed.
            timeout: How long one fetch may take in all.
            cooldown: The shortest time between two fetches.
            max_age: After so long the set is fetched again, so that a removed key is noticed; five minutes,
                which is what an issuer's answer says.
            ssl_context: For a private certificate authority.
            unsafe_allow_http_on_loopback: Accept `http://` for 127.0.0.0/8, ::1 and localhost.

        Raises:
            ConfigurationError: The URL is not acceptable or a duration is none.
        """
        self._url = _checked_url(url, allow_loopback=unsafe_allow_http_on_loopback)
        self._timeout = seconds(timeout, name="timeout")
        self._cooldown = seconds(cooldown, name="cooldown")
        self._max_age = seconds(max_age, name="max_age")
        self._opener = _opener(self._url, ssl_context)
        self._start_afresh()
        in_forked_children(self, RemoteKeys._start_afresh)
        self._keys: KeySet | None = None
        self._tried_at: float | None = None
        self._fetched_at: float | None = None

    def __repr__(self) -> str:
        """Show the URL."""
        return f"RemoteKeys({self._url!r})"

    def _start_afresh(self) -> None:
        """Begin with no lock taken: in a forked child, who fetched is not there."""
        self._lock = threading.Lock()

    @property
    def failing(self) -> bool:
        """Whether the last fetch failed, so that a key may exist that is not known here."""
        return self._tried_at != self._fetched_at

    def current(self, now: float) -> KeySet:
        """Give the keys, fetching them if there are none yet or they are old.

        Args:
            now: POSIX seconds.

        Raises:
            StoreUnavailable: There is no good set, and none can be had now.
        """
        keys = self._keys
        if keys is not None and _within(self._fetched_at, self._max_age, now):
            return keys
        return self.refetch(now)

    def refetch(self, now: float) -> KeySet:
        """Give the keys, fetched again unless that was tried within the cool-down.

        Args:
            now: POSIX seconds.

        Raises:
            StoreUnavailable: There is no good set, and none can be had now.
        """
        # With a good set nobody waits for another's fetch; without one there is nothing else to do.
        if self._lock.acquire(blocking=self._keys is None):
            try:
                if not _within(self._tried_at, self._cooldown, now):
                    self._tried_at = now
                    self._fetch(now)
            finally:
                self._lock.release()
        if (keys := self._keys) is None:
            raise StoreUnavailable("The issuer's keys cannot be fetched right now; try again.", detail="jwks")
        return keys

    def _fetch(self, now: float) -> None:
        request = Request(self._url, headers={"Accept": "application/jwk-set+json, application/json"})  # noqa: S310 - the scheme was checked
        deadline = time.monotonic() + self._timeout  # a deadline on the network, not a moment of the domain
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                self._keys = _parse(_read_all(response, deadline))
        except (OSError, HTTPException, ValueError):  # unreachable, not HTTP, not a JWK Set
            return
        self._fetched_at = now


def _within(since: float | None, span: float, now: float) -> bool:
    """Tell whether two moments are less than a span apart.

    In either direction: another thread's moment may be a little later than ours, and a clock may be set back.
    """
    return since is not None and abs(now - since) < span


def _keys_of(document: Mapping[str, Any]) -> KeySet:
    jwks = document.get("keys")
    if not is_array(jwks):
        raise ConfigurationError('a JWK Set must hold a list "keys" (RFC 7517, section 5)')
    if len(jwks) > MAX_JWKS_KEYS:
        raise ConfigurationError(f"a JWK Set must not hold more than {MAX_JWKS_KEYS} keys")
    keys = key_set(key for entry in jwks if (key := _public_key(entry)) is not None)
    if not keys.keys:
        raise ConfigurationError(
            "the JWK Set holds no key that can be used: ES256, EdDSA or RS256, with a kid"
        )
    return keys


def _public_key(jwk: object) -> Key | None:
    if not is_object(jwk):
        raise ConfigurationError("a JWK Set holds something that is no key")
    if jwk.get("kty") == "oct" or not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ConfigurationError("the JWK Set publishes a private or symmetric key: treat that key as stolen")
    kid, alg = jwk.get("kid"), algorithm_of(jwk)
    if alg is None or not serves(jwk, "verify") or kid is None:
        return None
    if not isinstance(kid, str):
        raise ConfigurationError("a key's kid must be a string (RFC 7517, section 4.5)")
    return public_from_jwk(kid, alg, jwk)


def _parse(data: bytes) -> KeySet:
    try:
        document = parse_json_object(data)
    except EncodingError as error:
        raise ConfigurationError(f"the JWK Set is not acceptable: {error}") from None
    return _keys_of(document)


def _read_all(response: HTTPResponse, deadline: float) -> bytes:
    """Read a body that is neither too large nor too slow."""
    data = bytearray()
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > MAX_JWKS_BYTES:
            raise ConfigurationError(f"the JWK Set is larger than {MAX_JWKS_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(data)


def _checked_url(url: str, *, allow_loopback: bool) -> str:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0 and not parts.username and url.isascii()
    except ValueError:  # no URL at all, or a port that is none
        whole = False
    else:
        if whole and parts.scheme == "https":
            return url
        if whole and parts.scheme == "http" and allow_loopback and _is_loopback(parts.hostname or ""):
            return url
    raise ConfigurationError("a JWKS URL must be https://, in ASCII and without a user name in it")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(HTTPRedirectHandler):
    """Refuses every redirect: a key's origin is the configured one."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Give no new request, which makes the redirect an error."""


def _opener(url: str, context: ssl.SSLContext | None) -> OpenerDirector:
    handlers: list[BaseHandler] = [_NoRedirects(), HTTPSHandler(context=context)]
    if url.startswith("http:"):  # loopback: a proxy would be somewhere else
        handlers.append(ProxyHandler({}))
    return build_opener(*handlers)
