"""Where a webhook may go: the host is looked up once, and only addresses that were checked are connected to.

Else whoever names an address could have the gateway ask its own network: a cloud's metadata, the database's port, the sandbox.
"""

import re
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

LONGEST: Final = 500
LOOK_UP_SECONDS: Final = 5.0
_PRINTABLE: Final = re.compile(r"[!-~]+")
_PUBLIC_6: Final = ip_network("2000::/3")
"""All that is routed today; not NAT64, mapped and compatible addresses, which lead to others."""
_SPECIAL: Final = [
    ip_network(text)
    for text in (
        # What `is_global` takes for public, or took in some versions of Python.
        *("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Protocols of their own (Teredo, ORCHID), documentation, 6to4.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
]


class AddressError(Exception):
    """A webhook cannot go there; the text, a sentence that begins in the middle, says why and what to do. It quotes nothing."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked place. `addresses` are what `getaddrinfo` gives, in its order, each of them allowed; `target` is path and query."""

    secure: bool
    host: str
    port: int
    target: str
    addresses: tuple[tuple[int, int, int, str, Any], ...]


def check(url: str, seconds: float = LOOK_UP_SECONDS) -> Destination:
    """Read the address, look its host up and check everything that it has. Takes no longer than `seconds`. Raises AddressError."""
    parts = _parts(url)
    host, secure = str(parts.hostname), parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    found = _look_up(host, port, seconds)
    # One answer for names that are not there and names that lead inside: else this would tell which names there are inside.
    if not found or not all(is_allowed(ip_address(address[0])) for *_, address in found):
        raise AddressError(
            "its host was not found, or is not on the public internet: name one that is, or have its network added to GATEWAY_WEBHOOK_NETWORKS"
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(secure, host, port, target, tuple(found))


def without_query(url: str) -> str:
    """The address as it may be shown: a query can hold a secret."""
    return url.partition("?")[0]


def is_allowed(address: IPv4Address | IPv6Address) -> bool:
    """Whether webhooks go there: to public addresses, and to the networks of GATEWAY_WEBHOOK_NETWORKS."""
    if any(address in network for network in settings.GATEWAY_WEBHOOK_NETWORKS):
        return True
    if any(address in network for network in _SPECIAL):
        return False
    return address in _PUBLIC_6 if isinstance(address, IPv6Address) else address.is_global


def _parts(url: str) -> SplitResult:
    if len(url) > LONGEST:
        raise AddressError(f"it must have at most {LONGEST} characters")
    # What urlsplit would leave out, and what other readers of addresses take for something else.
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise AddressError("it must be printable ASCII without spaces or backslashes: encode what is not, and write the host's name in ASCII (xn--…)")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise AddressError("it must be an address such as https://example.com/hook")
    if "@" in parts.netloc:
        raise AddressError("it must not hold a user or password: the signature tells who sends")
    if "#" in url:
        raise AddressError("it must not have a fragment (#…): leave it out")
    return parts


def _look_up(host: str, port: int, seconds: float) -> list[tuple[int, int, int, str, Any]]:
    """What the system knows of the host; nothing where it does not answer in time. The system's own wait has no limit that could be set."""
    found: SimpleQueue[list[Any]] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError):  # ValueError: no such name can be
            found.put([])

    threading.Thread(target=ask, name="webhook-look-up", daemon=True).start()
    try:
        return found.get(timeout=seconds)
    except Empty:
        return []
