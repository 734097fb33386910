"""The quick check: it may only say yes, and count. Whatever it cannot decode, or is not sure of, is left to the exact check."""

from typing import Any, Final

import msgspec

from gateway.contract.decoding import flat
from gateway.contract.messages import BOOLEANS, OPTIONAL, REQUIRED, UNTYPED
from gateway.contract.reading import Reading
from gateway.contract.timestamps import is_plain_time
from gateway.contract.visible import PLAINLY_VISIBLE
from gateway.operations import Operation, Shape

_NOTHING: Final = msgspec.Raw()
_SURE_MARGIN: Final = 64
"""Bytes that RudderStack may add before it compares an event's size with its limit."""


class _Event(msgspec.Struct, gc=False):
    userId: Any = None  # noqa: N815 - the field's own name
    anonymousId: Any = None  # noqa: N815 - the field's own name
    type: Any = None
    context: msgspec.Raw = _NOTHING


class _Batch(msgspec.Struct, gc=False):
    batch: list[_Event]


class _Sources(msgspec.Struct, gc=False):
    job_run_id: Any = None
    task_run_id: Any = None


class _Context(msgspec.Struct, gc=False):
    sources: _Sources | None = None


class _Payload(msgspec.Struct, gc=False):
    messageId: str  # noqa: N815 - the field's own name
    receivedAt: msgspec.Raw  # noqa: N815 - the field's own name
    request_ip: msgspec.Raw
    rudderId: msgspec.Raw  # noqa: N815 - the field's own name
    type: msgspec.Raw = _NOTHING


# Unknown keys are forbidden: upstream folds the case of these names, so an unknown key may be a known one in other letters.
_Properties = msgspec.defstruct(
    "_Properties",
    [*((name, str) for name in REQUIRED), *((name, str | None, None) for name in OPTIONAL), *((name, bool | None, None) for name in BOOLEANS)],
    forbid_unknown_fields=True,
    gc=False,
)
_Message = msgspec.defstruct("_Message", [("properties", _Properties), ("payload", _Payload)], forbid_unknown_fields=True, gc=False)

_batch: Final = msgspec.json.Decoder(_Batch)
_event: Final = msgspec.json.Decoder(_Event)
_context: Final = msgspec.json.Decoder(_Context)
_messages: Final = msgspec.json.Decoder(list[_Message])  # type: ignore[valid-type]


def quick_check(operation: Operation, text: bytes) -> Reading | None:
    """What the body holds, if it is surely one that RudderStack accepts; else None. About 2 ms for 1 MB.

    Doubled keys and numbers beyond a double it does not see: RudderStack's 400 then brings the exact check in.
    """
    if operation.size_limit and len(text) + _SURE_MARGIN > operation.size_limit:
        return None
    try:
        if operation.shape is Shape.MESSAGES:
            return _quick_messages(flat(text, _messages.decode))
        events = flat(text, _batch.decode).batch if operation.shape is Shape.BATCH else [flat(text, _event.decode)]
        return _quick_events(operation, text, events)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _quick_events(operation: Operation, text: bytes, events: list[_Event]) -> Reading | None:
    visible = PLAINLY_VISIBLE.search
    if not events:
        return None
    for event in () if operation.without_user else events:
        for value in (event.userId, event.anonymousId):
            if isinstance(value, str) and visible(value):
                break
        else:
            if operation.sets_type or event.type not in ("record", "extract"):
                return None
    if text.count(b'"context"') > sum(bool(event.context) for event in events):
        return None  # perhaps doubled, and of doubled keys the decoder takes the last
    sources = _sources(events[0].context)
    job, task = (sources.job_run_id, sources.task_run_id) if sources else ("", "")
    return Reading(len(events), job if isinstance(job, str) else "", task if isinstance(task, str) else "")


def _sources(context: msgspec.Raw) -> _Sources | None:
    try:
        return _context.decode(context).sources if context else None
    except msgspec.MsgspecError:
        return None


def _quick_messages(messages: list[Any]) -> Reading | None:
    for message in messages:
        properties, payload = message.properties, message.payload
        if not (properties.requestType and properties.routingKey and properties.workspaceID and properties.sourceID and properties.requestIP):
            return None
        if not is_plain_time(properties.receivedAt) or not payload.messageId:
            return None
        if not payload.type and properties.requestType not in UNTYPED:
            return None
        if "\0" in properties.workspaceID or "\0" in (properties.partitionID or ""):
            return None
    if not messages:
        return None
    head = messages[0].properties
    return Reading(
        len(messages),
        head.sourceJobRunID or "",
        head.sourceTaskRunID or "",
        {messages[index].properties.sourceID: index for index in range(len(messages) - 1, -1, -1)},
    )
