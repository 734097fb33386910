"""The exact check of the four operations that take events: which fault, and where."""

import json

import pytest

from gateway.contract.body import Body
from gateway.operations import OPERATIONS

LIMIT = 4_096_000
GOOD = {"userId": "u", "messageId": "m"}


def judge(body, operation="replay"):
    return Body.of(body if isinstance(body, bytes) else json.dumps(body).encode()).exact(OPERATIONS[operation])


def faults(body, operation="replay"):
    return [(fault.pointer, fault.reason) for fault in judge(body, operation).faults]


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ({}, "/batch/1"),
        ({"type": "track"}, "/batch/1"),
        ({"userId": ""}, "/batch/1/userId"),
        ({"userId": " \u200b"}, "/batch/1/userId"),
        ({"userId": None}, "/batch/1"),
        ({"anonymousId": ""}, "/batch/1/anonymousId"),
        ({"userId": None, "anonymousId": "\u00a0"}, "/batch/1/anonymousId"),
        ({"UserId": "u", "user_id": "u"}, "/batch/1"),
    ],
)
def test_the_event_without_a_user_is_named(event, pointer):
    assert faults({"batch": [GOOD, event, GOOD]}) == [(pointer, "missing_user")]


@pytest.mark.parametrize("user", [0, False, {}, [], "0", "\ufffd", "é"])
@pytest.mark.parametrize("key", ["userId", "anonymousId"])
def test_anything_but_null_and_blank_text_is_a_user(key, user):
    assert faults({"batch": [{key: user}]}) == []


@pytest.mark.parametrize(("kind", "accepted"), [("record", True), ("extract", True), ("Record", False), ("record ", False), (["record"], False)])
def test_only_records_and_extracts_go_without_a_user(kind, accepted):
    assert judge({"batch": [{"type": kind}]}).accepted is accepted
    assert not judge({"type": kind}, "audiencelist").accepted
    assert judge({"type": kind}, "extract").accepted


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ({"userId": "u"}, []),
        ({"userId": ""}, [("/batch/userId", "missing_user")]),
        ({}, [("/batch", "missing_user")]),
        ("x", [("/batch", "not_an_event")]),
        (5, [("/batch", "not_an_event")]),
        (False, [("/batch", "not_an_event")]),
        ([GOOD, 7, None, "x", []], [(f"/batch/{index}", "not_an_event") for index in (1, 2, 3, 4)]),
        ([], [("/batch", "empty_batch")]),
        (None, [("", "empty_batch")]),
    ],
)
def test_batches_of_other_shapes(batch, expected):
    assert faults({"batch": batch}) == faults({"batch": batch}, "retl") == expected


@pytest.mark.parametrize("body", [{}, {"Batch": [GOOD]}, None, 5, "x", [GOOD], []])
def test_a_body_without_a_batch_is_empty(body):
    assert faults(body) == [("", "empty_batch")]


@pytest.mark.parametrize("body", [None, 5, "x", True, {}])
def test_extract_takes_any_json_but_an_array(body):
    assert judge(body, "extract").accepted
    assert faults(body, "audiencelist") == [("", "missing_user")]
    assert faults([body], "extract") == faults([body], "audiencelist") == [("", "not_an_event")]


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        (b'{"userId":"u","a":{"b":[{"c":1e400}]}}', "/a/b/0/c"),
        (b'{"userId":"u","a":[0,[1,-1e400]]}', "/a/1/1"),
        (b'{"userId":"u","a/b":{"~c":1e400}}', "/a~1b/~0c"),
        (b'{"userId":"u","~1":[1e400]}', "/~01/0"),
        (b'{"userId":"u","":{"":1e400}}', "//"),
        (b'{"userId":"u","\\u0061\xff":1e400}', "/a\ufffd"),
        (b'{"userId":1e400}', "/userId"),
        (b'{"userId":"u","context":{"messageId":1e400}}', "/context/messageId"),
        (b'{"userId":"u","v":1e400,"v":1}', "/v"),
    ],
)
def test_a_number_beyond_a_double_is_found_however_deep(event, pointer):
    assert faults(b'{"batch":[%s]}' % event) == [(f"/batch/0{pointer}", "number_overflow")]
    assert faults(event, "audiencelist") == [(pointer, "number_overflow")]


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[{"userId":"u","messageId":1e400,"rudderId":[1e400]}]}',
        b'{"batch":[{"userId":"u","v":1,"v":1e400}]}',
        b'{"batch":[{"userId":"u"}],"more":1e400}',
        b'{"batch":[{"userId":"u"}],"batch":[1e400]}',
    ],
)
def test_a_number_that_is_not_stored_does_no_harm(body):
    assert judge(body).accepted


def test_the_type_that_the_server_sets_may_be_any_number():
    assert judge(b'{"userId":"u","type":1e400}', "audiencelist").accepted
    assert judge(b'{"type":1e400}', "extract").accepted
    assert not judge(b'{"batch":[{"userId":"u","type":1e400}]}').accepted


def test_of_doubled_keys_the_first_counts():
    assert faults(b'{"batch":[{"userId":"","userId":"u"}]}') == [("/batch/0/userId", "missing_user")]
    assert judge(b'{"batch":[{"userId":"u","userId":""}]}').accepted
    assert judge(b'{"batch":[{"type":"record","type":"track"}]}').accepted
    assert faults(b'{"batch":[],"batch":[{"userId":"u"}]}') == [("/batch", "empty_batch")]
    assert faults(b'{"\\u0062atch":null,"batch":[{"userId":"u"}]}') == [("", "empty_batch")]


