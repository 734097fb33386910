"""The exact check of an internal batch: which fault, and where."""

import json

import pytest

from gateway.contract.body import Body
from gateway.contract.messages import BOOLEANS, OPTIONAL, REQUIRED, UNTYPED
from gateway.operations import OPERATIONS
from tests.conftest import MESSAGE

BATCH = OPERATIONS["internalbatch"]


def judge(body):
    return Body.of(body if isinstance(body, bytes) else json.dumps(body).encode()).exact(BATCH)


def faults(body):
    return [(fault.pointer, fault.reason) for fault in judge(body).faults]


def message(*, without=(), payload=None, **properties):
    """A good message but for what is given."""
    kept = {key: value for key, value in MESSAGE["properties"].items() if key not in without}
    return {"properties": {**kept, **properties}, "payload": MESSAGE["payload"] if payload is None else payload}


def payload(*without, **more):
    return {**{key: value for key, value in MESSAGE["payload"].items() if key not in without}, **more}


def spliced(properties):
    """A good message with this text put into its properties."""
    return json.dumps([message()]).encode().replace(b'"requestType"', properties + b',"requestType"')


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_property_is_named(name):
    assert faults([message(), message(without=[name])]) == [(f"/1/properties/{name}", "missing_field")]
    assert faults([message(**{name: None})]) == [(f"/0/properties/{name}", "missing_field")]


@pytest.mark.parametrize("name", [name for name in REQUIRED if name != "receivedAt"])
def test_an_empty_property_is_missing_and_a_space_is_not(name):
    assert faults([message(**{name: ""})]) == [(f"/0/properties/{name}", "missing_field")]
    assert judge([message(**{name: " "})]).accepted


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
@pytest.mark.parametrize("value", [5, True, {}, []])
def test_a_text_property_of_another_type_is_named(name, value):
    verdict = judge([message(), message(**{name: value})])
    assert (f"/1/properties/{name}", "wrong_type") in [(fault.pointer, fault.reason) for fault in verdict.faults]
    assert (verdict.status, verdict.text) == (400, "invalid json")


@pytest.mark.parametrize("name", BOOLEANS)
def test_a_boolean_property_of_another_type_is_named(name):
    assert faults([message(**{name: "true"})]) == [(f"/0/properties/{name}", "wrong_type")]
    assert judge([message(**{name: True})]).accepted


@pytest.mark.parametrize("time", ["", "now", "2026-02-30T00:00:00Z", "2026-01-02 03:04:05Z"])
def test_a_bad_time_is_named(time):
    assert faults([message(receivedAt=time)])[0] == ("/0/properties/receivedAt", "bad_time")


def test_a_time_with_escapes_is_named():
    text = json.dumps([message(), message(receivedAt="2026-01-02T03:04:05Q")]).encode()
    assert faults(text.replace(b"Q", rb"\u005a")) == [("/1/properties/receivedAt", "bad_time")]


def test_the_zero_time_is_missing():
    assert faults([message(receivedAt="0001-01-01T00:00:00Z")]) == [("/0/properties/receivedAt", "missing_field")]
    assert judge([message(receivedAt="0001-01-01T00:00:00+00:00")]).accepted


@pytest.mark.parametrize("name", ["messageId", "receivedAt", "request_ip", "rudderId", "type"])
def test_a_missing_payload_field_is_named(name):
    assert faults([message(), message(payload=payload(name))]) == [(f"/1/payload/{name}", "missing_field")]


def test_payload_fields_may_be_null_but_the_message_id():
    assert judge([message(payload=payload(receivedAt=None, request_ip=None, rudderId=None, type=None))]).accepted
    for message_id in (None, ""):
        assert faults([message(payload=payload(messageId=message_id))]) == [("/0/payload/messageId", "missing_field")]
    for message_id in (0, False, {}, [], " "):
        assert judge([message(payload=payload(messageId=message_id))]).accepted


@pytest.mark.parametrize("kind", UNTYPED)
def test_some_request_types_need_no_payload_type(kind):
    assert judge([message(requestType=kind, payload=payload("type"))]).accepted
    assert not judge([message(requestType=kind.upper(), payload=payload("type"))]).accepted


@pytest.mark.parametrize("value", [None, 5, "x", [], True])
def test_a_payload_that_is_no_object_is_named(value):
    text = {"properties": MESSAGE["properties"], "payload": value}
    assert faults([text]) == [("/0/payload", "missing_field")]


@pytest.mark.parametrize("value", [5, "x", True, []])
def test_messages_and_properties_of_another_type_are_named(value):
    assert ("/1", "wrong_type") in faults([message(), value])
    assert ("/0/properties", "wrong_type") in faults([{**message(), "properties": value}])


