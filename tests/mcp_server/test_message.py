"""One JSON-RPC message as it came: what is none is told why, in our words."""

import gc
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp_server import message
from gateway.mcp_server.message import ID_LENGTH, BadMessageError

PARSE, INVALID = -32700, -32600
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "replay"}}


def bad(text: bytes) -> BadMessageError:
    with pytest.raises(BadMessageError) as raised:
        message.read(text)
    answer = raised.value.answer
    assert (answer["jsonrpc"], answer["error"]["code"], answer["id"]) == ("2.0", raised.value.code, raised.value.request_id)
    json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    return raised.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column 2"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"sesame", "line 1, column 1"),
        (b'{"sesame": sesame}', "line 1, column 12"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
        (json.dumps(CALL).encode("utf-16"), "UTF-8"),
        (b"\xef\xbb\xbf" + json.dumps(CALL).encode(), "line 1, column 1"),
        (b"NaN", "not JSON"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"v": Infinity}}', "not JSON"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"v": -Infinity}}', "not JSON"),
        (b"1" * 5000, "4,300 digits"),
        (b"[" * 100_000, "too deeply"),
        (b'{"a":' * 100_000, "too deeply"),
    ],
    ids=range(16),
)
def test_what_is_no_json_is_a_parse_error_that_names_the_place(text, told):
    error = bad(text)
    assert (error.code, error.request_id) == (PARSE, None)
    assert told in str(error)
    assert "sesame" not in str(error)


@pytest.mark.parametrize(
    ("value", "request_id"),
    [
        (None, None),
        (5, None),
        ("text", None),
        (True, None),
        ({}, None),
        ({**CALL, "jsonrpc": "1.0"}, None),
        ({**CALL, "jsonrpc": 2.0}, None),
        ([CALL], None),
        ([], None),
        ({**CALL, "id": None}, None),
        ({**CALL, "id": True}, None),
        ({**CALL, "id": 1.5}, None),
        ({**CALL, "id": [1]}, None),
        ({**CALL, "id": {}}, None),
        ({**CALL, "id": "x" * (ID_LENGTH + 1)}, None),
        ({**CALL, "id": 10**ID_LENGTH}, None),
        ({**CALL, "id": "\ud800"}, None),
        ({"jsonrpc": "2.0", "id": 7}, 7),
        ({"jsonrpc": "2.0"}, None),
        ({"jsonrpc": "2.0", "result": {}}, None),
        ({"jsonrpc": "2.0", "id": 7, "result": {}, "error": {}}, 7),
        ({**CALL, "method": None}, 1),
        ({**CALL, "method": 5}, 1),
        ({**CALL, "method": ["tools/call"]}, 1),
        ({**CALL, "method": "\ud800"}, 1),
        ({**CALL, "method": "x" * (ID_LENGTH + 1)}, 1),
        ({**CALL, "params": None}, 1),
        ({**CALL, "params": []}, 1),
        ({**CALL, "params": "sesame"}, 1),
    ],
    ids=range(29),
)
def test_what_is_no_message_is_an_invalid_request_under_its_id(value, request_id):
    error = bad(json.dumps(value).encode())
    assert (error.code, error.request_id) == (INVALID, request_id)
    assert "sesame" not in str(error)


@pytest.mark.parametrize("request_id", [0, -1, 2**63, "", "a b", "é", "x" * ID_LENGTH, 10 ** (ID_LENGTH - 1)], ids=range(8))
def test_a_request_has_its_id(request_id):
    read = message.read(json.dumps({**CALL, "id": request_id}).encode())
    assert (read.request_id, read.method, read.params) == (request_id, "tools/call", {"name": "replay"})


def test_a_notification_has_no_id_and_a_response_no_method():
    told = message.read(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    assert (told.request_id, told.method, told.params) == (None, "notifications/initialized", {})
    for answer in ({"result": {}}, {"error": {"code": 1, "message": "no"}}):
        assert message.read(json.dumps({"jsonrpc": "2.0", "id": 1, **answer}).encode()).method is None


def test_numbers_and_doubled_keys_come_as_they_are_told():
    params = message.read(b'{"jsonrpc":"2.0","method":"x","params":{"a":1,"a":9007199254740993,"b":1e400,"c":-1e400}}').params
    assert params == {"a": 9007199254740993, "b": float("inf"), "c": float("-inf")}


def test_500_levels_are_read():
    text = b'{"jsonrpc":"2.0","method":"x","params":{"a":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}}"
    assert message.read(text).method == "x"


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "x"]), inner | st.just("2.0"))
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_is_read_or_refused_by_a_message(text):
    try:
        read = message.read(text)
    except BadMessageError as error:
        assert error.answer["error"]["code"] in (PARSE, INVALID)
    else:
        assert isinstance(read.params, dict)
        assert read.method is None or isinstance(read.method, str)


@pytest.mark.parametrize("text", [b'{"jsonrpc":"2.0","method":"ping","params":{"a":[{}]}}', b'{"a":' + b"[" * 100_000, b"{", b"\xff"])
def test_the_collector_rests_while_a_message_is_read(monkeypatch, text):
    seen, loads = [], json.loads

    def watched(*args, **options):
        seen.append(gc.isenabled())
        return loads(*args, **options)

    monkeypatch.setattr(json, "loads", watched)
    with suppress(BadMessageError):
        message.read(text)
    assert not any(seen)
    assert gc.isenabled()
