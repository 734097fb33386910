"""This gateway's own limit of nesting holds whatever Python's recursion limit is just then."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.body import Body
from gateway.contract.decoding import decode, flat, judged
from gateway.operations import OPERATIONS

EXTRACT, REPLAY = OPERATIONS["extract"], OPERATIONS["replay"]


def nested(levels):
    """A good extract of so many levels."""
    return b'{"a":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"


def outcome(levels, operation=EXTRACT, text=None):
    """What the two checks say: (quick says yes, exact accepts, reasons of its own)."""
    body = Body.of(text or nested(levels))
    quick = body.quick(operation) is not None
    verdict = body.exact(operation)
    return quick, verdict.accepted, [fault.reason for fault in verdict.own]


ACCEPTED, TOO_DEEP = (True, []), (False, True, ["too_deep"])


@pytest.mark.parametrize("levels", [1, 2, 100, 990, 999, 1000])
def test_nesting_up_to_1000_is_accepted(levels):
    assert outcome(levels)[1:] == ACCEPTED


@pytest.mark.parametrize("levels", [1001, 1002, 1500, 10_000, 100_000])
def test_nesting_over_1000_is_a_fault_of_our_own(levels):
    assert outcome(levels) == TOO_DEEP


def test_the_fault_names_the_limit():
    (fault,) = Body.of(nested(1001)).exact(EXTRACT).own
    assert fault.pointer == ""
    assert "1,000" in fault.detail
    assert fault.cure


def test_brackets_in_strings_are_no_nesting():
    assert outcome(1, text=b'{"a":"' + b"[" * 5000 + b'"}') == (True, *ACCEPTED)


def test_all_levels_count_those_of_the_batch_too():
    inner = b"[" * 997 + b"]" * 997
    assert outcome(0, REPLAY, b'{"batch":[{"userId":"u","a":' + inner + b"}]}")[1:] == ACCEPTED
    assert outcome(0, REPLAY, b'{"batch":[{"userId":"u","a":[' + inner + b"]}]}") == TOO_DEEP


@pytest.mark.parametrize("operation", ["audiencelist", "replay", "retl"])
def test_upstream_takes_any_depth(operation):
    event = b'{"userId":"u","a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    text = event if operation == "audiencelist" else b'{"batch":[' + event + b"]}"
    assert Body.of(text).exact(OPERATIONS[operation], max_depth=None).accepted


def test_upstream_ends_at_10_000_levels_on_an_internal_batch():
    def verdict(levels):
        text = b'[{"payload":{"a":' + b"[" * (levels - 3) + b"]" * (levels - 3) + b"}}]"
        return Body.of(text).exact(OPERATIONS["internalbatch"], max_depth=None)

    assert verdict(10_000).reason == "missing_field"
    assert verdict(10_001).reason == "invalid_json"


def with_frames_left(left, work):
    """Run `work` where only about `left` more frames fit, as under a tower of middleware."""
    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1

    def deeper(frames):
        return work() if frames <= 0 else deeper(frames - 1)

    return deeper(sys.getrecursionlimit() - used - left)


@pytest.mark.parametrize("left", [60, 100, 300, 600])
def test_the_limit_is_the_same_on_a_deep_stack(left):
    for levels in (1, 50, 100, 250, 400, 700, 999, 1000):
        assert with_frames_left(left, lambda levels=levels: outcome(levels))[1:] == ACCEPTED, levels
    for levels in (1001, 5000):
        assert with_frames_left(left, lambda levels=levels: outcome(levels)) == TOO_DEEP, levels


def test_the_limit_is_the_same_in_a_fresh_thread():
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(outcome, 1000).result()[1:] == ACCEPTED
        assert threads.submit(outcome, 1001).result() == TOO_DEEP


def test_the_limit_is_the_same_under_a_raised_recursion_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        assert outcome(1000) == (True, *ACCEPTED)
        assert outcome(1001) == TOO_DEEP
    finally:
        sys.setrecursionlimit(limit)


def test_the_limit_is_the_same_while_others_decode_very_deep_text():
    deep, stop, judged = nested(5000), threading.Event(), []

    def decode_deep():
        while not stop.is_set():
            judged.append(Body.of(deep).exact(EXTRACT, max_depth=None).accepted)

    others = [threading.Thread(target=decode_deep) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        rounds = 0
        while rounds < 200 or len(judged) < 20:
            assert outcome(1001) == TOO_DEEP
            assert outcome(1000)[1:] == ACCEPTED
            assert Body.of(nested(1500)).quick(EXTRACT) is None
            rounds += 1
    finally:
        stop.set()
        for thread in others:
            thread.join()
    assert all(judged)


def test_a_limit_that_was_raised_meanwhile_proves_nothing():
    def work(text):
        judged(nested(5000), None, decode)  # raises it and puts it back
        return "yes"

    assert flat(nested(1000), work) == "yes"
    with pytest.raises(RecursionError):
        flat(nested(1001), work)


def test_the_recursion_limit_and_the_stack_size_are_put_back():
    before = sys.getrecursionlimit(), threading.stack_size()
    assert Body.of(nested(20_000)).exact(EXTRACT, max_depth=None).accepted
    assert Body.of(nested(20_000) + b"x").exact(EXTRACT, max_depth=None).reason == "invalid_json"
    assert (sys.getrecursionlimit(), threading.stack_size()) == before


def test_decoding_never_lowers_the_recursion_limit_for_other_threads():
    lowest, stop = [sys.getrecursionlimit()], threading.Event()

    def watch():
        while not stop.is_set():
            lowest.append(min(lowest.pop(), sys.getrecursionlimit()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(50):
            with_frames_left(300, lambda: outcome(350))
    finally:
        stop.set()
        watcher.join()
    assert lowest == [sys.getrecursionlimit()]


def test_size_is_counted_in_deeply_nested_extracts_too():
    filled = b'{"a":' + b"[" * 999 + b"]" * 999 + b',"p":"%s"}'
    room = EXTRACT.size_limit - len(filled % b"") - 21 - len(',"type":"extract"')
    assert Body.of(filled % (b"x" * room)).exact(EXTRACT).accepted
    assert Body.of(filled % (b"x" * (room + 1))).exact(EXTRACT).status == 413


def test_escaped_times_are_found_beside_deeply_nested_payloads():
    text = b'[{"payload":{"a":' + b"[" * 997 + b"]" * 997 + b'},"properties":{"receivedAt":"2026-01-02T03:04:05\\u005a"}}]'
    verdict = Body.of(text).exact(OPERATIONS["internalbatch"])
    assert "bad_time" in [fault.reason for fault in verdict.faults]


@given(st.lists(st.sampled_from([b"[", b'{"a":']), min_size=990, max_size=1010))
@settings(max_examples=50, deadline=None)
def test_arrays_and_objects_count_alike(opened):
    closed = (b"]" if bracket == b"[" else b"}" for bracket in reversed(opened))
    text = b'{"a":' + b"".join(opened) + b"1" + b"".join(closed) + b"}"
    assert outcome(0, text=text)[1:] == (ACCEPTED if len(opened) < 1000 else TOO_DEEP[1:])
