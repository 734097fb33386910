"""Sending one request: either a whole reply, or an error that says whether it may have arrived. Against real sockets."""

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from gateway.upstream import client, session
from gateway.upstream.client import SendError
from gateway.upstream.flight import Cancellation
from tests import certificates

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each connection by a script: `script(connection, request_bytes)`."""

    def __init__(self, script, tls=None):
        self.script = script
        self.tls = tls
        self.accepted = 0
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError), ExitStack() as stack:
            stack.enter_context(connection)
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            while request := self._read(connection):
                self.requests.append(request)
                if self.script(connection, request) == "close":
                    return

    @staticmethod
    def _read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self.listener.close()


@pytest.fixture
def serve(settings):
    servers = []
    settings.GATEWAY_CONNECT_SECONDS, settings.GATEWAY_READ_SECONDS, settings.GATEWAY_DEADLINE_SECONDS = 0.5, 0.6, 1.0
    client.close()

    def start(script, tls=None):
        server = Server(script, tls)
        servers.append(server)
        settings.RUDDERSTACK_BASE_URL = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{server.port}"
        return server

    yield start
    client.close()
    for server in servers:
        server.close()


def failure():
    with pytest.raises(SendError) as caught:
        client.post("/internal/v1/replay", {}, b"{}")
    return caught.value


def says(content, then="close"):
    def script(connection, request):
        connection.sendall(content)
        return then

    return script


@pytest.mark.parametrize(
    ("answer", "status", "content"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\n", 200, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
def test_a_whole_reply(serve, answer, status, content):
    serve(says(answer))
    reply = client.post("/internal/v1/replay", {"X-A": "b"}, b"{}")
    assert (reply.status, reply.content, reply.attempts) == (status, content, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n",
        b"what is this\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_reply_that_is_not_whole_is_unknown(serve, answer):
    serve(says(answer))
    error = failure()
    assert (error.reason, error.outcome_unknown, error.retryable, error.attempts) == ("answer_cut", True, False, 1)


def drip(head):
    def script(connection, request):
        connection.sendall(head)
        while True:
            connection.sendall(b"a")
            time.sleep(0.1)

    return script


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTT"],
)
def test_a_server_that_drips_is_left_at_the_deadline(serve, head):
    serve(drip(head))
    error = failure()
    assert (error.reason, error.outcome_unknown) == ("no_answer_in_time", True)
    assert 900 <= error.duration_ms < 1500


def test_a_server_that_says_nothing_is_left_after_the_read_time(serve):
    serve(lambda connection, request: time.sleep(5))
    error = failure()
    assert (error.reason, error.outcome_unknown) == ("no_answer_in_time", True)
    assert 550 <= error.duration_ms < 1000


def test_endless_informational_answers_end_at_the_deadline(serve):
    def script(connection, request):
        while True:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(0.05)

    serve(script)
    assert failure().reason == "no_answer_in_time"


def test_a_server_that_does_not_read_is_left_at_the_deadline(serve, settings):
    listener = socket.create_server(("127.0.0.1", 0))
    settings.RUDDERSTACK_BASE_URL = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(SendError) as caught:
        client.post("/x", {}, b"a" * 16_000_000)
    assert (caught.value.reason, caught.value.outcome_unknown) == ("no_answer_in_time", True)
    assert caught.value.duration_ms < 1500
    listener.close()


@pytest.mark.parametrize("status", [200, 302, 400])
def test_an_endless_answer_is_cut_at_the_cap(serve, status):
    sent = []

    def script(connection, request):
        connection.sendall(b"HTTP/1.1 %d X\r\nLocation: /y\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
        while True:
            connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
            sent.append(65536)

    serve(script)
    error = failure()
    assert (error.reason, error.outcome_unknown) == ("answer_too_long", True)
    assert sum(sent) < 16 * client.ANSWER_CAP


def test_nobody_listening_is_tried_three_times_and_nothing_was_sent(serve):
    serve(says(OK)).close()
    error = failure()
    assert (error.reason, error.attempts, error.outcome_unknown, error.retryable) == ("connect_failed", 3, False, True)


def test_a_name_of_many_silent_addresses_is_left_at_the_deadline(serve, settings, monkeypatch):
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=0) for _ in range(6)]
    fillers = []
    for listener in listeners:  # a full backlog: the kernel drops what comes next without a word
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname()) for listener in listeners]
    monkeypatch.setattr(session.socket, "getaddrinfo", lambda *_, **__: found)
    settings.RUDDERSTACK_BASE_URL = "http://many.invalid:1"
    error = failure()
    assert (error.reason, error.outcome_unknown) == ("connect_failed", False)
    assert 900 <= error.duration_ms < 1500
    for sock in (*listeners, *fillers):
        sock.close()


def test_a_name_that_is_none_was_not_sent(serve, settings):
    settings.RUDDERSTACK_BASE_URL = "http://no-such-host.invalid:1"
    assert (failure().reason, failure().outcome_unknown) == ("connect_failed", False)


def test_no_address_and_bad_headers_are_not_sendable(serve, settings):
    serve(says(OK))
    with pytest.raises(SendError, match="not_sendable"):
        client.post("/x", {"X-A": "a\r\nX-B: c"}, b"")
    settings.RUDDERSTACK_BASE_URL = ""
    assert (failure().reason, failure().outcome_unknown) == ("not_sendable", False)


def test_a_connection_is_used_again_and_a_closed_one_is_not(serve):
    server = serve(says(OK, then="keep"))
    for _ in range(5):
        client.post("/x", {}, b"{}")
    assert server.accepted == 1
    server.script = says(OK, then="close")
    for _ in range(3):
        client.post("/x", {}, b"{}")
        time.sleep(0.05)
    assert server.accepted == 3


def test_a_connection_that_rested_too_long_is_not_used_again(serve, monkeypatch):
    server = serve(says(OK, then="keep"))
    client.post("/x", {}, b"{}")
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.05)
    time.sleep(0.1)
    client.post("/x", {}, b"{}")
    assert server.accepted == 2


def test_sixty_four_at_once_each_have_a_connection_and_keep_it(serve, settings):
    settings.GATEWAY_READ_SECONDS = settings.GATEWAY_DEADLINE_SECONDS = 10.0
    together = threading.Barrier(64)

    def script(connection, request):
        together.wait(5)
        connection.sendall(OK)

    server = serve(script)
    with ThreadPoolExecutor(64) as threads:
        for _ in range(2):
            replies = list(threads.map(lambda _: client.post("/x", {}, b"{}"), range(64)))
            assert {reply.content for reply in replies} == {b"ok"}
    assert server.accepted == 64


def test_the_environments_proxy_is_not_used_and_cookies_are_not_kept(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = serve(says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok", then="keep"))
    for _ in range(2):
        client.post("/x", {}, b"{}")
    assert all(b"cookie" not in request.lower() for request in server.requests)


def test_the_bytes_on_the_wire_are_the_stated_ones(serve):
    server = serve(says(OK))
    client.post("/internal/v1/replay", {"X-A": "b"}, b'{"a": 1e2}')
    assert server.requests[0].partition(b"\r\n")[0] == b"POST /internal/v1/replay HTTP/1.1"
    assert server.requests[0].endswith(b'\r\n\r\n{"a": 1e2}')
    assert sorted(line.partition(b":")[0].lower() for line in server.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]) == [
        b"accept-encoding",
        b"content-length",
        b"host",
        b"user-agent",
        b"x-a",
    ]


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(serve, certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    server = serve(says(OK), tls)
    error = failure()
    assert (error.reason, error.outcome_unknown, server.requests) == ("tls_failed", False, [])


def test_a_certificate_of_ones_own_authority_is_taken(serve, certificate, settings):
    settings.GATEWAY_CA_BUNDLE = certificate[0]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    serve(says(OK), tls)
    assert client.post("/x", {}, b"{}" * 100_000).content == b"ok"


def test_a_tls_server_that_drips_is_left_at_the_deadline(serve, certificate, settings):
    settings.GATEWAY_CA_BUNDLE = certificate[0]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    serve(drip(b"HTTP/1.1 200 OK\r\nX: "), tls)
    error = failure()
    assert (error.reason, error.outcome_unknown) == ("no_answer_in_time", True)
    assert error.duration_ms < 1500


def test_the_circuit_opens_closes_and_counts_missing_answers_only(serve, settings):
    settings.GATEWAY_BREAKER_FAILURES, settings.GATEWAY_BREAKER_SECONDS = 3, 0.3
    server = serve(says(b"HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
    assert [client.post("/x", {}, b"").status for _ in range(5)] == [500] * 5
    server.script = says(b"")
    assert [failure().reason for _ in range(4)] == ["answer_cut", "answer_cut", "answer_cut", "circuit_open"]
    error = failure()
    assert (error.retry_after, error.outcome_unknown, error.retryable, error.attempts) == (1, False, True, 0)
    server.script = says(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    time.sleep(0.35)
    assert [client.post("/x", {}, b"").content for _ in range(3)] == [b"ok"] * 3


def given_up():
    """A post whose caller went away while the server said nothing."""
    cancellation = Cancellation()
    threading.Timer(0.1, cancellation.ask).start()
    with pytest.raises(SendError) as raised:
        client.post("/x", {}, b"{}", cancellation)
    return raised.value


def test_a_caller_who_goes_away_says_nothing_of_the_server(serve, settings):
    settings.GATEWAY_BREAKER_FAILURES, settings.GATEWAY_BREAKER_SECONDS = 2, 0.3
    serve(lambda *_: time.sleep(1) or "close")
    # It neither counts nor wipes out what counted: the circuit opens.
    assert [each().reason for each in (failure, given_up, given_up, failure, failure)] == [
        "no_answer_in_time",
        "cancelled",
        "cancelled",
        "no_answer_in_time",
        "circuit_open",
    ]
    time.sleep(0.4)
    # The first call after it is on trial, and its caller's going away proves nothing: the next failure opens it again.
    assert [each().reason for each in (given_up, failure, failure)] == ["cancelled", "no_answer_in_time", "circuit_open"]


def test_calls_are_not_one_after_the_other(serve, settings):
    settings.GATEWAY_READ_SECONDS = settings.GATEWAY_DEADLINE_SECONDS = 10.0
    together = threading.Barrier(8)

    def script(connection, request):
        together.wait(5)  # breaks unless eight are here at once
        connection.sendall(OK)

    serve(script)
    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(lambda _: client.post("/x", {}, b""), range(8)))) == 8


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost, and its key."""
    path, _ = certificates.certificate(tmp_path_factory.mktemp("tls"), "localhost")
    return str(path), str(path)
