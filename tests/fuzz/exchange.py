"""One exchange over a bare socket: bytes in, answers out, each read as HTTP has it; nothing may hang."""

import http.client
import io
import re
import socket
from contextlib import suppress
from dataclasses import dataclass

PATIENCE = 10.0
"""Seconds after which a connection counts as hung."""
SOON = 0.5
"""Seconds after which we end our side: the server may rightly wait for more of what never comes."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] ")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    content: bytes


class _Received(io.BytesIO):
    """What came, as http.client wants it: a socket with a file, which outlives the first answer."""

    def makefile(self, *_: object) -> "_Received":
        return self

    def close(self) -> None:
        pass


def exchange(port: int, sent: bytes) -> list[Answer]:
    """Every answer to it, up to the connection's end. Raises TimeoutError; AssertionError or HTTPException for what is no answer."""
    parts: list[bytes] = []
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection,
        suppress(ConnectionError),  # closed while it was still being sent
    ):
        connection.sendall(sent)
        connection.settimeout(SOON)
        try:
            _read(connection, parts)
            assert parts, "closed without an answer"
        except TimeoutError:
            connection.settimeout(PATIENCE)
            connection.shutdown(socket.SHUT_WR)
            _read(connection, parts)
    return answers(b"".join(parts), sent.partition(b" ")[0].decode("latin-1"))


def _read(connection: socket.socket, parts: list[bytes]) -> None:
    while part := connection.recv(65536):
        parts.append(part)


def answers(received: bytes, method: str) -> list[Answer]:
    """The final answers in it, one after the other, with nothing between or after them."""
    stream, found = _Received(received), []
    while stream.tell() < len(received):
        assert _STATUS_LINE.match(received, stream.tell()), received[stream.tell() :][:200]
        response = http.client.HTTPResponse(stream, method=method)
        response.begin()
        found.append(Answer(response.status, response.headers, response.read()))
    return found
