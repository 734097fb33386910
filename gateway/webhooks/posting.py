"""One POST to a checked address: no redirect, no proxy, no second look-up, and an end by the deadline whatever the receiver does."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http.client import HTTPConnection, HTTPException
from time import monotonic
from typing import Any, Final

from django.conf import settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from gateway.webhooks.address import AddressError, Destination, check
from gateway.webhooks.signing import signed

SECONDS: Final = 10.0
"""For all of it: looking up, connecting, sending, and the answer's head."""
USER_AGENT: Final = "rudder-audited-gateway"
_ANSWER_BYTES: Final = 4096
"""Of the answer's body that are read, so that a polite receiver is not cut off; nobody looks at them."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one try. `status` is the answer's, None where none came; `note` a sentence for people, without the address."""

    status: int | None
    note: str

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_unwanted(self) -> bool:
        """Whether the receiver wants no more of it, for good (410)."""
        return self.status == 410


def post(url: str, event_id: str, document: Mapping[str, Any], secrets: Sequence[str], seconds: float = SECONDS) -> Delivery:
    """POST the document as JSON, signed now with these secrets. Times in it become RFC 3339. Takes no longer than `seconds`."""
    deadline = monotonic() + seconds
    body = json.dumps(document, ensure_ascii=False, default=_text)
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Connection": "close"}
    late = threading.Event()
    try:
        destination = check(url, seconds)
        with _connected(destination, deadline, late) as connection:
            headers |= signed(event_id, datetime.now(UTC), body, secrets)
            connection.request("POST", destination.target, body.encode(), headers)
            answer = connection.getresponse()
            if late.is_set():
                raise TimeoutError  # http.client takes an end among the headers for the end of them
            with suppress(OSError, HTTPException):
                answer.read(_ANSWER_BYTES)
            return Delivery(answer.status, _note(answer.status))
    except AddressError as error:
        return Delivery(None, f"Not sent: {error}.")
    except ssl.SSLCertVerificationError:
        return Delivery(None, "Not sent: the receiver's certificate is not to be trusted.")
    except (OSError, HTTPException) as error:
        # Their texts can quote the address.
        if late.is_set() or monotonic() >= deadline:
            return Delivery(None, f"The receiver gave no answer within {seconds:g} seconds.")
        return Delivery(None, f"The receiver gave no whole answer ({type(error).__name__}).")


def _note(status: int) -> str:
    return f"The receiver answered {status}{', and redirects are not followed' if 300 <= status < 400 else ''}."


@contextmanager
def _connected(destination: Destination, deadline: float, late: threading.Event) -> Iterator[HTTPConnection]:
    """A connection to one of the checked addresses, shut down at the deadline; timeouts alone count from byte to byte."""
    sock = _open(destination, deadline)
    # Its own handle, which stays good while TLS takes over the other.
    watched = sock.dup()
    timer = threading.Timer(max(0.0, deadline - monotonic()), _shut_down, (watched, late))
    timer.start()
    try:
        connection = HTTPConnection(destination.host, destination.port)
        if destination.secure:
            connection.default_port = 443
            sock = _trust(settings.GATEWAY_CA_BUNDLE).wrap_socket(sock, server_hostname=destination.host)
        connection.sock = sock
        yield connection
    finally:
        timer.cancel()
        timer.join()
        sock.close()
        watched.close()


def _open(destination: Destination, deadline: float) -> socket.socket:
    """A socket to the first address that answers. Raises OSError."""
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in destination.addresses:
        left = deadline - monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _shut_down(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=1)
def _trust(bundle: str) -> ssl.SSLContext:
    """The usual authorities, and those of GATEWAY_CA_BUNDLE beside them: it is made for RudderStack, and receivers are elsewhere."""
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    if bundle:
        context.load_verify_locations(bundle)
    return context


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(type(value).__name__)