@pytest.mark.parametrize("body", [{}, 5, "x", True, {"batch": []}])
def test_a_body_that_is_no_array_is_invalid_json(body):
    assert faults(body) == [("", "wrong_type")]
    assert judge(body).text == "invalid json"


@pytest.mark.parametrize("body", [[], None])
def test_an_empty_array_has_no_messages(body):
    assert faults(body) == [("", "no_messages")]
    assert judge(body).text == "event is not a valid rudder event"


def test_a_null_message_lacks_everything():
    assert {pointer for pointer, _ in faults([None])} == {f"/0/properties/{name}" for name in REQUIRED} | {"/0/payload"}


def test_faults_of_decoding_decide_before_those_of_validating():
    verdict = judge([message(sourceID=""), message(isBot=1)])
    assert {(fault.pointer, fault.reason) for fault in verdict.faults} == {
        ("/0/properties/sourceID", "missing_field"),
        ("/1/properties/isBot", "wrong_type"),
    }
    assert verdict.text == "invalid json"


@pytest.mark.parametrize("name", ["workspaceID", "partitionID"])
def test_a_nul_where_it_cannot_be_stored_is_a_500(name):
    verdict = judge([message(**{name: "a\0"})])
    assert [(fault.pointer, fault.reason) for fault in verdict.faults] == [(f"/0/properties/{name}", "nul_character")]
    assert verdict.status == 500
    assert judge([message(routingKey="a\0")]).accepted


@pytest.mark.parametrize(
    ("properties", "pointer"),
    [
        (b'"sourceID":"src-0"', "/0/properties/sourceID"),
        (b'"SOURCEID":"src-0"', "/0/properties/sourceID"),
        (b'"source\\u0049D":"src-0"', "/0/properties/sourceID"),
        (b'"userID":"a","UserId":"b"', "/0/properties/UserId"),
        (b'"isBot":null,"isbot":true', "/0/properties/isbot"),
    ],
)
def test_doubled_and_case_equal_properties_are_a_fault_of_our_own(properties, pointer):
    verdict = judge(spliced(properties))
    assert verdict.accepted
    assert verdict.faults == ()
    assert [(fault.pointer, fault.reason) for fault in verdict.own] == [(pointer, "ambiguous_key")]


@pytest.mark.parametrize("key", ["properties", "PROPERTIES", "payload", "Payload"])
def test_doubled_and_case_equal_parts_of_a_message_are_a_fault_of_our_own(key):
    text = json.dumps(message())
    verdict = judge(f"[{text[:-1]}, {json.dumps(key)}: {json.dumps(MESSAGE[key.lower()])}}}]".encode())
    assert verdict.accepted
    assert [(fault.pointer, fault.reason) for fault in verdict.own] == [(f"/0/{key}", "ambiguous_key")]


def test_doubled_keys_elsewhere_are_no_fault():
    verdict = judge(json.dumps([message()]).encode().replace(b'"messageId"', b'"context":1,"context":2,"messageId"'))
    assert (verdict.accepted, verdict.own) == (True, ())
    assert judge(spliced(b'"unknown":1,"unknown":2')).own == ()


def test_the_source_is_read_as_upstream_reads_it():
    def sources(properties):
        return dict(
            judge(json.dumps([message(without=["sourceID"])]).encode().replace(b'"requestType"', properties + b',"requestType"')).reading.sources
        )

    assert sources(b'"sourceID":"a","SOURCEID":"b"') == {"b": 0}
    assert sources(b'"sourceID":"a","sourceID":null') == {"a": 0}
    assert sources(b'"\\u0073ourceid":"a"') == {"a": 0}
    assert sources(b'"sourceID":"a","\xc5\xbfourceID":"b"') == {"a": 0}


def test_the_reading_has_each_source_with_its_first_message_and_the_first_run():
    body = [
        message(sourceJobRunID="jr", sourceTaskRunID="tr"),
        message(sourceID="src-2", sourceJobRunID="other"),
        message(),
        message(sourceID="src-2"),
    ]
    reading = judge(body).reading
    assert (reading.events, reading.job_run_id, reading.task_run_id) == (4, "jr", "tr")
    assert dict(reading.sources) == {"src-1": 0, "src-2": 1}


def test_properties_in_other_letters_are_pointed_to_as_they_are_written():
    written = {"Properties": message(without=["sourceID"])["properties"], "PAYLOAD": payload("messageId")}
    assert faults([written]) == [("/0/Properties/sourceID", "missing_field"), ("/0/PAYLOAD/messageId", "missing_field")]


def test_no_more_than_100_faults_are_kept():
    assert len(faults([message(without=["sourceID"])] * 150)) == 100
    assert len(faults([5] * 150)) == 100
    assert len(judge([*[message()] * 150, 5]).faults) <= 100
