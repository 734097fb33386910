"""The quick check: its yes must be upstream's, and its reading too. What it costs is measured elsewhere."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.body import Body
from gateway.contract.messages import BOOLEANS, OPTIONAL
from gateway.operations import OPERATIONS
from tests.conftest import GOOD, MESSAGE

names = st.sampled_from(["u-1", "", " ", "\u200b", "é", "日本", "a\0b", "x" * 50]) | st.text(max_size=5)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
sources = st.fixed_dictionaries({}, optional={"job_run_id": names | anything, "task_run_id": names | anything})
events = st.fixed_dictionaries(
    {},
    optional={
        "userId": names | anything,
        "anonymousId": names | anything,
        "type": st.sampled_from(["track", "record", "extract", "audiencelist", "Record"]) | anything,
        "context": st.fixed_dictionaries({}, optional={"sources": sources | anything, "context": anything}) | anything,
        "messageId": names | anything,
        "properties": anything,
    },
)
times = st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T3:04:05,5Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "now"])
messages = st.fixed_dictionaries(
    {
        "properties": st.fixed_dictionaries(
            {
                "requestType": st.sampled_from(["track", "batch", "replay", "", "BATCH"]),
                "routingKey": names,
                "workspaceID": names,
                "sourceID": names,
                "receivedAt": times,
                "requestIP": names,
            },
            optional={**dict.fromkeys(OPTIONAL, names | st.none()), **dict.fromkeys(BOOLEANS, st.booleans() | st.none())},
        ),
        "payload": st.fixed_dictionaries(
            {"messageId": names | anything, "receivedAt": anything, "request_ip": anything},
            optional={"rudderId": anything, "type": anything, "context": anything},
        ),
    }
)
layouts = st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}])


def assert_a_yes_is_right(operation, text):
    body = Body.of(text)
    quick, exact = body.quick(operation), body.exact(operation, max_depth=None)
    if quick is None:
        return False
    assert exact.accepted, exact
    ours = (quick.events, quick.job_run_id, quick.task_run_id, dict(quick.sources))
    assert ours == (exact.reading.events, exact.reading.job_run_id, exact.reading.task_run_id, dict(exact.reading.sources))
    return True


def huge(value):
    """Whether an integer in it is beyond a double."""
    if isinstance(value, dict | list):
        return any(huge(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and abs(value) > 2**1023


@pytest.mark.parametrize("name", ["replay", "retl"])
@given(st.lists(events, max_size=4), layouts)
@settings(max_examples=150, deadline=None)
def test_a_yes_to_a_batch_is_upstreams(name, batch, layout):
    if not huge(batch):
        assert_a_yes_is_right(OPERATIONS[name], json.dumps({"batch": batch}, **layout).encode())


@pytest.mark.parametrize("name", ["extract", "audiencelist"])
@given(events | anything, layouts)
@settings(max_examples=150, deadline=None)
def test_a_yes_to_an_event_is_upstreams(name, event, layout):
    if not huge(event):
        assert_a_yes_is_right(OPERATIONS[name], json.dumps(event, **layout).encode())


@given(st.lists(messages, max_size=3), layouts)
@settings(max_examples=200, deadline=None)
def test_a_yes_to_messages_is_upstreams(batch, layout):
    assert_a_yes_is_right(OPERATIONS["internalbatch"], json.dumps(batch, **layout).encode())


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_says_yes_to_the_usual_body(operation):
    text = json.dumps(GOOD[operation.route]).encode()
    assert assert_a_yes_is_right(operation, text)
    assert Body.of(gzip.compress(text, mtime=0), "gzip").quick(operation).events == 1


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xef\xbb\xbf{}", b"[1]", b'{"batch":[]}', b'{"batch":[{}]}', b'{"batch":[null]}', b"[{}]", b"[]", b"\xff"]
)
def test_never_says_yes_to_what_upstream_refuses(operation, text):
    body = Body.of(text)
    assert body.quick(operation) is None or body.exact(operation).accepted


def test_leaves_what_is_near_the_size_limit_to_the_exact_check():
    extract = OPERATIONS["extract"]
    fits = b'{"p":"%s"}' % (b"x" * (extract.size_limit - 8 - 64))
    assert Body.of(fits).quick(extract) is not None
    assert Body.of(fits + b" ").quick(extract) is None
    assert Body.of(b'{"userId":"u","p":"%s"}' % (b"x" * extract.size_limit)).quick(OPERATIONS["audiencelist"]) is not None


@pytest.mark.parametrize(
    "event",
    [
        '{"userId":"u","context":{"sources":{"job_run_id":"a"}},"context":{"sources":{"job_run_id":"b"}}}',
        '{"userId":"u","context":{"sources":{"job_run_id":"a"}},"cont\\u0065xt":{"sources":{"job_run_id":"b"}}}',
        '{"userId":"u","context":{"sources":{"job_run_id":"a"},"sources":{"job_run_id":"b"}}}',
        '{"userId":"u","context":{"sources":{"job_run_id":"a","job_run_id":"b"}}}',
        '{"userId":"u","context":{"sources":{"task_run_id":"a","t\\u0061sk_run_id":"b"}}}',
    ],
    ids=["context", "escaped-context", "sources", "run", "escaped-run"],
)
@pytest.mark.parametrize("name", ["replay", "audiencelist"])
def test_the_job_run_of_doubled_keys_is_read_as_upstream_reads_it(name, event):
    assert_a_yes_is_right(OPERATIONS[name], (event if name == "audiencelist" else f'{{"batch":[{event}]}}').encode())


def test_a_doubled_batch_is_counted_as_upstream_counts_it():
    assert_a_yes_is_right(OPERATIONS["replay"], b'{"batch":[{"userId":"u"}],"batch":[{"userId":"u"},{"userId":"v"}]}')


@pytest.mark.parametrize(
    "more",
    [
        {"properties": {**MESSAGE["properties"], "sourceID": "src-2"}},
        {"payload": MESSAGE["payload"]},
        {"PROPERTIES": {"sourceID": "src-2"}},
    ],
    ids=["properties", "payload", "case-equal"],
)
def test_the_sources_of_doubled_properties_are_read_as_upstream_reads_them(more):
    text = json.dumps({**MESSAGE, "properties": {**MESSAGE["properties"], "sourceJobRunID": "jr"}})
    assert_a_yes_is_right(OPERATIONS["internalbatch"], f"[{text[:-1]},{json.dumps(more)[1:]}]".encode())


@pytest.mark.parametrize("text", ['"SOURCEID":"src-2"', '"sourceID":"src-2"', '"sourceID":null', '"sourceid":null', '"sourceJobRunID":null'])
def test_the_sources_of_doubled_keys_are_read_as_upstream_reads_them(text):
    message = json.dumps({**MESSAGE, "properties": {**MESSAGE["properties"], "sourceJobRunID": "jr"}})
    assert_a_yes_is_right(OPERATIONS["internalbatch"], f"[{message.replace('}', ',' + text + '}', 1)}]".encode())
