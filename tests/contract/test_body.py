"""A body is read, unpacked and judged once; gzip is undone as RudderStack does it, and never beyond the cap."""

import gzip
import hashlib
import json
import threading
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract.body import Body, BodyTooLargeError, BrokenGzipError
from gateway.operations import OPERATIONS
from tests.conftest import GOOD
from tests.recorded import recorded

MIB = 1024 * 1024
EXTRACT = OPERATIONS["extract"]


def test_reads_its_bytes_once_and_only_when_asked():
    reads = []

    def read():
        reads.append(1)
        return b'{"recordId": 1}'

    body = Body(read)
    assert not body.was_read
    assert reads == []
    assert body.quick(EXTRACT) is not None
    assert body.was_read
    assert body.exact(EXTRACT).accepted
    assert (body.received, body.text) == (b'{"recordId": 1}', b'{"recordId": 1}')
    assert len(body.digest) == 64
    assert reads == [1]


def test_what_the_reader_raises_comes_through():
    def read():
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Body(read).quick(EXTRACT)


@given(st.binary())
@settings(max_examples=50, deadline=None)
def test_the_digest_is_of_the_bytes_as_received(content):
    packed = gzip.compress(content, mtime=0)
    assert Body.of(packed, "gzip").digest == hashlib.sha256(packed).hexdigest()


def test_the_same_body_is_judged_once_for_each_operation():
    body = Body.of(b"null")
    assert body.exact(EXTRACT) is body.exact(EXTRACT)
    assert body.exact(EXTRACT).accepted
    assert body.exact(OPERATIONS["audiencelist"]).reason == "missing_user"


def test_another_depth_is_another_judgement():
    body = Body.of(b"[" * 1001 + b"]" * 1001)
    assert body.exact(EXTRACT).own[0].reason == "too_deep"
    assert body.exact(EXTRACT, max_depth=None).reason == "not_an_event"


@given(st.lists(st.binary(), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_several_gzip_members_are_read_on(contents):
    packed = b"".join(gzip.compress(content, mtime=0) for content in contents)
    for cap in (None, max(len(packed), len(b"".join(contents)))):
        assert Body.of(packed, "gzip", cap).text == b"".join(contents)


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"{}", mtime=0)[:-1],
        gzip.compress(b"{}", mtime=0)[:-8],
        gzip.compress(b"{}", mtime=0)[:10],
        gzip.compress(b"{}", mtime=0)[:1],
        b"{}",
        gzip.compress(b"{}", mtime=0) + b"\0",
        gzip.compress(b"{}", mtime=0) + b"{}",
        gzip.compress(b"{}", mtime=0) + gzip.compress(b"", mtime=0)[:5],
        gzip.compress(b"{}", mtime=0)[:-8] + b"\0" * 8,
        zlib.compress(b"{}"),
        gzip.compress(b"{}", mtime=0)[:3] + b"\xff" + gzip.compress(b"{}", mtime=0)[4:],
    ],
    ids=["cut", "no-end", "only-head", "one-byte", "plain", "nul-after", "text-after", "cut-second", "checksum", "zlib", "reserved-flags"],
)
@pytest.mark.parametrize("cap", [None, MIB])
def test_broken_gzip_is_a_500_as_upstream(packed, cap):
    body = Body.of(packed, "gzip", cap)
    with pytest.raises(BrokenGzipError):
        _ = body.text
    assert body.quick(EXTRACT) is None
    verdict = body.exact(EXTRACT)
    assert (verdict.status, verdict.text) == (500, "failed to read body from request")


@given(st.binary(max_size=200))
@example(b"\x1f\x8b")
@settings(max_examples=200, deadline=None)
def test_any_bytes_named_gzip_are_unpacked_or_broken(content):
    try:
        text = Body.of(content, "gzip", MIB).text
    except BrokenGzipError:
        return
    assert text == (gzip.decompress(content) if content else b"")


@pytest.mark.parametrize("received", [b"", gzip.compress(b"", mtime=0)], ids=["no-bytes", "gzip-of-nothing"])
def test_an_empty_gzip_body_is_no_json(received):
    verdict = Body.of(received, "gzip").exact(EXTRACT)
    assert (verdict.status, verdict.text) == (400, "invalid json")


@pytest.mark.parametrize("encoding", ["", "GZIP", "Gzip", "x-gzip", "br", "deflate", "gzip, gzip", "gzip,", "identity"])
def test_any_other_encoding_is_ignored(encoding):
    packed = gzip.compress(b"{}", mtime=0)
    assert Body.of(packed, encoding).text == packed
    assert Body.of(b"{}", encoding).exact(EXTRACT).accepted


