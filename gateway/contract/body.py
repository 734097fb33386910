"""A request body: read, unpacked, digested and parsed at most once, each when it is first asked for."""

import sys
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final

from gateway.contract.decoding import MAX_DEPTH, NotJsonError, TooDeepError, decode, depth, judged, uncollected
from gateway.contract.events import check_events
from gateway.contract.faults import Fault
from gateway.contract.messages import MAX_DEPTH as MESSAGES_DEPTH
from gateway.contract.messages import check_messages, decode_messages
from gateway.contract.quick import quick_check
from gateway.contract.reading import Reading
from gateway.contract.verdict import Verdict
from gateway.operations import Operation, Shape

GZIP: Final = "gzip"
"""The one Content-Encoding that RudderStack undoes, in exactly these letters; it ignores any other name and reads the bytes as they are."""

_PIECE: Final = 1024
"""Bytes unpacked at a time: what is left of a piece after a member's end is copied, and there can be many members in it."""


class BodyTooLargeError(Exception):
    """The body, as received or unpacked, has more bytes than `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BrokenGzipError(Exception):
    """The body is named gzip and is none, or is cut, or goes on after its end."""


class Body:
    """The bytes of one request. `read` is called once, when they are first needed; `cap` bounds the unpacked bytes (None: no bound)."""

    def __init__(self, read: Callable[[], bytes], encoding: str = "", cap: int | None = None) -> None:
        self._read = read
        self._encoding = encoding.strip()
        self._cap = cap
        # Not functools.cached_property: up to Python 3.11 it holds one lock for all bodies, and a stalled upload would hold it.
        self._received: bytes | None = None
        self._digest: str | None = None
        self._text: bytes | None = None
        self._verdicts: dict[tuple[str, int | None], Verdict] = {}

    @classmethod
    def of(cls, received: bytes, encoding: str = "", cap: int | None = None) -> "Body":
        """A body whose bytes are there already."""
        return cls(lambda: received, encoding, cap)

    @property
    def was_read(self) -> bool:
        """Whether anybody has asked for the bytes yet."""
        return self._received is not None

    @property
    def received(self) -> bytes:
        """The bytes as they came and as they are sent on. Raises what the door's reader raises."""
        if self._received is None:
            self._received = self._read()
        return self._received

    @property
    def digest(self) -> str:
        """SHA-256 of the received bytes, in hexadecimal."""
        if self._digest is None:
            self._digest = sha256(self.received).hexdigest()
        return self._digest

    @property
    def text(self) -> bytes:
        """The bytes that RudderStack will parse. Raises BodyTooLargeError, BrokenGzipError."""
        if self._text is None:
            self._bound(len(self.received))
            self._text = self._unpack() if self._encoding == GZIP else self.received
        return self._text

    def quick(self, operation: Operation) -> Reading | None:
        """The quick check: a reading means that RudderStack accepts; None means that the exact check must tell. Raises BodyTooLargeError."""
        try:
            text = self.text
        except BrokenGzipError:
            return None
        with uncollected():
            return quick_check(operation, text)

    def exact(self, operation: Operation, max_depth: int | None = MAX_DEPTH) -> Verdict:
        """RudderStack's decision and every fault. Raises BodyTooLargeError.

        Text nested deeper than `max_depth` is not parsed: its one fault is the gateway's own. None reads any depth, as RudderStack does.
        """
        asked = operation.name, max_depth
        if asked not in self._verdicts:
            self._verdicts[asked] = self._judge(operation, max_depth)
        return self._verdicts[asked]

    def _judge(self, operation: Operation, max_depth: int | None) -> Verdict:
        try:
            text = self.text
        except BrokenGzipError:
            return _single("broken_gzip", "The body is named gzip but cannot be unpacked.", "Send one whole gzip stream, or drop Content-Encoding.")
        try:
            with uncollected():
                return judged(text, max_depth, lambda text: _check(operation, text, max_depth))
        except TooDeepError:
            return Verdict(Reading(0), own=(Fault("", "too_deep", f"Nesting of more than {max_depth:,} levels.", "Send flatter data."),))
        except NotJsonError as error:
            cure = "Send JSON as RFC 8259 has it."
            if self._encoding not in ("", GZIP, "identity") or text.startswith(b"\x1f\x8b"):
                cure = "Of all content encodings RudderStack undoes only gzip, named exactly so: Content-Encoding: gzip."
            return _single("invalid_json", f"This is not JSON: {error.what}{_place(text, error.position)}.", cure)

    def _bound(self, size: int) -> None:
        if self._cap is not None and size > self._cap:
            raise BodyTooLargeError(self._cap)

    def _unpack(self) -> bytes:
        data, position, parts = self.received, 0, []
        limit = sys.maxsize - 1 if self._cap is None else self._cap
        room = limit + 1
        new = partial(zlib.decompressobj, 31)
        member, piece, ended = new(), b"", True
        try:
            while piece or position < len(data):
                if not piece:
                    piece = data[position : position + _PIECE]
                    position += len(piece)
                if part := member.decompress(piece, room):
                    room -= len(part)
                    if not room:
                        raise BodyTooLargeError(limit)
                    parts.append(part)
                piece, ended = member.unused_data, member.eof
                if ended:
                    member = new()
        except zlib.error:
            raise BrokenGzipError from None
        if not ended:
            raise BrokenGzipError
        return b"".join(parts)


def _check(operation: Operation, text: bytes, max_depth: int | None) -> Verdict:
    if operation.shape is not Shape.MESSAGES:
        return check_events(operation, decode(text), text)
    value, marked = decode_messages(text)
    if (max_depth is None or max_depth > MESSAGES_DEPTH) and depth(text) > MESSAGES_DEPTH:
        return _single("invalid_json", f"Nesting of more than {MESSAGES_DEPTH:,} levels.", "Send flatter data.")
    return check_messages(value, text, marked)


def _single(reason: str, detail: str, cure: str) -> Verdict:
    return Verdict(Reading(0), reason, (Fault("", reason, detail, cure),))


def _place(text: bytes, position: int | None) -> str:
    if position is None:
        return ""
    line = text.count(b"\n", 0, position) + 1
    column = position - text.rfind(b"\n", 0, position)
    return f", at line {line}, byte {column}"
