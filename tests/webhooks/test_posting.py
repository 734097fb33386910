"""One POST, against real servers: signed, to the address that was checked, and over by the deadline."""

import json
import socket
import threading
import time
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from gateway.webhooks import posting
from gateway.webhooks.posting import USER_AGENT, post
from gateway.webhooks.signing import secrets_of
from tests.certificates import certificate
from tests.webhooks.receiver import Receiver

DOCUMENT = {"type": "job.succeeded", "timestamp": datetime(2026, 11, 24, 7, 0, 0, 5, tzinfo=UTC), "data": {"id": "1", "reason": "grün"}}


def send(url, seconds=5.0):
    return post(url, "job_1", DOCUMENT, secrets_of("c"), seconds)


def test_what_arrives_is_the_document_and_its_signature(receiver):
    delivery = send(f"{receiver.url}?token=a%20b")
    assert (delivery.delivered, delivery.status, delivery.note) == (True, 204, "The receiver answered 204.")
    (got,) = receiver.received
    assert got.verified(secrets_of("c")[0]) == {**DOCUMENT, "timestamp": "2026-11-24T07:00:00.000005Z"}
    assert (got.path, got.headers["webhook-id"]) == ("/hook?token=a%20b", "job_1")
    assert (got.headers["User-Agent"], got.headers["Content-Type"]) == (USER_AGENT, "application/json")
    assert got.headers["Host"] == f"localhost:{receiver.port}"
    assert json.loads(got.body)["data"]["reason"] == "grün"


