"""The check of the input's events: which are sent, each with a messageId, and what is wrong with the others."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from gateway.contract.body import Body
from gateway.contract.decoding import MAX_DEPTH, TooDeepError, judged, spans
from gateway.contract.events import is_message_id
from gateway.contract.faults import Fault
from gateway.operations import OPERATIONS, Operation, Shape

_KEY: Final = b'"messageId"'
_WRAPPING: Final = {Shape.EVENT: (b"", b"", ""), Shape.BATCH: (b'{"batch":[', b"]}", "/batch/0"), Shape.MESSAGES: (b"[", b"]", "/0")}
"""What makes a body of events with commas between them, and the pointer to the first of them."""
_PARTS: Final = 20
_NO_EVENT: Final = Fault("", "not_an_event", "This is no event: an event is a JSON object.", "Send an object here, or leave it out.")


class _Event(msgspec.Struct, gc=False):
    messageId: Any = msgspec.UNSET  # noqa: N815 - the field's own name


class _Message(msgspec.Struct, gc=False):
    payload: _Event


_event: Final = msgspec.json.Decoder(_Event)
_message: Final = msgspec.json.Decoder(_Message)

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TooDeepError)

Checked = tuple[bytes | Fault, bool]
"""An event as it is sent, or what is wrong with it; and whether it had no messageId that RudderStack would keep."""


def check(operation: Operation, events: Sequence[bytes], message_ids: Callable[[int], str], *, exactly: bool = False) -> list[Checked]:
    """Judge each event by itself; `message_ids` makes the id of the event at an index. Quickly where that is sure, unless `exactly` is asked for.

    What is sent differs from what came in its messageId, if that was none, and in that its line ends are spaces.
    """
    if exactly:
        return [_exactly(operation, event, index, message_ids) for index, event in enumerate(events)]
    quick = [_prepared(operation, event, index, message_ids) for index, event in enumerate(events)]
    sure = iter(_sure(operation, [prepared[0] for prepared in quick if prepared]))
    return [prepared if prepared and next(sure) else _exactly(operation, events[index], index, message_ids) for index, prepared in enumerate(quick)]


def message_id_in(event: bytes) -> str | None:
    """The event's messageId that RudderStack would keep; None where there is none, or no event."""
    try:
        found = _event.decode(event).messageId
        if found is not msgspec.UNSET and event.count(_KEY) != 1:
            found = judged(event, MAX_DEPTH, _first_message_id)
    except _UNREADABLE:
        return None
    return found if is_message_id(found) else None


def identified(operation: Operation, event: bytes, message_id: Callable[[], str]) -> bytes:
    """The event with this messageId, if it has none that RudderStack would keep; as it is where it is a message, or no object to put one into."""
    if operation.shape is Shape.MESSAGES or message_id_in(event) is not None:
        return event
    try:
        if _event.decode(event).messageId is msgspec.UNSET:
            return _spliced(event.strip(), message_id())
        return judged(event, MAX_DEPTH, lambda event: _with_message_id(event, message_id()))
    except _UNREADABLE:
        return event


def _first_message_id(event: bytes) -> object:
    """Of doubled keys the first counts."""
    first = next(event[start:end] for key, start, end in spans(event.decode("latin-1")) if key == "messageId")
    return json.loads(first.decode("utf-8", "replace"))


def _sure(operation: Operation, events: list[bytes]) -> list[bool]:
    """Of each event whether the quick check accepts it; all are asked about at once, then parts, as most are good."""
    if not events or _accepted(operation, events):
        return [True] * len(events)
    if len(events) == 1:
        return [False]
    size = -(-len(events) // _PARTS)
    return [sure for start in range(0, len(events), size) for sure in _sure(operation, events[start : start + size])]


def _accepted(operation: Operation, events: list[bytes]) -> bool:
    """Whether the quick check is sure of all. Each is one JSON object by itself, so that none can pass for more than one, or for less."""
    if operation.shape is Shape.EVENT:
        return all(Body.of(event).quick(operation) for event in events)
    return Body.of(_wrapped(operation, events)).quick(operation) is not None


def _prepared(operation: Operation, event: bytes, index: int, message_ids: Callable[[int], str]) -> tuple[bytes, bool] | None:
    """The event as it is sent, if the quick check accepts it; None where that is not sure."""
    try:
        if operation.shape is Shape.MESSAGES:
            found, without = _message.decode(event).payload.messageId, False
        else:
            found = _event.decode(event).messageId
            without = found is msgspec.UNSET
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if without:
        event = _spliced(event, message_ids(index))
    elif not is_message_id(found) or event.count(_KEY) != 1:
        # Of doubled keys RudderStack takes the first, the decoder the last.
        return None
    return (event.replace(b"\n", b" ") if b"\n" in event else event), without


def _exactly(operation: Operation, event: bytes, index: int, message_ids: Callable[[int], str]) -> Checked:
    _, _, place = _WRAPPING[operation.shape]
    try:
        _event.decode(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Is it JSON by itself? Within a body, commas and brackets could make it look like it.
        alone = Body.of(event).exact(OPERATIONS["audiencelist"])
        if alone.reason == "invalid_json" or alone.own:
            return (alone.faults or alone.own)[0], False
    verdict = Body.of(_wrapped(operation, [event])).exact(operation)
    without = bool(verdict.reading.without_message_id)
    for fault in (*verdict.own, *verdict.faults):
        return replace(fault, pointer=fault.pointer.removeprefix(place)), without
    if not event.startswith(b"{"):
        return _NO_EVENT, without
    if without and operation.shape is not Shape.MESSAGES:
        event = judged(event, MAX_DEPTH, lambda event: _with_message_id(event, message_ids(index)))
    return event.replace(b"\n", b" "), without


def _with_message_id(event: bytes, message_id: str) -> bytes:
    """The first messageId replaced, since that is the one that counts; or one put in."""
    for key, start, end in spans(event.decode("latin-1")):
        if key == "messageId":
            return b'%b"%b"%b' % (event[:start], message_id.encode(), event[end:])
    return _spliced(event, message_id)


def _spliced(event: bytes, message_id: str) -> bytes:
    comma = b"" if event[1:].lstrip(b" \t\r\n").startswith(b"}") else b","
    return b'{"messageId":"%b"%b%b' % (message_id.encode(), comma, event[1:])


def _wrapped(operation: Operation, events: Sequence[bytes]) -> bytes:
    before, after, _ = _WRAPPING[operation.shape]
    return b"%b%b%b" % (before, b",".join(events), after)
