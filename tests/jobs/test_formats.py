"""Inputs cut into events: every way to write them, however they are cut into chunks."""

import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jobs import formats
from gateway.jobs.formats import InputError, detect, read
from gateway.jobs.models import Format

LIMIT = 1 << 20
EVENTS = [b'{"userId":"u","x":[{"a":"}],"},{}]}', b"{}", b'{"t":"\\"]\\\\","n":{"m":[1,2]}}', b'"text, {"', b"12", b"null", b"[[],[]]"]
LAYOUTS = {
    Format.NDJSON: lambda events, gap: b"\n".join(events) + b"\n",
    Format.ARRAY: lambda events, gap: gap + b"[" + gap + (gap + b"," + gap).join(events) + gap + b"]" + gap,
    Format.BATCH: lambda events, gap: (
        b'{"a":"\\"batch\\":[","batch"' + gap + b":" + gap + b"[" + (b"," + gap).join(events) + b'],"z":[{"batch":[]}]}'
    ),
}


class Trickle(io.RawIOBase):
    """A stream that gives few bytes at a time."""

    def __init__(self, content, size):
        self._content, self._size = io.BytesIO(content), size

    def read(self, size=-1):
        return self._content.read(self._size)


def taken(content, form, limit=LIMIT, size=1 << 30):
    return list(read(Trickle(content, size), form, limit))


def members(content):
    """Several gzip members, one of them empty."""
    middle = len(content) // 2
    return gzip.compress(content[:middle], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(content[middle:], mtime=0)


PACKINGS = {"plain": bytes, "gzip": gzip.compress, "members": members, "padded": lambda content: gzip.compress(content, mtime=0) + b"\0" * 512}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
@pytest.mark.parametrize("form", LAYOUTS)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
@pytest.mark.parametrize("gap", [b"", b" ", b"\r\n\t"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 30])
def test_events_come_out_as_they_are_written(form, pack, bom, gap, size):
    content = pack(bom + LAYOUTS[form](EVENTS, gap))
    assert taken(content, form, size=size) == list(enumerate(EVENTS, 1))
    assert detect(Trickle(content, size), LIMIT) == form


strings = st.text(st.sampled_from('ab"\\,[]{}:\n é'), max_size=6)
values = st.recursive(
    st.none() | st.integers() | strings, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3), max_leaves=8
)


@given(st.lists(values, max_size=6), st.sampled_from([Format.ARRAY, Format.BATCH]), st.sampled_from([None, 1]), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_any_array_is_cut_where_its_elements_end(elements, form, indent, size):
    content = json.dumps({"batch": elements, "more": elements} if form == Format.BATCH else elements, indent=indent).encode()
    found = taken(content, form, size=size)
    assert [json.loads(text) for _, text in found] == elements
    assert [number for number, _ in found] == list(range(1, len(elements) + 1))


@pytest.mark.parametrize("indent", [None, 2])
def test_both_ways_of_cutting_agree(indent, monkeypatch):
    elements = [{"n": number, "items": [{"a": "},{"}, {"b": [{}, {}]}], "t": "x" * (number % 500)} for number in range(5000)]
    content = json.dumps(elements, indent=indent).encode()
    quick = taken(content, Format.ARRAY, size=100_000)
    monkeypatch.setattr(formats, "_TRIES", 0)
    assert quick == taken(content, Format.ARRAY, size=100_000)
    assert [json.loads(text) for _, text in quick] == elements


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b" \t\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_odd_line_ends(end, last):
    content = end.join([b"{}", b'{"a":1}', b"[]"]) + (end if last else b"")
    assert [text for _, text in taken(content, Format.NDJSON) if text] == [b"{}", b'{"a":1}', b"[]"]


def test_blank_lines_are_counted():
    assert taken(b"\n{}\n \r\n{}", Format.NDJSON) == [(1, b""), (2, b"{}"), (3, b""), (4, b"{}")]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)], ids=["empty", "bom", "gzip"])
