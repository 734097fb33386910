"""JSON as RudderStack reads it: strict grammar on bytes, UTF-8 unchecked, every key kept in order, so that doubled keys can be told."""

import gc
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from operator import add
from typing import Final, TypeVar, cast

_T = TypeVar("_T")

MAX_DEPTH: Final = 1000
"""Nesting that this gateway lets through: RudderStack takes quadratic time (100,000 levels: 25 s of a core)."""

Object = tuple[tuple[str, object], ...]
"""A JSON object: its pairs in order, doubled keys included. A JSON array is a `list`, so the two are never confused."""


class NotJsonError(ValueError):
    """The text is not JSON; `position` counts bytes from 0."""

    def __init__(self, what: str, position: int | None) -> None:
        super().__init__(what)
        self.what = what
        self.position = position


_NUMBER_PARTS: Final = bytes({**dict.fromkeys(b"0123456789", 48), **dict.fromkeys(b"eE", 101), 43: 43}.get(code, 32) for code in range(256))
_LONG: Final = b"0" * 200
SHORTEST_OVERFLOW: Final = len("1e309")
"""Numbers of fewer characters fit a double."""
_INFINITE: Final = (float("inf"), float("-inf"))
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_BITS: Final = bytes.maketrans(b"[{]}", b"1100")
_EIGHT_STEPS: Final = [[1 if code >> bit & 1 else -1 for bit in range(7, -1, -1)] for code in range(256)]
_RISE: Final = [sum(steps) for steps in _EIGHT_STEPS]
_PEAK: Final = [max(accumulate(steps)) for steps in _EIGHT_STEPS]
_PIECE: Final = 256
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def depth(text: bytes, enough: int = 0) -> int:
    """How deeply arrays and objects are nested; for text that is no JSON, an upper bound, as also if that bound is `enough`."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = text.translate(None, _ALL_BUT_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(brackets.split(b'"')[::2])
    bits = brackets.translate(_BITS)
    if (bound := _depth_bound(bits)) <= enough:
        return bound
    # Eight brackets to the byte, an opening one being a 1: an eighth of the steps to add up.
    size = -(-len(bits) // 8)
    eights = int(bits.ljust(8 * size, b"0") or b"0", 2).to_bytes(size, "big")
    levels = accumulate(map(_RISE.__getitem__, eights), initial=0)
    return max(0, max(map(add, levels, map(_PEAK.__getitem__, eights)), default=0))


def _depth_bound(bits: bytes) -> int:
    """No more than this deep: as if in each piece all opening brackets came first."""
    level = bound = 0
    for start in range(0, len(bits), _PIECE):
        opened = bits.count(b"1", start, start + _PIECE)
        bound = max(bound, level + opened)
        level += 2 * opened - _PIECE
    return bound


class TooDeepError(Exception):
    """The text is nested deeper than allowed."""


class _DeepStack:
    """Python's recursion limit, raised for a while. It holds for all threads, so others must know that it was: `count` is odd while raised."""

    def __init__(self) -> None:
        self.count = 0
        self._one_at_a_time = threading.Lock()

    def run(self, levels: int, work: Callable[[], _T]) -> _T:
        """Run `work` in a thread whose stack allows for `levels`. Raises what `work` raises."""
        with self._one_at_a_time, ThreadPoolExecutor(1) as threads:
            limit, size = sys.getrecursionlimit(), threading.stack_size()
            self.count += 1
            try:
                sys.setrecursionlimit(max(limit, levels + 500))
                threading.stack_size(16 * 1024 * 1024 + 1024 * levels)
                return threads.submit(work).result()
            finally:
                threading.stack_size(size)
                sys.setrecursionlimit(limit)
                self.count += 1


_deep_stack: Final = _DeepStack()
_LIMIT_COUNTS_C: Final = sys.version_info < (3, 12)
"""Later Pythons count the levels of their C code apart from the recursion limit: there every text is measured."""


def flat(text: bytes, work: Callable[[bytes], _T]) -> _T:
    """`work(text)`, if the text is surely nested no deeper than `MAX_DEPTH`; else RecursionError.

    Python's own limit sees to that, as long as it is the usual 1,000: the decoders count their levels against it.
    """
    before = _deep_stack.count
    result = work(text)
    usual = _LIMIT_COUNTS_C and before % 2 == 0 and before == _deep_stack.count and sys.getrecursionlimit() <= MAX_DEPTH
    if not usual and depth(text) > MAX_DEPTH:
        raise RecursionError
    return result