def test_all_faults_are_told_and_the_first_is_the_answer():
    verdict = judge(b'{"batch":[{"userId":"u","v":1e400},7,{}]}')
    assert [(fault.pointer, fault.reason) for fault in verdict.faults] == [
        ("/batch/1", "not_an_event"),
        ("/batch/2", "missing_user"),
        ("/batch/0/v", "number_overflow"),
    ]
    assert (verdict.status, verdict.text) == (400, "event is not a valid rudder event")


@pytest.mark.parametrize("many", [b"[]", b'{"":[]}', b"1e300"], ids=["free", "nests", "doubtful"])
def test_numbers_beyond_a_double_are_found_among_many_others(many):
    more = b",".join([many] * 150)
    pairs = b",".join(b'"%d":%s' % (index, many) for index in range(150))
    assert faults(b'{"batch":[%s,{"userId":0,"a":1e400}]}' % b",".join([b'{"userId":0,"b":%s}' % many] * 150)) == [
        ("/batch/150/a", "number_overflow")
    ]
    assert faults(b'{"batch":[{"userId":0,"a":[1e400,%s,[%s,1e400],%s]}]}' % (more, more, more)) == [
        ("/batch/0/a/151/150", "number_overflow"),
        ("/batch/0/a/0", "number_overflow"),
    ]
    doubled = b'{"userId":0,"a":0,"b":1e400,"c":1e400,%s,"a":1e400,"b":0,"messageId":1e400}' % pairs
    assert faults(b'{"batch":[%s]}' % doubled) == [("/batch/0/c", "number_overflow"), ("/batch/0/b", "number_overflow")]


def test_numbers_beyond_a_double_are_found_beside_what_is_very_deep_and_after_much_of_the_same():
    deep, more = b"[" * 3000 + b"]" * 3000, b",".join([b"[]"] * 100)
    assert Body.of(b'{"a":[%s,%s,1e400]}' % (more, deep)).exact(OPERATIONS["extract"], max_depth=None).faults[0].pointer == "/a/101"
    levels = 20
    text = b'{"a":%s1e400%s}' % ((b"[" + more + b",") * levels, b"]" * levels)
    assert faults(text, "extract") == [("/a" + "/100" * levels, "number_overflow")]


def test_no_more_than_100_faults_are_kept():
    assert len(faults({"batch": [{}] * 150})) == 100
    assert len(faults(b'{"batch":[{"userId":"u","a":[%s]}]}' % b",".join([b"1e400"] * 150))) == 100
    assert judge({"batch": [GOOD] * 150 + [{}] * 150}).reading.events == 300


@pytest.mark.parametrize("operation", ["replay", "retl"])
def test_a_batch_may_have_4096000_bytes(operation):
    def padded(size, kind="track"):
        text = b'{"batch":[{"type":"%s","userId":"u","p":"%%s"}]}' % kind.encode()
        return text % (b"x" * (size - len(text) + 2))

    assert len(padded(LIMIT)) == LIMIT
    assert judge(padded(LIMIT), operation).accepted
    assert faults(padded(LIMIT + 1), operation) == [("", "too_large")]
    assert judge(padded(LIMIT + 1, "audiencelist"), operation).accepted


def test_extract_counts_the_wrapping_and_the_type():
    def padded(size, kind=""):
        text = b'{%s"p":"%%s"}' % kind.encode()
        return text % (b"x" * (size - len(text) + 2))

    assert judge(padded(LIMIT - 38), "extract").accepted
    assert faults(padded(LIMIT - 37), "extract") == [("", "too_large")]
    assert judge(b" " * 50 + padded(LIMIT - 38), "extract").accepted
    assert judge(padded(LIMIT - 21, '"type":"extract",'), "extract").accepted
    assert faults(padded(LIMIT - 20, '"type":"extract",'), "extract") == [("", "too_large")]
    assert judge(b'{"userId":"u","p":"%s"}' % (b"x" * LIMIT), "audiencelist").accepted


def test_the_reading_counts_events_and_finds_the_first_ones_run():
    sources = {"job_run_id": "jr", "task_run_id": "tr"}
    body = {"batch": [{**GOOD, "context": {"sources": sources}}, {"userId": "u", "messageId": " "}, {"userId": "u", "messageId": 5}]}
    reading = judge(body).reading
    assert (reading.events, reading.job_run_id, reading.task_run_id, reading.without_message_id) == (3, "jr", "tr", 2)
    assert dict(reading.sources) == {}


@pytest.mark.parametrize("context", [None, 5, [], {}, {"sources": None}, {"sources": []}, {"sources": {"job_run_id": 5, "task_run_id": None}}])
def test_a_run_that_is_no_text_is_none(context):
    reading = judge({"batch": [{**GOOD, "context": context}]}).reading
    assert (reading.job_run_id, reading.task_run_id) == ("", "")


def test_the_place_of_a_syntax_fault_is_told_by_line_and_byte():
    (fault,) = judge('{"batch":\n ["日", x]}'.encode()).faults
    assert fault.pointer == ""
    assert "at line 2, byte 10" in fault.detail