def test_an_empty_input_has_no_lines_and_is_no_array(content):
    assert taken(content, Format.NDJSON) == []
    assert detect(io.BytesIO(content), LIMIT) == Format.NDJSON
    for form in (Format.ARRAY, Format.BATCH):
        with pytest.raises(InputError, match="after element 0"):
            taken(content, form)


def test_empty_arrays():
    assert taken(b" [ ] ", Format.ARRAY) == []
    assert taken(b'{"batch":[]}', Format.BATCH) == []


@pytest.mark.parametrize("form", LAYOUTS)
@pytest.mark.parametrize("size", [100, 1 << 30])
def test_one_that_is_too_long_is_one_fault_and_not_the_end(form, size):
    huge = b'{"a":"%b"}' % (b"x\\\\" * 5000)
    found = taken(LAYOUTS[form]([b"{}", huge, b"{}"], b""), form, limit=2000, size=size)
    assert [(number, len(text)) for number, text in found] == [(1, 2), (2, 2001), (3, 2)]
    assert huge.startswith(found[1][1])


@pytest.mark.parametrize("form", LAYOUTS)
def test_what_is_just_short_enough_is_whole(form):
    long = b'{"a":"%b"}' % (b"x" * 1992)
    assert taken(LAYOUTS[form]([long], b""), form, limit=2000, size=100) == [(1, long)]


@pytest.mark.parametrize(
    ("content", "form", "number", "what"),
    [
        (b"{}", Format.ARRAY, 0, "no array"),
        (b"[]", Format.BATCH, 0, 'no object with "batch"'),
        (b'{"a":1}', Format.BATCH, 0, 'has no "batch"'),
        (b'{"batch":{}}', Format.BATCH, 0, 'has no "batch"'),
        (b"[{},{}", Format.ARRAY, 1, "too early"),
        (b"[{},{", Format.ARRAY, 1, "too early"),
        (b'[{},{"a":"', Format.ARRAY, 1, "too early"),
        (b'[{},{"a":"\\', Format.ARRAY, 1, "too early"),
        (b"[{},{}]]", Format.ARRAY, 2, "more text"),
        (b"[{}][{}]", Format.ARRAY, 1, "more text"),
        (b"[{},{}}", Format.ARRAY, 2, "wrong bracket"),
        (b'{"batch":[{}]', Format.BATCH, 1, "too early"),
        (b'{"batch":[{}]]', Format.BATCH, 1, "does not go on"),
        (b'{"batch":[{}] 1}', Format.BATCH, 1, "does not go on"),
        (b'{"batch":[{}],"batch":[{}]}', Format.BATCH, 1, "second"),
        (b'{"batch":[{}],"b\\u0061tch":[{}]}', Format.BATCH, 1, "second"),
        (b'{"batch":[{}]}{}', Format.BATCH, 1, "more text"),
        (b'{"ba', Format.BATCH, 0, "key has no end"),
        (b'{"batch"}', Format.BATCH, 0, "key has no value"),
        (b'{"\\q":1}', Format.BATCH, 0, "key is no string"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 30])
def test_broken_framing_ends_with_its_place(content, form, number, what, size):
    found = []
    with pytest.raises(InputError, match=what) as raised:
        found.extend(read(Trickle(content, size), form, LIMIT))
    assert raised.value.reason == "broken_input"
    assert f"after element {number}." in str(raised.value)


@pytest.mark.parametrize("element", [b"", b"nonsense", b'{"a":1]', b"{} {}", b'{"a":}'])
def test_a_broken_element_within_good_framing_is_handed_on(element):
    assert taken(b"[{},%b,{}]" % element, Format.ARRAY) == [(1, b"{}"), (2, element), (3, b"{}")]


@pytest.mark.parametrize("form", LAYOUTS)
def test_a_cut_gzip_gives_what_is_before_the_cut(form):
    whole = gzip.compress(LAYOUTS[form]([b'{"n":%d}' % number for number in range(100_000)], b""), 0, mtime=0)
    found = []
    with pytest.raises(InputError, match=r"The gzip is cut, after (line|element) [\d,]+\.$"):
        for pair in read(io.BytesIO(whole[:-100]), form, LIMIT):
            found.append(pair)
    assert found[:2] == [(1, b'{"n":0}'), (2, b'{"n":1}')]
    assert len(found) > 90_000


def test_a_broken_gzip_is_told():
    packed = gzip.compress(b"{}\n" * 100, mtime=0)
    for content in (packed + b"garbage", packed[:-8] + b"12345678", packed[:5]):
        with pytest.raises(InputError, match="gzip"):
            taken(content, Format.NDJSON)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b'{"userId":"u"}', Format.NDJSON),
        (b'{"batch":[{}]}\n{"batch":[{}]}', Format.NDJSON),
        (b'{"a":{"batch":[]}}', Format.NDJSON),
        (b'{"a":1,\n "batch": [\n{}', Format.NDJSON),
        (b"nonsense", Format.NDJSON),
        (b'\n\n {"b\\u0061tch":[{}]}\n', Format.BATCH),
        (b'{"batch":[%b]}' % b",".join([b"{}"] * 1_000_000), Format.BATCH),
        (b"\r\n[", Format.ARRAY),
    ],
)
def test_the_format_is_found_by_the_first_value_and_whether_more_follow(content, form):
    assert detect(io.BytesIO(content), 100_000) == form


