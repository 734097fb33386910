"""How inputs are written: lines, arrays and batches, gzipped or not, cut into events without holding more than one."""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, Final

import msgspec

from gateway.jobs.models import Format

_CHUNK: Final = 256 * 1024
"""Bytes that are read, and unpacked, at a time."""
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"

_REST_OF_STRING: Final = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_END_OF_STRING: Final = re.compile(_REST_OF_STRING, re.DOTALL)
_TO_BRACKET: Final = re.compile(rb'[^"\[\]{}]*+(?:"%s"[^"\[\]{}]*+)*+' % _REST_OF_STRING, re.DOTALL)
_TO_COMMA: Final = re.compile(rb'[^"\[\]{},]*+(?:"%s"[^"\[\]{},]*+)*+' % _REST_OF_STRING, re.DOTALL)
_values: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TRIES: Final = 8
_LONGEST: Final = 512 * 1024 * 1024
"""Bytes that may go by without an event's end: a small gzip can hold hours of them, in which its worker would do nothing else."""
_MEMBER_COST: Final = 8 * 1024
_BRACKET_COST: Final = 40
"""Bytes that take as long to read as one member of a gzip, or one bracket."""


class InputError(Exception):
    """The input cannot be taken in, and never will be. `reason` is a code; the text says what is wrong, and where."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


def read(stream: BinaryIO, form: Format, limit: int) -> Iterator[tuple[int, bytes]]:
    """Each line or element with its number, from 1 and without gaps, and without white space around it: a blank line is b"".

    Of one that has more than `limit` bytes only the first limit + 1 are there. Raises InputError at the place from where on nothing can be
    told apart: a cut gzip, text that is no array, garbage after its end, an event that does not end.
    """
    by_line = form in (Format.NDJSON, Format.ARCHIVE)
    number = 0
    patience = _Patience()
    try:
        chunks = _text(stream, patience)
        for text in _lines(chunks, limit) if by_line else _Scanner(chunks, limit, patience).elements(form):
            number += 1
            patience.left = _LONGEST
            yield number, text
    except _BrokenError as error:
        raise InputError("broken_input", f"{error}, after {'line' if by_line else 'element'} {number:,}.") from None


def detect(stream: BinaryIO, limit: int) -> Format:
    """How the text from here on is written, as far as its first value, up to `limit` bytes of it, tells. Raises InputError."""
    try:
        patience = _Patience()
        scanner = _Scanner(_text(stream, patience), limit, patience)
        start = scanner.next_byte()
        if start == b"[":
            return Format.ARRAY
        if start != b"{" or not scanner.enters_batch():
            return Format.NDJSON
        for _ in scanner.rest_of_batch():
            if scanner.taken > limit:
                return Format.BATCH
        return Format.NDJSON if scanner.next_byte() else Format.BATCH
    except _BrokenError as error:
        if isinstance(error, _BrokenGzipError):
            raise InputError("broken_input", f"{error}.") from None
        return Format.NDJSON


class _BrokenError(Exception):
    """What is wrong; the place is known outside."""


class _BrokenGzipError(_BrokenError):
    pass


class _Patience:
    """How many bytes more may go by until something comes of them."""

    def __init__(self) -> None:
        self.left = _LONGEST

    def spend(self, cost: int) -> None:
        """Raises _BrokenError once there is none left."""
        self.left -= cost
        if self.left < 0:
            raise _BrokenError(f"No event ends within {_LONGEST // 1024**2:,} MiB")


def _text(stream: BinaryIO, patience: _Patience) -> Iterator[bytes]:
    """The unpacked bytes in chunks, none of them empty, without a byte order mark."""
    chunks = iter(lambda: stream.read(_CHUNK), b"")
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    chunks = chain([head] if head else [], chunks)
    if head.startswith(_GZIP):
        chunks = _unpacked(chunks, patience)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_BOM):
            break
    head = head.removeprefix(_BOM)
    return _patiently(chain([head] if head else [], chunks), patience)


def _patiently(chunks: Iterable[bytes], patience: _Patience) -> Iterator[bytes]:
    for chunk in chunks:
        patience.spend(len(chunk))
        yield chunk


def _unpacked(chunks: Iterable[bytes], patience: _Patience) -> Iterator[bytes]:
    member = None
    for chunk in chunks:
        data = chunk
        while data:
            if member is None:
                # Zeros fill up to a block's end on some media.
                data = data.lstrip(b"\0")
                member = zlib.decompressobj(wbits=31) if data else None
                patience.spend(_MEMBER_COST)
                continue
            try:
                part = member.decompress(data, _CHUNK)
            except zlib.error:
                raise _BrokenGzipError("The gzip is broken") from None
            if part:
                yield part
            data = member.unconsumed_tail
            if member.eof:
                data, member = member.unused_data, None
    if member is not None:
        raise _BrokenGzipError("The gzip is cut")


def _lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        lines = chunk.split(b"\n")
        if len(rest) <= limit:
            lines[0] = rest + lines[0]
        elif len(lines) == 1:
            continue
        else:
            lines[0] = rest
        rest = lines.pop()[: limit + 1]
        for line in lines:
            yield line.strip(_SPACE) if len(line) <= limit else line[: limit + 1]
    if rest:
        yield rest.strip(_SPACE) if len(rest) <= limit else rest


class _Scanner:
    """Finds where elements end, by brackets and strings alone: whether they are JSON is not its question."""

    def __init__(self, chunks: Iterable[bytes], limit: int, patience: _Patience) -> None:
        self._chunks = iter(chunks)
        self._patience = patience
        self._limit = limit
        self._buffer = b""
        self._position = 0
        self._fresh = True
        self.taken = 0

    def next_byte(self) -> bytes:
        """The next that is no white space, which stays; b"" at the end of the text."""
        while True:
            self._buffer = self._buffer[self._position :].lstrip(_SPACE)
            self._position = 0
            if self._buffer or not self._more():
                return self._buffer[:1]

    def elements(self, form: Format) -> Iterator[bytes]:
        """The elements of the one array that the text is, or that the "batch" of its one object is. Raises _BrokenError."""
        start = self.next_byte()
        if form == Format.BATCH:
            if start != b"{":
                raise _BrokenError('The text is no object with "batch"')
            if not self.enters_batch():
                raise _BrokenError('The object has no "batch" that is an array')
            yield from self.rest_of_batch()
        else:
            if start != b"[":
                raise _BrokenError("The text is no array")
            self._position += 1
            yield from self._array()
        if self.next_byte():
            raise _BrokenError("There is more text after the end")

    def enters_batch(self) -> bool:
        """From the start of an object go to the first element of its "batch"; False where it has none that is an array."""
        self._position += 1
        while True:
            if self._key() == "batch":
                is_array = self.next_byte() == b"["
                self._position += is_array
                return is_array
            _, end = self._element()
            if end != b",":
                return False

    def rest_of_batch(self) -> Iterator[bytes]:
        """The elements of the array that was entered; then the rest of its object. Raises _BrokenError."""
        yield from self._array()
        rest, end = self._element()
        while end == b",":
            if self._key() == "batch":
                raise _BrokenError('There is a second "batch"')
            _, end = self._element()
        if rest or end != b"}":
            raise _BrokenError("The object does not go on as one")

    def _key(self) -> str | None:
        """Pass over the key of an object's member and its colon."""
        if self.next_byte() != b'"':
            return None
        while self._buffer[(end := _END_OF_STRING.match(self._buffer, 1).end()) :][:1] != b'"':  # type: ignore[union-attr]
            if end > self._limit or not self._more():
                raise _BrokenError("A key has no end")
        try:
            key = str(json.loads(self._buffer[: end + 1]))
        except ValueError:
            raise _BrokenError("A key is no string") from None
        self._position = end + 1
        if self.next_byte() != b":":
            raise _BrokenError("A key has no value")
        self._position += 1
        return key

    def _array(self) -> Iterator[bytes]:
        if self.next_byte() == b"]":
            self._position += 1
            return
        end = b","
        while end == b",":
            yield from self._whole_elements()
            element, end = self._element()
            yield element
        if end != b"]":
            raise _BrokenError("The array ends with a wrong bracket")

    def _whole_elements(self) -> list[bytes]:
        """Elements that end within the buffer, each with a comma behind it, where that can be told at once: a tenth of the time.

        A cut at a comma is right if what is before it is JSON: in a string, or within brackets, it would not be.
        """
        if not self._fresh:
            return []
        self._fresh = False
        end = len(self._buffer)
        for _ in range(_TRIES):
            end = self._buffer.rfind(b"},", self._position, end)
            if end < 0:
                break
            try:
                values = _values.decode(b"[%b]" % self._buffer[self._position : end + 1])
            except (msgspec.MsgspecError, RecursionError):
                continue
            self.taken += end + 2 - self._position
            self._position = end + 2
            return [bytes(value)[: self._limit + 1] for value in values]
        return []

    def _element(self) -> tuple[bytes, bytes]:
        """The text up to a comma or a closing bracket that belongs to no bracket in it, and that."""
        buffer, here = self._buffer, self._position
        start, depth, in_string, head, turns = here, 0, False, b"", 0
        while True:
            turns += 1
            here = (_END_OF_STRING if in_string else _TO_BRACKET if depth else _TO_COMMA).match(buffer, here).end()  # type: ignore[union-attr]
            byte = buffer[here : here + 1]
            if in_string and byte == b'"':
                in_string = False
            elif byte == b"" or byte == b"\\":
                # The next chunk is wanted; what is known of the element is put aside.
                if len(head) <= self._limit:
                    head += buffer[start:here]
                self._buffer, self._position = buffer, here
                self.taken += here - start
                self._patience.spend(turns * _BRACKET_COST)
                turns = 0
                if not self._more():
                    raise _BrokenError("The text ends too early")
                buffer, start, here = self._buffer, 0, 0
                if byte:
                    here = 2
                continue
            elif byte == b'"':
                in_string = True
            elif byte in b"[{":
                depth += 1
            elif depth:
                depth -= 1
            else:
                break
            here += 1
        self._buffer, self._position = buffer, here + 1
        self.taken += here + 1 - start
        element = head + buffer[start:here] if head else buffer[start:here]
        return element.strip(_SPACE) if len(element) <= self._limit else element[: self._limit + 1], byte

    def _more(self) -> bool:
        """Put the next chunk behind what is left from the position on."""
        chunk = next(self._chunks, b"")
        self._buffer = self._buffer[self._position :] + chunk
        self._position = 0
        self._fresh = True
        return bool(chunk)
