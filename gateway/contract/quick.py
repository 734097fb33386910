"""The quick check: it may only say yes, and count. Whatever it cannot decode, or is not sure of, is left to the exact check."""

import re
from typing import Any, Final

import msgspec

from gateway.contract.decoding import NotJsonError, decode, flat
from gateway.contract.events import run_ids
from gateway.contract.messages import BOOLEANS, OPTIONAL, REQUIRED, UNTYPED
from gateway.contract.reading import Reading
from gateway.contract.timestamps import is_plain_time
from gateway.contract.visible import PLAINLY_VISIBLE
from gateway.operations import Operation, Shape

_NOTHING: Final = msgspec.Raw()
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[4-7]")
"""A key may be written with it, and then counts as another would."""
_MAX_CONTEXT: Final = 250_000
"""A larger context takes so long to decode that it is left to the exact check."""
_SURE_MARGIN: Final = 64
"""Bytes that RudderStack may add before it compares an event's size with its limit."""


class _Event(msgspec.Struct, gc=False):
    userId: Any = None  # noqa: N815 - the field's own name
    anonymousId: Any = None  # noqa: N815 - the field's own name
    type: Any = None
    context: msgspec.Raw = _NOTHING


class _Batch(msgspec.Struct, gc=False):
    batch: list[_Event]


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
_messages: Final = msgspec.json.Decoder(list[_Message])  # type: ignore[valid-type]


def quick_check(operation: Operation, text: bytes) -> Reading | None:
    """What the body holds, if it is surely one that RudderStack accepts; else None. About 2 ms for 1 MB.

    Doubled keys and numbers beyond a double it does not see: RudderStack's 400 then brings the exact check in.
    """
    if operation.size_limit and len(text) + _SURE_MARGIN > operation.size_limit:
        return None
    try:
        if _ESCAPED_LETTER.search(text):
            return None
        if operation.shape is Shape.MESSAGES:
            return _quick_messages(text, flat(text, _messages.decode))
        events = flat(text, _batch.decode).batch if operation.shape is Shape.BATCH else [flat(text, _event.decode)]
        # A key that is there too often is perhaps doubled, and of doubled keys this decoder takes the last.
        contexts = text.count(b'"context"')
        if text.count(b'"batch"') > 1 or (contexts and contexts > sum([bool(event.context) for event in events])):
            return None
        return _quick_events(operation, events)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, NotJsonError):
        return None


def _quick_events(operation: Operation, events: list[_Event]) -> Reading | None:
    visible = PLAINLY_VISIBLE.search
    if not events:
        return None
    for event in () if operation.without_user else events:
        user = event.userId
        if type(user) is str and user[:1].isalnum() and user[:1].isascii():
            continue  # most are settled by their first letter
        for value in (user, event.anonymousId):
            if isinstance(value, str) and visible(value):
                break
        else:
            if operation.sets_type or event.type not in ("record", "extract"):
                return None
    context = bytes(events[0].context)
    if len(context) > _MAX_CONTEXT:
        return None
    return Reading(len(events), *run_ids(decode(context) if context else None))


def _quick_messages(text: bytes, messages: list[Any]) -> Reading | None:
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
    # The source's name more often than messages: perhaps doubled, which the exact check refuses as ambiguous.
    if text.count(b'"sourceID"') > len(messages):
        return None
    for key in ("sourceJobRunID", "sourceTaskRunID"):
        if text.count(key.encode()) != sum(getattr(message.properties, key) is not None for message in messages):
            return None
    head = messages[0].properties
    return Reading(
        len(messages),
        head.sourceJobRunID or "",
        head.sourceTaskRunID or "",
        {messages[index].properties.sourceID: index for index in range(len(messages) - 1, -1, -1)},
    )