@pytest.mark.parametrize("form", LAYOUTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_memory_is_bounded(form, pack):
    content = pack(LAYOUTS[form]([b'{"a":"%b"}' % (b"x" * 1000)] * 20_000, b""))
    stream = io.BytesIO(content)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(stream, form, LIMIT)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", LAYOUTS)
def test_memory_is_bounded_in_one_endless_event(form):
    content = LAYOUTS[form]([b'{"a":"%b"}' % (b"x" * 20_000_000)], b"")
    tracemalloc.start()
    try:
        assert [len(text) for _, text in read(io.BytesIO(content), form, LIMIT)] == [LIMIT + 1]
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("form", "start", "rest"),
    [
        (Format.NDJSON, b"{}\n", b"a" * 2_000_000),
        (Format.ARRAY, b"[{},", b" " * 2_000_000),
        (Format.ARRAY, b"[{},", b'"' + b"a" * 2_000_000),
        (Format.ARRAY, b"[{},", b"[" * 400_000),
    ],
    ids=["line", "spaces", "string", "brackets"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_event_that_does_not_end_is_not_read_for_hours(monkeypatch, form, start, rest, packed):
    monkeypatch.setattr(formats, "_LONGEST", 1 << 20)
    content = gzip.compress(start + rest) if packed else start + rest
    found = []
    with pytest.raises(InputError, match=r"^No event ends within 1 MiB, after (line|element) 1\.$") as error:
        found.extend(one for one in read(io.BytesIO(content), form, 100))
    assert error.value.reason == "broken_input"


def test_members_of_a_gzip_that_hold_nothing_are_not_read_for_hours(monkeypatch):
    monkeypatch.setattr(formats, "_LONGEST", 1 << 20)
    with pytest.raises(InputError, match="No event ends"):
        list(read(io.BytesIO(gzip.compress(b"") * 1000), Format.NDJSON, 100))
    assert detect(io.BytesIO(gzip.compress(b" " * 2_000_000 + b"[")), 100) == Format.NDJSON


def test_much_that_ends_now_and_then_is_read_to_the_end(monkeypatch):
    monkeypatch.setattr(formats, "_LONGEST", 1 << 20)
    long = b"a" * 700_000
    assert [len(text) for _, text in taken(b"\n".join([long] * 5), Format.NDJSON, limit=10, size=1 << 16)] == [11] * 5
    assert len(taken(b'["%b"]' % b'","'.join([long] * 5), Format.ARRAY, limit=10, size=1 << 16)) == 5
