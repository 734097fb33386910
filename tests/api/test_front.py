"""The web server's way in: what Django says by the short way and by the long one, and what it makes of requests that are no good."""

import asyncio
import gc
import json
import tracemalloc

import pytest
from django.db import connections
from django.test import Client

from gateway.api.front import Front
from gateway.ingress.upload import ANYBODYS
from gateway.jobs.models import Job
from tests.conftest import EVENT

REPLAY = "/v1/internal/v1/replay"


@pytest.fixture(scope="module")
def front():
    return Front()


def scope_of(path, method="POST", headers=(), query=b""):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", b"localhost"), *headers],
    }


def ask(front, *arguments, messages=(), **options):
    """The answer's status, headers and content."""
    sent, left = [], list(messages)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(front(scope_of(*arguments, **options), receive, send))
    start, body = sent
    return start["status"], {name.decode().lower(): value.decode() for name, value in start["headers"]}, body["body"]


def test_the_short_way_gives_the_headers_of_the_long_one(front, client):
    status, headers, content = ask(front, REPLAY)
    long = client.post(REPLAY)
    assert (status, content) == (long.status_code, long.content) == (401, long.content)
    told = {name.lower(): value for name, value in long.headers.items()}
    del headers["x-request-id"], told["x-request-id"]
    assert headers == told


@pytest.mark.parametrize("path", [REPLAY, f"{REPLAY}/nope", "/v1/internal/v1/none"])
def test_errors_by_the_short_way_have_its_headers_too(front, client, path):
    for headers in ([], [(b"host", b"elsewhere.example")]):
        _, short, _ = ask(front, path, "GET", headers=headers)
        long = client.get(path, headers={"Host": "elsewhere.example"} if headers else {})
        assert {name for name in short if name.startswith(("content-security", "x-"))} >= {
            name.lower() for name in long.headers if name.lower().startswith(("content-security", "x-"))
        }


@pytest.mark.parametrize("path", [REPLAY, "/healthz"])
def test_what_djangos_request_cannot_read_is_400(front, path):
    status, headers, content = ask(front, path, headers=[(b"content-type", b"text/plain; charset*=bogus''%41")])
    assert (status, headers["content-type"], "x-request-id" in headers) == (400, "application/problem+json", True)
    assert b"bogus" not in content


@pytest.mark.django_db(transaction=True)
def test_a_call_that_waited_too_long_for_a_thread_is_not_sent(front, make_key, sandbox, monkeypatch):
    monkeypatch.setattr("gateway.api.front.QUEUE_SECONDS", -1.0)
    key = (b"authorization", f"Bearer {make_key()}".encode())
    status, headers, content = ask(front, REPLAY, messages=[part(b"{}")], headers=[length(2), key])
    assert (status, headers["retry-after"], b'"busy"' in content) == (503, "1", True)
    assert sandbox.count()["calls"] == 0


@pytest.mark.parametrize("path", [REPLAY, "/healthz"])
def test_a_query_that_is_no_text_and_a_host_that_is_not_ours_are_400(front, path):
    for bad in ({"query": b"a=\xff"}, {"headers": [(b"host", b"elsewhere.example")]}):
        status, headers, _ = ask(front, path, **bad)
        assert (status, headers["content-type"]) == (400, "application/problem+json")


def test_pages_have_threads_of_their_own(front):
    assert ask(front, "/healthz", "GET")[0] == 200
    assert ask(front, "/openapi.json", "GET")[0] == 200
    assert {thread.name.split("_")[0] for pool in (front._page_threads, front._probe_threads) for thread in pool._threads} == {"page", "page-probe"}


def part(content, more=False):
    return {"type": "http.request", "body": content, "more_body": more}


CHUNKED = (b"transfer-encoding", b"chunked")


def length(size):
    return (b"content-length", str(size).encode())


