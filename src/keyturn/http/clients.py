"""What a request tells about the client that sent it. It knows no token; it believes no forwarded address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from keyturn.http.messages import HttpRequest

MAX_USER_AGENT: Final = 512  # real ones have up to about 300 characters
_V4_PREFIX_BYTES: Final = 3  # /24
_V6_PREFIX_BYTES: Final = 6  # /48
_IPV6_NETWORK_BITS: Final = 64  # what one customer has (RFC 6177, section 2)


def context_from(request: HttpRequest) -> str:
    """Tell clients apart by user agent and network: the /24 of an IPv4 address, the /48 of an IPv6 one.

    Examples:
        >>> one = HttpRequest("POST", "/", (("user-agent", "Firefox"),), client="192.0.2.7")
        >>> other = HttpRequest("POST", "/", (("user-agent", "Firefox"),), client="192.0.2.99")
        >>> context_from(one) == context_from(other) == "c00002 Firefox"
        True
    """
    return f"{_network(request.client)} {_user_agent(request)}"


def device_from(request: HttpRequest) -> dict[str, Any]:
    """Describe the client for people: its user agent, bounded, printable characters only."""
    return {"user_agent": "".join(each for each in _user_agent(request) if each.isprintable())}


def network_of(client: str) -> str:
    """Give what one client holds of the address space: an IPv4 address, or an IPv6 network.

    Examples:
        >>> network_of("192.0.2.7"), network_of("2001:db8::1") == network_of("2001:db8::2")
        ('192.0.2.7', True)
    """
    address = _address(client)
    if isinstance(address, IPv6Address):
        return str(int(address) >> (128 - _IPV6_NETWORK_BITS))
    return client if address is None else str(address)


def _user_agent(request: HttpRequest) -> str:
    return (request.header("user-agent") or "")[:MAX_USER_AGENT]


def _network(client: str | None) -> str:
    address = _address(client or "")
    if address is None:
        return ""
    bytes_kept = _V6_PREFIX_BYTES if isinstance(address, IPv6Address) else _V4_PREFIX_BYTES
    return address.packed[:bytes_kept].hex()


def _address(client: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a zone; None where it is none, such as the path of a UNIX socket."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