def test_spaces_round_the_encoding_do_not_count():
    assert Body.of(gzip.compress(b"{}", mtime=0), " gzip ").text == b"{}"


def test_the_cap_counts_unpacked_bytes():
    packed = gzip.compress(b" " * 1000, mtime=0)
    assert len(Body.of(packed, "gzip", 1000).text) == 1000
    body = Body.of(packed, "gzip", 999)
    for ask in (lambda: body.text, lambda: body.quick(EXTRACT), lambda: body.exact(EXTRACT)):
        with pytest.raises(BodyTooLargeError) as refused:
            ask()
        assert refused.value.limit == 999


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_cap_counts_received_bytes(encoding):
    received = gzip.compress(b"", mtime=0) * 100
    assert Body.of(received, encoding, len(received)).text in (received, b"")
    with pytest.raises(BodyTooLargeError):
        _ = Body.of(received, encoding, len(received) - 1).text


def test_the_cap_counts_all_members_together():
    packed = gzip.compress(b" " * 600, mtime=0) * 2
    assert len(Body.of(packed, "gzip", 1200).text) == 1200
    with pytest.raises(BodyTooLargeError):
        _ = Body.of(packed, "gzip", 1199).text


def test_what_is_over_the_cap_before_it_is_broken_is_too_large():
    packed = gzip.compress(b" " * 600, mtime=0) + gzip.compress(b" " * 600, mtime=0)[:-8] + bytes(8)
    with pytest.raises(BodyTooLargeError):
        _ = Body.of(packed, "gzip", 1100).text
    with pytest.raises(BrokenGzipError):
        _ = Body.of(packed, "gzip", 1200).text


def gigabyte_of_zeros():
    """A gzip stream that unpacks to 1 GiB; each flushed piece stands for itself, so one is made and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head, piece = (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return head + piece * 1023


def test_a_bomb_costs_no_more_than_the_cap():
    bomb, cap = gigabyte_of_zeros(), 4 * MIB
    assert len(bomb) < 2 * MIB
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            _ = Body.of(bomb, "gzip", cap).text
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * cap


def test_a_bomb_of_many_members_costs_no_more_than_the_cap():
    cap = 4 * MIB
    bomb = gzip.compress(bytes(3 * MIB), mtime=0) * 300
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            _ = Body.of(bomb, "gzip", cap).text
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * cap + len(bomb)


SMALL = [row.body for row in recorded() if len(row.body) < 2000]


def mutated(draw, body):
    at, to = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:at] + draw(st.sampled_from([b"", body[at:to] * 2, b"null", b"[", b'"', b"\\", b"1e400", b"\0", b"\xff", b'{"batch":'])) + body[to:]


bodies = st.binary(max_size=200) | st.sampled_from(SMALL) | st.composite(lambda draw: mutated(draw, draw(st.sampled_from(SMALL))))()


@given(bodies, st.sampled_from(["", "gzip"]))
@settings(max_examples=500, deadline=None)
def test_the_checks_judge_any_bytes(content, encoding):
    for operation in OPERATIONS.values():
        usual, any_depth = (Body.of(content, encoding).exact(operation, max_depth) for max_depth in (1000, None))
        assert usual == any_depth or usual.own[0].reason == "too_deep"
        assert any_depth.accepted == (not any_depth.faults)
        quick = Body.of(content, encoding).quick(operation)
        assert quick is None or quick.events > 0


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_good_body_is_accepted_by_both_checks(operation):
    body = Body.of(json.dumps(GOOD[operation.route]).encode())
    assert body.quick(operation).events == 1
    assert body.exact(operation).accepted


def test_a_body_that_is_still_arriving_keeps_no_other_waiting():
    arriving, goes_on = threading.Event(), threading.Event()

    def stalled():
        arriving.set()
        assert goes_on.wait(10)
        return b"{}"

    slow = Body(stalled)
    reader = threading.Thread(target=lambda: slow.digest)
    reader.start()
    assert arriving.wait(10)
    done = []
    other = threading.Thread(target=lambda: done.append((Body(lambda: b"[]").text, Body(lambda: b"[]").digest)))
    other.start()
    other.join(5)
    finished = list(done)
    goes_on.set()
    reader.join()
    other.join()
    assert [text for text, _ in finished] == [b"[]"]
    assert slow.received == b"{}"