def test_a_body_is_not_kept_beyond_its_answer(front):
    ask(front, REPLAY)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            ask(front, REPLAY, messages=[part(b"x" * ANYBODYS)], headers=[length(ANYBODYS)])
        assert tracemalloc.get_traced_memory()[0] - before < 20 * ANYBODYS
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.django_db(transaction=True)
def test_an_upload_for_a_job_goes_through_a_file(make_key, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    front = Front()
    headers = [(b"authorization", f"Bearer {make_key()}".encode()), CHUNKED]
    line = json.dumps(EVENT).encode() + b"\n"
    status, _, content = ask(front, "/v1/jobs", headers=headers, query=b"operation=replay", messages=[part(line * 5000, True), part(line)])
    assert status == 202, content
    assert sum(path.stat().st_size for path in (tmp_path / "uploads").iterdir()) == 5001 * len(line)
    assert [path.name for path in tmp_path.iterdir()] == ["uploads"]
    status, _, content = ask(front, "/v1/jobs", headers=headers, query=b"operation=replay", messages=[part(line, True), {"type": "http.disconnect"}])
    assert (status, json.loads(content)["reason"]) == (400, "body_cut")
    settings.GATEWAY_MAX_BODY_BYTES = 1000
    path = f"/v1/jobs/{Job.objects.get().id}/retry-failed"
    status, _, content = ask(front, path, headers=headers, messages=[part(line * 5000, True), part(line)])
    assert (status, json.loads(content)["reason"]) == (400, "bad_correction")
    front._page_threads.submit(connections.close_all).result()


ADD = "/admin/jobs/job/add/"
FORM = (b"content-type", b"multipart/form-data; boundary=b")


@pytest.fixture
def signed_in(settings, tmp_path, django_user_model, transactional_db):
    """A front, and the cookies of somebody who may make jobs."""
    settings.MEDIA_ROOT = tmp_path
    client = Client()
    client.force_login(django_user_model.objects.create(username="admin", is_staff=True, is_superuser=True))
    token = "t" * 32
    front = Front()
    yield front, (b"cookie", f"sessionid={client.cookies['sessionid'].value}; csrftoken={token}".encode()), token
    front._page_threads.submit(connections.close_all).result()


def form_of(token, file):
    fields = {"csrfmiddlewaretoken": token, "once": "1", "operation": "replay", "priority": "0", "chunk_events": "500"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = "".join(parts) + '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: text/plain\r\n\r\n'
    return [part(head.encode(), True), *file, part(b"\r\n--b--\r\n")]


def test_an_upload_in_the_admin_goes_through_files_not_memory(signed_in, tmp_path):
    front, cookie, token = signed_in
    piece = (json.dumps(EVENT).encode() + b"\n") * 10_000
    messages = form_of(token, [part(piece, True) for _ in range(30)])
    size = sum(len(message["body"]) for message in messages)
    tracemalloc.start()
    try:
        status, headers, content = ask(front, ADD, headers=[cookie, FORM, length(size)], messages=messages)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status == 302, content[-2000:]
    assert headers["location"].endswith("/check/")
    assert [path.name for path in tmp_path.iterdir()] == ["uploads"]
    assert sum(path.stat().st_size for path in (tmp_path / "uploads").iterdir()) == 30 * len(piece) > 20_000_000
    assert most < 15_000_000


def test_an_upload_in_the_admin_by_a_stranger_is_not_taken_in(signed_in, tmp_path):
    front, _, _ = signed_in
    status, _, content = ask(front, ADD, headers=[FORM, CHUNKED, (b"cookie", b"sessionid=nothing")], messages=[])
    assert (status, b"Sign in first" in content) == (403, True)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_in_the_admin_that_is_too_large_or_cut_says_so(signed_in, settings, tmp_path):
    front, cookie, _ = signed_in
    settings.GATEWAY_MAX_UPLOAD_BYTES = 1000
    status, _, content = ask(front, ADD, headers=[cookie, FORM, length(200_000)], messages=[])
    assert (status, b"1,000 bytes (GATEWAY_MAX_UPLOAD_BYTES)" in content) == (413, True)
    status, _, content = ask(front, ADD, headers=[cookie, FORM, CHUNKED], messages=[part(b"--b", True), {"type": "http.disconnect"}])
    assert (status, b"ended before its end" in content) == (400, True)
    assert list(tmp_path.iterdir()) == []