_SHALLOW: Final = 500
"""Levels that fit Python's usual recursion limit wherever the gateway decodes."""


def judged(text: bytes, max_depth: int | None, work: Callable[[bytes], _T]) -> _T:
    """`work(text)`, where `work` decodes. Raises TooDeepError beyond `max_depth`; None reads any depth. Else what `work` raises.

    Only deep text costs a thread with a larger stack. Text that is too deep is tried all the same: it may be no JSON before it is deep.
    """
    levels = depth(text, enough=_SHALLOW)
    too_deep = max_depth is not None and levels > max_depth
    if levels <= _SHALLOW or too_deep or max_depth is None:
        try:
            result = work(text)
            if not too_deep:
                return result
        except RecursionError:
            pass
        if too_deep:
            raise TooDeepError
    return _deep_stack.run(levels, lambda: work(text))


class _Collector:
    """Python's cyclic garbage collector, off while anybody is within `uncollected`."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._within = 0
        self._was_on = False

    def pause(self, step: int) -> None:
        """One more (1) or one less (-1) that wants it off."""
        with self._mutex:
            if self._within == 0:
                self._was_on = gc.isenabled()
            self._within += step
            if self._within:
                gc.disable()
            elif self._was_on:
                gc.enable()


_collector: Final = _Collector()


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's cyclic garbage collector: JSON has no cycles, and to look for them takes most of the time."""
    _collector.pause(1)
    try:
        yield
    finally:
        _collector.pause(-1)


def decode(text: bytes) -> object:
    """The value of `text`: Object, list, str, bool, None, or bytes: a number as it is written.

    Raises NotJsonError; RecursionError for deep text.
    """
    characters = text.decode("utf-8", "surrogateescape")
    try:
        return json.loads(
            characters,
            object_pairs_hook=tuple,
            parse_constant=_refuse_constant,
            parse_float=str.encode,
            parse_int=str.encode,
        )
    except _ConstantError as error:
        raise NotJsonError(f"{error} is no JSON number", None) from None
    except JSONDecodeError as error:
        position = len(characters[: error.pos].encode("utf-8", "surrogateescape"))
        raise NotJsonError(_explain(error.msg, text, position), position) from None


def may_overflow(text: bytes) -> bool:
    """Whether a number beyond a double can be in it: it takes a positive exponent of three digits, or a long number. Never wrongly False."""
    numbers = text.translate(_NUMBER_PARTS)
    return b"0e000" in numbers or b"0e+000" in numbers or _LONG in numbers


def overflows(number: bytes) -> bool:
    """Whether no double holds it."""
    # A short number with a negative exponent is not even read: that takes long.
    return (len(number) >= len(_LONG) or number.rfind(b"-") < 1) and float(number) in _INFINITE


def _refuse_constant(name: str) -> object:
    raise _ConstantError(name)


class _ConstantError(Exception):
    """NaN or an infinity, which Python's json takes and JSON has not."""


def _explain(message: str, text: bytes, position: int) -> str:
    if position >= len(text):
        return "the body is empty" if not text or text.isspace() else "the text ends too early"
    return message[:1].lower() + message[1:].removesuffix(":").removesuffix(" at")


def spans(text: str, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Of the object or array that starts at `start` of valid JSON: each key or index, with where its value starts and ends, in characters."""
    scan = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str).raw_decode
    start = _skip_space(text, start)
    keyed, index = text[start] == "{", 0
    position = _skip_space(text, start + 1)
    while text[position] not in "]}":
        key = str(index)
        if keyed:
            key, position = cast(tuple[str, int], scanstring(text, position + 1))
            position = _skip_space(text, _skip_space(text, position) + 1)
        _, end = scan(text, position)
        yield key, position, end
        index += 1
        position = _skip_space(text, end)
        if text[position] == ",":
            position = _skip_space(text, position + 1)


def _skip_space(text: str, position: int) -> int:
    return cast(re.Match[str], _SPACE.match(text, position)).end()


def firsts(pairs: Object) -> dict[str, object]:
    """The pairs, of doubled keys the first."""
    return dict(reversed(pairs))


def first(pairs: Object, key: str) -> object:
    """The value of the first `key`, or None: RudderStack's events count the first of doubled keys."""
    for name, value in pairs:
        if name == key:
            return value
    return None
