"""JSON as RudderStack reads it."""

import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.decoding import (
    MAX_DEPTH,
    NotJsonError,
    TooDeepError,
    decode,
    depth,
    first,
    firsts,
    judged,
    may_overflow,
    overflows,
    spans,
    uncollected,
)

texts = st.text() | st.text(alphabet='[]{}",:\\ab\n')
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20)
layouts = st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":")}, {"separators": (" , ", "\t:\r\n")}])


def plain(value):
    if isinstance(value, tuple):
        return {key: plain(item) for key, item in value}
    if isinstance(value, bytes):
        return json.loads(value)
    return [plain(item) for item in value] if isinstance(value, list) else value


@given(values, layouts)
@settings(max_examples=300, deadline=None)
def test_decodes_what_json_writes(value, layout):
    assert plain(decode(json.dumps(value, **layout).encode())) == value


def test_keeps_doubled_keys_in_order():
    pairs = decode(b'{"a": 1, "b": [], "\\u0061": {}}')
    assert pairs == (("a", b"1"), ("b", []), ("a", ()))
    assert first(pairs, "a") == b"1"
    assert first(pairs, "c") is None
    assert firsts(pairs) == {"a": b"1", "b": []}


def test_does_not_mind_bad_utf8_and_lone_surrogates():
    assert decode(b'"\xff\xc3"') == "\udcff\udcc3"
    assert decode(rb'"\ud800"') == "\ud800"


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "1E+309", "1.8e308", "1" + "0" * 309, "-" + "9" * 400 + ".5", "9" * 5000])
def test_a_number_beyond_a_double_is_told(literal):
    assert decode(f'{{"a": [{literal}]}}'.encode()) == (("a", [literal.encode()]),)
    assert overflows(literal.encode())
    assert may_overflow(literal.encode())


@pytest.mark.parametrize(
    "literal", ["1e308", "1.7976931348623157e308", "1e-400", "0e999", "-0", "9007199254740993", "1" + "0" * 308, "-1e-999", "1E-5", "0"]
)
def test_a_number_that_a_double_holds_is_kept_as_it_is_written(literal):
    assert decode(literal.encode()) == literal.encode()
    assert not overflows(literal.encode())


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
@settings(max_examples=500, deadline=None)
def test_a_number_overflows_as_float_says(literal):
    assert overflows(literal.encode()) == (float(literal) in (float("inf"), float("-inf")))
    assert may_overflow(literal.encode()) or not overflows(literal.encode())


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
@settings(max_examples=200, deadline=None)
def test_a_text_that_may_not_overflow_does_not(number):
    digits = f"{number}e{number}" if isinstance(number, int) and number > 308 else json.dumps(number)
    try:
        overflows = float(digits) in (float("inf"), float("-inf"))
    except OverflowError:
        overflows = True
    assert may_overflow(digits.encode()) or not overflows


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b"", 0),
        (b" \n ", 3),
        (b"\xef\xbb\xbf{}", 0),
        (b"{} x", 3),
        (b"[1,]", 3),
        (b'{"a":1,}', 7),
        (b"{'a':1}", 1),
        (b'{"a" 1}', 5),
        (b"[01]", 2),
        (b"[+1]", 1),
        (b"[.5]", 1),
        (b"[tru]", 1),
        (b'["a\nb"]', 3),
        (b'["a\x00b"]', 3),
        (b'["\\x"]', 2),
        (b'["\\u12g4"]', 3),
        (b'["abc', 1),
        ('["é日🙂", x]'.encode(), 14),
        ('{"é": "日" "a"}'.encode(), 13),
        (b'["\xff\xfe", x]', 7),
        (b"\x85[]", 0),
        (b"\xc2\xa0[]", 0),
    ],
)
def test_tells_in_bytes_where_it_is_no_json(text, position):
    with pytest.raises(NotJsonError) as refused:
        decode(text)
    assert refused.value.position == position
    assert refused.value.what


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_has_not_are_refused(name):
    with pytest.raises(NotJsonError, match=name):
        decode(f'{{"a": [{name}]}}'.encode())


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\01eE.+-tn u', max_size=40).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_decoded_or_named_no_json(text):
    try:
        value = decode(text)
    except NotJsonError as error:
        assert error.position is None or 0 <= error.position <= len(text)
    else:
        json.dumps(plain(value), default=str)


def reference_depth(text):
    deepest = level = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside, escaped = True, False
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


@given(values, layouts)
@settings(max_examples=400, deadline=None)
def test_depth_counts_the_nesting_and_no_brackets_in_strings(value, layout):
    text = json.dumps(value, **layout)
    assert depth(text.encode()) == reference_depth(text)


@pytest.mark.parametrize("text", [rb'"["', rb'["["]', rb'["\\", "["]', rb'["\"[[", {"]": "\\\"{"}]', rb'["", "\\\\\"[", []]', rb'["a[","]b",[]]'])
def test_depth_of_strings_with_brackets(text):
    assert depth(text) == reference_depth(text.decode())


@given(st.text(alphabet='[{}]"\\a'))
@settings(max_examples=300, deadline=None)
def test_depth_is_never_less_than_what_the_decoder_meets(text):
    met = 0
    try:
        json.loads(text)
        met = reference_depth(text)
    except json.JSONDecodeError as error:
        met = reference_depth(text[: error.pos])
    assert depth(text.encode()) >= met


@given(st.text(alphabet="[]", max_size=2000), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_a_depth_that_is_enough_is_never_less(text, level):
    text = b"[" * level + text.encode()
    for enough in (0, level, level + 300):
        assert depth(text) == depth(text, enough) or depth(text) <= depth(text, enough) <= enough


@pytest.mark.parametrize("levels", [1, 500, 1000])
def test_nesting_up_to_the_limit_is_decoded(levels):
    value = judged(b"[" * levels + b"]" * levels, MAX_DEPTH, decode)
    for _ in range(levels - 1):
        (value,) = value
    assert value == []


def test_nesting_over_the_limit_is_refused_unless_any_is_asked_for():
    text = b'{"a":' * 1001 + b"1" + b"}" * 1001
    with pytest.raises(TooDeepError):
        judged(text, MAX_DEPTH, decode)
    value = judged(text, None, decode)
    for _ in range(1001):
        ((_, value),) = value
    assert value == b"1"


def test_a_fault_in_very_deep_text_is_still_named():
    with pytest.raises(NotJsonError) as refused:
        judged(b"[" * 50_000 + b"x", None, decode)
    assert refused.value.position == 50_000


@given(st.lists(values, max_size=5) | st.dictionaries(texts, values, max_size=5), layouts, st.sampled_from(["", " ", "\n\t"]))
@settings(max_examples=200, deadline=None)
def test_spans_cut_out_each_value(value, layout, space):
    text = space + json.dumps(value, **layout) + space
    found = [(key, json.loads(text[start:end])) for key, start, end in spans(text)]
    assert found == (list(value.items()) if isinstance(value, dict) else [(str(index), item) for index, item in enumerate(value)])


def test_spans_walk_doubled_keys_and_start_anywhere():
    text = 'x [ {"a" : 1e400, "\\u0061": "}" } ]'
    ((index, start, end),) = spans(text, 2)
    assert (index, text[start:end]) == ("0", '{"a" : 1e400, "\\u0061": "}" }')
    assert [(key, text[begin:stop]) for key, begin, stop in spans(text, start)] == [("a", "1e400"), ("a", '"}"')]


def test_the_garbage_collector_is_put_back():
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            with pytest.raises(KeyError), uncollected():
                assert not gc.isenabled()
                raise KeyError
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
