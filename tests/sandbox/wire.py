"""The sandbox spoken to byte by byte, and through the plain HTTP client of the standard library."""

import http.client
import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass

EVENT = b'{"batch":[{"userId":"u-1","messageId":"m-1"}]}'
REPLAY = "/internal/v1/replay"
SOURCE = ("X-Rudder-Source-Id", "rep-1")


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body)


def read_answer(connection):
    answer = connection.getresponse()
    return Answer(answer.status, answer.getheaders(), answer.read())


@contextmanager
def connected(sandbox):
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def send_on(connection, method, path, headers, body):
    """One request with these headers and no others but Host, Accept-Encoding and Content-Length."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.putheader("Accept-Encoding", "identity")
    for name, value in headers:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    return read_answer(connection)


def ask(sandbox, path, method="GET", body=b"", headers=()):
    with connected(sandbox) as connection:
        return send_on(connection, method, path, headers, body)


def replay(sandbox, body=EVENT, headers=()):
    return ask(sandbox, REPLAY, "POST", body, (SOURCE, *headers))


def head(*, path=REPLAY, method="POST", headers=(SOURCE,), length=None):
    """The head of a request, as it goes over the wire; of one with EVENT unless a length is given."""
    length = len(EVENT) if length is None else length
    lines = [f"{method} {path} HTTP/1.1", "Host: sandbox", *(f"{name}: {value}" for name, value in headers), f"Content-Length: {length}"]
    return "\r\n".join((*lines, "", "")).encode()


@contextmanager
def plugged(sandbox):
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as sock:
        yield sock


def read_to_end(sock):
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(sandbox, sent):
    """Send, say that no more comes, and read until the other side closes."""
    with plugged(sandbox) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)
