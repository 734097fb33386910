"""What the web server lets through, byte by byte: no failure of ours, no hung connection, nothing unlogged, and no header in another's place."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings

from tests.fuzz.effort import EFFORTS
from tests.fuzz.exchange import exchange
from tests.fuzz.heads import BODY, CHUNKED, CHUNKS, LENGTH, REPLAY, request, requests

JOB_RUN = "X-Rudder-Job-Run-Id"


@pytest.fixture
def ask(live):
    """Sends bytes, with the key in its place; gives the answers."""
    return lambda sent: exchange(live.port, sent.replace(b"{key}", live.key.encode()))


@pytest.fixture
def received(live):
    """The requests that reached RudderStack since it was last called."""
    numbers = [live.upstream.count()["calls"]]

    def news():
        page = live.upstream.page(numbers[-1])
        numbers.append(numbers[-1] + len(page))
        return page

    return news


@EFFORTS
def test_whatever_is_sent_the_answer_is_http_and_no_failure_of_ours(ask, effort):
    @settings(effort, max_examples=2 * effort.max_examples)
    @given(requests())
    def check(sent):
        for answer in ask(sent):
            assert answer.status < 500, answer
            if answer.content and "json" in (answer.headers["Content-Type"] or ""):
                json.loads(answer.content)

    check()


def test_every_byte_in_a_value_goes_out_as_it_is_or_is_refused(ask, received):
    def send(byte):
        [answer] = ask(request(LENGTH + b"%s: a%cb\r\nX-Rudder-Task-Run-Id: %d\r\n" % (JOB_RUN.encode(), byte, byte)))
        return byte, answer.status

    with ThreadPoolExecutor(8) as threads:
        statuses = dict(threads.map(send, range(1, 256)))
    passed = {int(headers["X-Rudder-Task-Run-Id"]): headers.get(JOB_RUN) for headers in (dict(one["headers"]) for one in received())}
    controls = {*range(1, 32), 127} - {9}
    assert {byte: status for byte, status in statuses.items() if status != 200} == dict.fromkeys(controls, 400)
    assert passed == {byte: f"a{chr(byte)}b" for byte in range(1, 256) if byte not in controls}


@pytest.mark.parametrize(
    "name",
    [
        b"X_Rudder_Source_Id",
        b"X_Rudder_Job_Run_Id",
        b"Content_Encoding",
        b"Content_Type",
        b"Idempotency_Key",
        b"X_Request_Id",
        b"Content_Length",
        b"X_Forwarded_For",
        b"X_Forwarded_Proto",
        b"Transfer_Encoding",
        b"Anonymous_Id",
        b"Remote_Addr",
        b"Script_Name",
    ],
    ids=bytes.decode,
)
def test_a_name_with_underscores_stands_for_no_other(live, ask, received, name):
    false = name + b": zzz\r\n"
    true = b"" if b"Length" in name or b"Encoding" in name else name.replace(b"_", b"-") + b": rep-1\r\n"
    for lines in (false, true + false, false + true):
        [answer] = ask(request(LENGTH + lines))
        assert answer.status == 200
        [row] = live.rows(f"SELECT * FROM audit_call WHERE id = '{answer.headers['X-Audit-Id'].replace('-', '')}'")
        assert "zzz" not in f"{received()} {answer} {row}"


NEVER_SENT = {
    "two lengths": request(LENGTH + b"Content-Length: 5\r\n"),
    "a list of lengths": request(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY))),
    "a signed length": request(b"Content-Length: +%d\r\n" % len(BODY)),
    "a length of hex": request(b"Content-Length: 0x%x\r\n" % len(BODY)),
    "a length beyond all": request(b"Content-Length: 99999999999999999999\r\n"),
    "no length": request(b""),
    "less than the length": request(b"Content-Length: %d\r\n" % (len(BODY) + 1)),
    "more than the length": request(b"Content-Length: %d\r\n" % (len(BODY) - 1)),
    "a plain body called chunked": request(LENGTH + CHUNKED),
    "chunked, but not last": request(b"Transfer-Encoding: chunked, identity\r\n", CHUNKS),
    "chunked with a space before the colon": request(b"Transfer-Encoding : chunked\r\n", CHUNKS),
    "chunked after a control character": request(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS),
    "chunked with an underscore": request(b"Transfer_Encoding: chunked\r\n", CHUNKS),
    "chunked in HTTP/1.0": request(CHUNKED, CHUNKS, version=b"HTTP/1.0"),
    "chunks of bad sizes": request(CHUNKED, b"zz\r\n" + CHUNKS),
    "chunks with bare line feeds": request(CHUNKED, CHUNKS.replace(b"\r\n", b"\n")),
    "a folded line": request(LENGTH + b"X-Rudder-Source-Id: rep-1\r\n more\r\n"),
    "a bare carriage return": request(LENGTH + b"X-Rudder-Source-Id: rep-1\rX-A: b\r\n"),
    "a NUL": request(LENGTH + b"X-Rudder-Source-Id: rep-1\0\r\n"),
    "two different sources": request(LENGTH + b"X-Rudder-Source-Id: rep-1\r\nX-Rudder-Source-Id: src-1\r\n"),
    "two keys": request(LENGTH + b"Authorization: Bearer zzz\r\n"),
    "no host": request(host=b""),
    "two hosts": request(host=b"Host: localhost\r\nHost: elsewhere\r\n"),
    "another host": request(host=b"Host: elsewhere\r\n"),
    "HTTP/2": request(version=b"HTTP/2.0"),
    "HTTP/0.9": b"POST /v1/internal/v1/replay\r\n\r\n",
    "a doubled slash": request(target=b"/" + REPLAY),
    "dots": request(target=b"/x/%2e%2e" + REPLAY),
    "a semicolon": request(target=REPLAY + b";x"),
    "a NUL in the path": request(target=REPLAY + b"%00"),
    "a line feed in the path": request(target=REPLAY + b"%0a"),
    "what is no UTF-8 in the path": request(target=REPLAY + b"%ff"),
    "raw bytes in the path": request(target=REPLAY + b"\xff"),
    "two wishes": request(target=REPLAY + b"?dry_run=true&dry_run=false"),
    "headers beyond number": request(LENGTH + b"".join(b"X-%d: x\r\n" % number for number in range(1000))),
    "a header beyond length": request(LENGTH + b"X: " + b"x" * 1_000_000 + b"\r\n"),
    "an address beyond length": request(target=REPLAY + b"?" + b"x" * 100_000),
}


@pytest.mark.parametrize("name", NEVER_SENT)
def test_what_can_be_read_in_two_ways_is_refused_and_not_sent(ask, received, name):
    found = ask(NEVER_SENT[name])
    assert found
    assert all(400 <= answer.status < 500 for answer in found)
    assert received() == []


SENT_ONCE = {
    "the same length twice": request(LENGTH + LENGTH),
    "chunks": request(CHUNKED, CHUNKS),
    "chunks with extensions and trailers": request(
        CHUNKED, CHUNKS.replace(b"5\r", b'5;a=b;c="d"\r').replace(b"0\r\n\r", b"0;e\r\nContent-Length: 1\r\n\r")
    ),
    "chunks and a length": request(CHUNKED + b"Content-Length: 5\r\n", CHUNKS),
    "the address whole": request(target=b"http://localhost" + REPLAY),
    "an escaped path": request(target=REPLAY.replace(b"r", b"%72")),
    "a fragment": request(target=REPLAY + b"#x"),
    "a thousand parameters and more": request(target=REPLAY + b"?" + b"&".join(b"a%d=1" % number for number in range(1500))),
    "many headers": request(LENGTH + b"".join(b"X-%d: x\r\n" % number for number in range(80))),
    "a long header": request(LENGTH + b"X: " + b"x" * 50_000 + b"\r\n"),
    "an expectation": request(LENGTH + b"Expect: 100-continue\r\n"),
    "HTTP/1.0": request(version=b"HTTP/1.0"),
}


@pytest.mark.parametrize("name", SENT_ONCE)
def test_what_is_odd_but_clear_is_sent_once_and_whole(ask, received, name):
    [answer] = ask(SENT_ONCE[name])
    assert (answer.status, json.loads(answer.content)) == (200, {"result": "ok"})
    [one] = received()
    assert one["body"].encode() == BODY


def test_a_query_in_utf_8_goes_out_percent_encoded(ask, received):
    [answer] = ask(request(target=REPLAY + "?a=é日&dry_run=false".encode()))
    assert answer.status == 200
    assert received()[0]["path"].endswith("/replay?a=%C3%A9%E6%97%A5")


def test_requests_on_one_connection_are_answered_in_order(ask, received):
    kept = [request(LENGTH + b"X-Request-Id: %d\r\n" % number, end=b"") for number in range(5)]
    found = ask(b"".join(kept) + request(LENGTH + b"X-Request-Id: 5\r\n"))
    assert [(answer.status, answer.headers["X-Request-Id"]) for answer in found] == [(200, str(number)) for number in range(6)]
    assert len(received()) == 6


@pytest.mark.parametrize(
    "outer", [request(b"Content-Length: %d\r\n", b"", key=b"", end=b""), request(b"Content-Length: %d\r\n", b"", target=b"/x", end=b"")]
)
def test_a_request_in_a_body_that_nobody_reads_is_none(live, received, outer):
    inner = request().replace(b"{key}", live.key.encode())
    [answer] = exchange(live.port, outer.replace(b"{key}", live.key.encode()) % len(inner) + inner)
    assert answer.status in (401, 404)
    assert received() == []
