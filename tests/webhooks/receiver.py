"""A receiver of webhooks: a real server, over HTTP or TLS, that answers as it is told and keeps what it got."""

import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from standardwebhooks import Webhook

MASTER = "a-secret-of-the-tests-for-webhooks-0123456789"


class Received:
    """One request as it came."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    def verified(self, secret: str) -> Any:
        """The document, if the reference implementation of the standard takes the signature. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """`status` is what it answers, unless `script` does: that has the handler in hand. Use it with `with`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.status = 204
        self.headers: dict[str, str] = {}
        self.script: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(Received(self.path, dict(self.headers), body))
                if receiver.script:
                    receiver.script(self)
                    return
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}/hook"

    def __enter__(self) -> "Receiver":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def inside(settings: Any) -> None:
    """Webhooks may go to this machine, and there is a secret to sign them."""
    settings.GATEWAY_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    settings.GATEWAY_WEBHOOK_SECRET = [MASTER]


@pytest.fixture
def receiver(inside: None) -> Iterator[Receiver]:
    """One over HTTP, at http://localhost:PORT/hook."""
    with Receiver() as running:
        yield running
