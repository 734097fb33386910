"""The pooled session. Its sockets obey the flight's deadline with every read and write, also against a server that drips.

requests' own timeouts count from byte to byte: against such a server (1, 1) took 20 seconds.
"""

import io
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPResponse, parse_headers
from time import monotonic
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from gateway.upstream.flight import Flight, current

POOL_SIZE: Final = 64
"""Connections kept. More are opened when more are needed, so that connections are never the limit."""
IDLE_SECONDS: Final = 30.0
"""A pooled connection that rested longer is not used again: what is between may have forgotten it, and a lost request is `unknown`."""
CONNECT_TRIES: Final = 3
_PIECE: Final = 1024 * 1024
"""Bytes of a body that have one time-out to leave."""
_TLS_PIECE: Final = 16 * 1024
"""One TLS record: a larger write is several, each of which Python gives a time-out of its own."""


class _DeadlineReader(io.RawIOBase):
    """A socket's reading end whose every read ends by the flight's deadline."""

    def __init__(self, sock: socket.socket, flight: Flight) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._flight = flight
        self.ended = False
        if isinstance(sock, ssl.SSLSocket):
            # A TLS stream that ends without saying so was cut: an error, not an end.
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Bytes read. Raises TimeoutError."""
        with self._flight.watched():
            self._sock.settimeout(self._flight.read_timeout())
            count = self._raw.readinto(buffer)
        self.ended = count == 0
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    """http.client's response, read by the deadline, and not fooled by 1xx: http.client takes 102 and 103 for the answer itself."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self._reader = _DeadlineReader(sock, current.get())
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read status and headers; http.client takes an end among them for the end of them. Raises ConnectionError."""
        super().begin()
        if self._reader.ended:
            raise ConnectionAbortedError("the answer ended in its headers")

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                return version, status, reason
            parse_headers(self.fp)


class _DeadlineMixin:
    """What both kinds of connection add to urllib3's."""

    rests_since = 0.0

    def connect(self: Any) -> None:
        """Connect within the flight's time. Counts as an attempt."""
        flight = current.get()
        flight.attempts += 1
        self.timeout = flight.connect_timeout()
        super().connect()  # type: ignore[misc]

    def _new_conn(self: Any) -> socket.socket:
        """A socket to the first address that answers; urllib3's own gives each of a name's addresses the whole time."""
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        flight, failure = current.get(), OSError("no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(flight.connect_timeout())
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise NewConnectionError(self, type(failure).__name__) from failure

    def send(self: Any, data: Any) -> None:
        """Send bytes by the deadline. From the first call on they may have left."""
        if self.sock is None:
            self.connect()
        flight = current.get()
        flight.uses(self.sock)
        flight.sent = True
        view, piece = memoryview(data), _TLS_PIECE if isinstance(self.sock, ssl.SSLSocket) else _PIECE
        with flight.watched():
            for start in range(0, len(view), piece):
                self.sock.settimeout(flight.read_timeout())
                super().send(view[start : start + piece])  # type: ignore[misc]


class _Connection(_DeadlineMixin, HTTPConnection):  # type: ignore[misc]
    response_class = _DeadlineResponse


class _SecureConnection(_DeadlineMixin, HTTPSConnection):  # type: ignore[misc]
    response_class = _DeadlineResponse


class _PoolMixin:
    """What both kinds of pool add to urllib3's: connections that rested too long are opened anew."""

    def _get_conn(self: Any, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if connection.sock is not None and monotonic() - connection.rests_since > IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self: Any, connection: Any) -> None:
        # From here on it is anybody's.
        current.get().uses(None)
        if connection is not None:
            connection.rests_since = monotonic()
        super()._put_conn(connection)  # type: ignore[misc]


class _Pool(_PoolMixin, HTTPConnectionPool):
    ConnectionCls = _Connection  # type: ignore[assignment]


class _SecurePool(_PoolMixin, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # type: ignore[assignment]


class _Adapter(HTTPAdapter):
    """Retries nothing but connecting, inside urllib3: there no byte can have left."""

    def __init__(self) -> None:
        retry = Retry(total=None, connect=CONNECT_TRIES - 1, read=0, redirect=0, status=0, other=0, backoff_factor=0)
        super().__init__(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=retry, pool_block=False)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """requests' own, with our pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class UpstreamSession(requests.Session):
    """A session for one server. Requests go to its adapter's pool: requests' own way there takes as long again."""

    def __init__(self, base_url: str, ca_bundle: str = "") -> None:
        super().__init__()
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())
        request = requests.Request("POST", base_url).prepare()
        adapter = cast(_Adapter, self.get_adapter(base_url))
        self._pool = cast(HTTPConnectionPool, adapter.get_connection_with_tls_context(request, verify=ca_bundle or True))
        adapter.cert_verify(self._pool, base_url, ca_bundle or True, None)  # type: ignore[no-untyped-call]
        self._retry = adapter.max_retries
        self._prefix = "" if request.path_url == "/" else request.path_url

    def exchange(self, method: str, path: str, headers: Mapping[str, Any], body: bytes) -> BaseHTTPResponse:
        """The answer's head; its content is still to be read. Follows nothing. Raises urllib3's HTTPError, OSError."""
        return self._pool.urlopen(
            method, f"{self._prefix}{path}", body, headers, retries=self._retry, redirect=False, preload_content=False, decode_content=False
        )
