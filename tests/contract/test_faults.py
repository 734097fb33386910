"""Faults name places and cures, never values: values are personal data."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.body import Body
from gateway.contract.faults import ANSWERS, Fault, Faults, escape
from gateway.contract.messages import BOOLEANS, OPTIONAL, REQUIRED
from gateway.operations import OPERATIONS
from tests.recorded import recorded

KEYS = ["batch", "userId", "anonymousId", "type", "messageId", "rudderId", "context", "properties", "payload", "Payload", "a/b", "~"]
KEYS += [*REQUIRED, *OPTIONAL, *BOOLEANS, "SOURCEID", "sourceid", "receivedat"]
MARKS = ("zqxmark", "918273645", "\u200b\u2063")
LITERALS = [
    "918273645",
    "-9.18273645e-7",
    "918273645e400",
    "null",
    "true",
    '""',
    '"\\u200b\\u2063"',
    '"zqxmark\\u0000"',
    '"zqxmark 2026-01-02T03:04:05Z"',
]

marked = st.text(max_size=8).map(lambda text: json.dumps(f"zqxmark{text}")) | st.sampled_from(LITERALS)


def written_object(pairs):
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in pairs) + "}"


def written_array(items):
    return "[" + ",".join(items) + "]"


documents = st.recursive(
    marked,
    lambda inner: st.lists(inner, max_size=4).map(written_array) | st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=8).map(written_object),
    max_leaves=25,
)
messages = st.lists(
    st.tuples(st.sampled_from(["properties", "payload"]), st.lists(st.tuples(st.sampled_from(KEYS), documents), max_size=10).map(written_object)).map(
        lambda pair: written_object([pair])
    ),
    max_size=3,
).map(written_array)


def assert_nothing_quoted(text):
    found = 0
    for operation in OPERATIONS.values():
        verdict = Body.of(text).exact(operation)
        for fault in (*verdict.faults, *verdict.own):
            assert not [mark for mark in MARKS if mark in fault.pointer + fault.detail + fault.cure], fault
            found += 1
    return found


@given(documents | messages | documents.map(lambda document: f'{{"batch":{document}}}'))
@settings(max_examples=300, deadline=None)
def test_no_fault_quotes_a_value(document):
    assert_nothing_quoted(document.encode())


@given(documents | messages, st.data())
@settings(max_examples=200, deadline=None)
def test_no_fault_quotes_a_value_of_broken_json(document, data):
    at = data.draw(st.integers(0, len(document)))
    broken = document[:at] + data.draw(st.sampled_from(["", "zqxmark", "NaN", "\\", "\n", '"'])) + document[at + 1 :]
    try:
        json.loads(broken)
    except ValueError:
        assert assert_nothing_quoted(broken.encode()) >= len(OPERATIONS)


def test_a_key_may_be_named():
    (fault,) = Body.of(b'{"userId":"u","zqxmark":1e400}').exact(OPERATIONS["audiencelist"]).faults
    assert fault.pointer == "/zqxmark"


def test_the_table_has_every_answer_that_was_recorded_for_a_body():
    answers = {(row.status, row.answer.removesuffix("\n")) for row in recorded() if row.is_about_the_body}
    assert answers - {(200, "ok")} == set(ANSWERS.values())


def test_the_first_hundred_are_kept_and_the_first_of_each_reason_is_known():
    faults = Faults()
    assert not faults
    for index in range(99):
        faults.add(f"/{index}", "missing_user", "detail", "cure")
    assert not faults.full
    for index in range(99, 120):
        faults.add(f"/{index}", "too_large", "detail", "cure")
    assert faults.full
    assert [fault.pointer for fault in faults] == [f"/{index}" for index in range(100)]
    assert faults.first == {"missing_user": "/0", "too_large": "/99"}
    assert next(iter(faults)) == Fault("/0", "missing_user", "detail", "cure")


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_an_escaped_key_is_one_step_and_can_be_read_back(key):
    assert "/" not in escape(key)
    assert escape(key).replace("~1", "/").replace("~0", "~") == key
