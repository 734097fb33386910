"""Bodies made to be slow: whatever they are, they are judged, and as a plain reading of them says. What they cost is measured elsewhere."""

import gzip
import json
import tracemalloc

import pytest

from gateway.contract.body import Body
from gateway.contract.decoding import MAX_DEPTH, decode
from gateway.contract.faults import MAX_FAULTS
from gateway.contract.visible import is_blank
from gateway.operations import OPERATIONS, Shape
from tests.contract import hostile
from tests.contract.hostile import FAMILIES, GZIP_FAMILIES

PLAIN = {name: (make, "") for name, make in FAMILIES.items()}
PACKED = {name: (make, "gzip") for name, make in GZIP_FAMILIES.items()}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A tenth of the size is judged by the same rules, in a tenth of the time."""
    monkeypatch.setattr(hostile, "SIZE", hostile.SIZE // 10)


@pytest.mark.parametrize(("make", "encoding"), (PLAIN | PACKED).values(), ids=PLAIN | PACKED)
def test_any_hostile_body_is_judged(make, encoding):
    text = make()
    for operation in OPERATIONS.values():
        body = Body.of(text, encoding)
        verdict, quick = body.exact(operation), body.quick(operation)
        assert verdict.accepted == (not verdict.faults)
        assert len(verdict.faults) <= MAX_FAULTS
        assert len(verdict.own) <= MAX_FAULTS
        if quick is not None and verdict.accepted and not verdict.own:
            exact = verdict.reading
            assert (quick.events, quick.job_run_id, dict(quick.sources)) == (exact.events, exact.job_run_id, dict(exact.sources))


@pytest.mark.parametrize("name", [name for name in FAMILIES if "nest" not in name])
def test_a_hostile_body_is_json_if_python_reads_it(name):
    text = FAMILIES[name]()
    try:
        value = plainly_read(text)
    except ValueError:
        assert {Body.of(text).exact(operation).reason for operation in OPERATIONS.values()} == {"invalid_json"}
        return
    assert decode(text) == value
    for operation in OPERATIONS.values():
        verdict = Body.of(text).exact(operation)
        assert verdict.reason != "invalid_json"
        assert verdict.reading.events == events_of(operation, value)
        if operation.name == "replay" and len(users := faulty_events(value)) < MAX_FAULTS:
            assert len([fault for fault in verdict.faults if fault.reason in ("missing_user", "not_an_event")]) == len(users)


def plainly_read(text):
    def refuse(name):
        raise ValueError(name)

    characters = text.decode("utf-8", "surrogateescape")
    return json.loads(characters, object_pairs_hook=tuple, parse_constant=refuse, parse_float=str.encode, parse_int=str.encode)


def events_of(operation, value):
    if operation.shape is Shape.EVENT:
        return 0 if isinstance(value, list) else 1
    if operation.shape is Shape.MESSAGES:
        return len(value) if isinstance(value, list) else 0
    return len(batch_of(value))


def batch_of(value):
    batch = first(value, "batch") if isinstance(value, tuple) else None
    return batch if isinstance(batch, list) else [] if batch is None else [batch]


def first(pairs, key):
    return next((item for name, item in pairs if name == key), None)


def faulty_events(value):
    def is_user(found):
        return found is not None and not (isinstance(found, str) and is_blank(found))

    def is_good(event):
        return isinstance(event, tuple) and (
            any(is_user(first(event, key)) for key in ("userId", "anonymousId")) or first(event, "type") in ("record", "extract")
        )

    return [event for event in batch_of(value) if not is_good(event)]


@pytest.mark.parametrize("name", [name for name in FAMILIES if "nest" in name])
def test_a_hostile_nest_is_too_deep_or_no_json_or_read(name):
    text = FAMILIES[name]()
    for operation in OPERATIONS.values():
        verdict = Body.of(text).exact(operation)
        if verdict.own and verdict.own[0].reason == "too_deep":
            assert text.count(b"[") + text.count(b"{") > MAX_DEPTH
        elif verdict.reason == "invalid_json":
            with pytest.raises((ValueError, RecursionError)):
                json.loads(text)


@pytest.mark.parametrize("name", ["messages of {}", "messages good", "events of number users", "text of NUL", "broken at the end, objects"])
def test_a_packed_body_is_judged_as_it_is_unpacked(name):
    text = FAMILIES[name]()
    for operation in OPERATIONS.values():
        assert Body.of(gzip.compress(text, 1, mtime=0), "gzip").exact(operation) == Body.of(text).exact(operation)


@pytest.mark.parametrize("name", ["keys, long, of overflows", "keys, long, of nested overflows"])
def test_what_is_kept_of_a_place_is_as_short_as_what_is_shown(name):
    """A long key before many numbers beyond a double would else be copied for each."""
    text = FAMILIES[name]()
    tracemalloc.start()
    try:
        faults = Body.of(text).exact(OPERATIONS["audiencelist"]).faults
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(len(fault.pointer) <= 401 for fault in faults)
    assert peak < 200_000_000


@pytest.mark.parametrize("validation", ["decoding", "validating"])
def test_sources_are_complete_behind_a_hundred_faults(validation):
    fault = b"0" if validation == "decoding" else b"{}"
    text = b"[" + b",".join([fault] * 150 + [b'{"Properties":{"SOURCEID":"a"}}', b"null", b'{"properties":{"sourceID":"b","sourceid":null}}']) + b"]"
    verdict = Body.of(text).exact(OPERATIONS["internalbatch"])
    assert dict(verdict.reading.sources) == {"": 0, "a": 150, "b": 152}
    assert list(verdict.reading.sources) == ["b", "", "a"]
    assert verdict.reading.events == 153