@pytest.mark.parametrize(
    ("status", "delivered", "unwanted"), [(200, 1, 0), (299, 1, 0), (400, 0, 0), (404, 0, 0), (410, 0, 1), (429, 0, 0), (503, 0, 0)]
)
def test_what_the_answer_means(receiver, status, delivered, unwanted):
    receiver.status = status
    got = send(receiver.url)
    assert (got.delivered, got.is_unwanted, got.status, got.note) == (bool(delivered), bool(unwanted), status, f"The receiver answered {status}.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver, status):
    with Receiver() as other:
        receiver.status, receiver.headers = status, {"Location": other.url}
        got = send(receiver.url)
        assert (got.delivered, got.note) == (False, f"The receiver answered {status}, and redirects are not followed.")
        assert other.received == []


def test_no_proxy_of_the_environment_is_used(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert send(receiver.url).delivered


def drip(handler, content, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        handler.wfile.write(content)
        handler.wfile.flush()
        time.sleep(0.05)


SCRIPTS = {
    "silence": lambda handler: time.sleep(5),
    "a status that drips": lambda handler: drip(handler, b"H"),
    "headers that drip": lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n") and drip(handler, b"A"),
    "one long head": lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n") and drip(handler, b"A: b\r\n"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_whatever_the_receiver_does_it_ends_by_the_deadline(receiver, what):
    receiver.script = SCRIPTS[what]
    began = time.monotonic()
    got = send(receiver.url, 0.5)
    assert time.monotonic() - began < 1.0
    assert not got.delivered
    assert got.note == "The receiver gave no answer within 0.5 seconds."


def test_an_answers_body_is_neither_waited_for_nor_kept(receiver):
    receiver.script = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n") and drip(handler, b"x")
    began = time.monotonic()
    assert send(receiver.url, 0.5).delivered
    assert time.monotonic() - began < 1.0
    receiver.script = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n") and drip(handler, b"x" * 1_000_000)
    began = time.monotonic()
    assert send(receiver.url, 5).delivered
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_what_is_no_answer_is_no_delivery(receiver, answer):
    receiver.script = lambda handler: handler.wfile.write(answer)
    got = send(receiver.url)
    assert not got.delivered
    assert got.note.startswith("The receiver gave no whole answer (")


def test_where_nobody_listens_it_says_so(inside):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        got = send(f"http://127.0.0.1:{bound.getsockname()[1]}/hook?token=s3cret")
    assert (got.delivered, got.note) == (False, "The receiver gave no whole answer (ConnectionRefusedError).")


def test_no_thread_and_no_socket_is_left(receiver):
    threads = threading.active_count()
    for _ in range(3):
        send(receiver.url)
    assert [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)] == []
    assert threading.active_count() <= threads + 3  # the receiver's own may live a moment longer


# addresses


def test_what_leads_inside_is_not_connected_to(receiver, settings):
    settings.GATEWAY_WEBHOOK_NETWORKS = []
    for host in ("localhost", "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]"):
        got = send(f"http://{host}:{receiver.port}/hook")
        assert (got.delivered, got.note[:10]) == (False, "Not sent: ")
    assert receiver.received == []


@pytest.fixture
def rebound(monkeypatch, settings):
    """A name that leads to a public address when it is looked up first, and inside each time after that. Gives what was looked up."""
    settings.GATEWAY_WEBHOOK_NETWORKS = [ip_network("127.0.0.2/32")]
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **options):
        if host == "receiver.example":
            asked.append(host)
            host = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return real(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_changes_after_the_check_does_not_lead_inside(receiver, rebound):
    """The receiver listens at 127.0.0.1, which is not allowed; what was checked, 127.0.0.2, has nobody."""
    got = send(f"http://receiver.example:{receiver.port}/hook")
    assert got.note == "The receiver gave no whole answer (ConnectionRefusedError)."
    assert rebound == ["receiver.example"]
    assert receiver.received == []
    # And the next try looks again, and checks what it finds.
    assert send(f"http://receiver.example:{receiver.port}/hook").note.startswith("Not sent: its host was not found, or is not on the public")
    assert receiver.received == []


def test_of_several_addresses_the_next_is_tried(receiver, monkeypatch):
    real = socket.getaddrinfo
    both = lambda host, port, **options: real("127.0.0.9", port, **options) + real("127.0.0.1", port, **options)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert send(f"http://receiver.example:{receiver.port}/hook").delivered
    assert receiver.received[0].headers["Host"] == f"receiver.example:{receiver.port}"


# TLS


@pytest.fixture
def secure(inside, tmp_path, settings):
    """A receiver over TLS, whose certificate is for localhost, and which is trusted."""
    path, context = certificate(tmp_path, "localhost")
    settings.GATEWAY_CA_BUNDLE = str(path)
    names = []
    context.sni_callback = lambda sock, name, of: names.append(name)
    with Receiver(context) as running:
        running.names = names
        yield running
    posting._trust.cache_clear()


def test_over_tls_the_name_is_told_and_its_certificate_checked(secure):
    got = send(secure.url)
    assert got.delivered, got.note
    assert secure.names == ["localhost"]
    assert secure.received[0].headers["Host"] == f"localhost:{secure.port}"


def test_a_certificate_for_another_name_is_not_taken(secure):
    got = send(secure.url.replace("localhost", "127.0.0.1"))
    assert got.note == "Not sent: the receiver's certificate is not to be trusted."
    assert secure.received == []


def test_a_certificate_that_nobody_vouches_for_is_not_taken(secure, settings):
    settings.GATEWAY_CA_BUNDLE = ""
    assert send(secure.url).note == "Not sent: the receiver's certificate is not to be trusted."
    assert secure.received == []


def test_a_server_that_speaks_no_tls_is_no_receiver(receiver):
    got = send(receiver.url.replace("http:", "https:"))
    assert (got.delivered, got.note) == (False, "The receiver gave no whole answer (SSLError).")


def test_over_tls_too_it_ends_by_the_deadline(secure):
    secure.script = SCRIPTS["headers that drip"]
    began = time.monotonic()
    assert send(secure.url, 0.6).note == "The receiver gave no answer within 0.6 seconds."
    assert time.monotonic() - began < 1.2


def test_a_handshake_that_never_ends_does_too(inside):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        got = send(f"https://127.0.0.1:{listener.getsockname()[1]}/", 0.5)
        assert got.note == "The receiver gave no answer within 0.5 seconds."
        assert time.monotonic() - began < 1.0
