"""JSON Schemas (2020-12) of request bodies, with examples, for documentation. Derived from the operations and from what the contract requires."""

from typing import Any, Final

from gateway.contract.events import TYPES_WITHOUT_USER
from gateway.contract.messages import BOOLEANS, NO_NUL, OPTIONAL, REQUIRED
from gateway.operations import Operation, Shape

_EXAMPLE_EVENT: Final[dict[str, Any]] = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u-1",
    "messageId": "m-1",
    "originalTimestamp": "2026-01-02T03:04:05.678Z",
    "properties": {"revenue": 12.5},
}
_EXAMPLES: Final[dict[str, Any]] = {
    "audiencelist": {"userId": "u-1", "messageId": "m-1", "properties": {"listData": {"add": [{"EMAIL": "a7…"}]}}},
    "extract": {"recordId": "1", "event": "users", "messageId": "m-1", "properties": {"id": 7, "name": "x"}},
    "replay": {"batch": [_EXAMPLE_EVENT]},
    "retl": {"batch": [{"type": "record", "action": "insert", "recordId": "1", "messageId": "m-1", "fields": {"id": 7}}]},
    "internalbatch": [
        {
            "properties": {
                "requestType": "track",
                "routingKey": "u-1",
                "workspaceID": "ws-1",
                "sourceID": "src-1",
                "receivedAt": "2026-01-02T03:04:05.678Z",
                "requestIP": "192.0.2.7",
            },
            "payload": {**_EXAMPLE_EVENT, "receivedAt": "2026-01-02T03:04:05.678Z", "request_ip": "192.0.2.7", "rudderId": "r-1"},
        }
    ],
}

_VISIBLE: Final = "[!-~]"
"""RudderStack sees more characters than these; but not every one that others see."""
_NO_NUL: Final = r"^[^\u0000]*$"
_TIME: Final = "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
_WITHOUT_USER: Final[dict[str, Any]] = {"required": ["type"], "properties": {"type": {"enum": list(TYPES_WITHOUT_USER)}}}


def example_of(operation: Operation) -> Any:
    """A small body that RudderStack accepts."""
    return _EXAMPLES[operation.name]


def body_schema(operation: Operation) -> dict[str, Any]:
    """What a body must look like. RudderStack takes more than this (see README, "What is checked"); whoever keeps to it is safe."""
    if operation.shape is Shape.MESSAGES:
        return {"type": "array", "minItems": 1, "items": _message(), "description": "Messages, each with its properties and its payload."}
    if operation.shape is Shape.BATCH:
        event = _event(user=True, types=True)
        return {
            "type": "object",
            "required": ["batch"],
            "properties": {"batch": {"type": "array", "minItems": 1, "items": event, "description": "The events, in order."}},
        }
    return _event(user=not operation.without_user, types=False)


def _event(*, user: bool, types: bool) -> dict[str, Any]:
    note = " Unless the type is record or extract, one of userId and anonymousId must be there." if types else ""
    schema: dict[str, Any] = {
        "type": "object",
        "description": f"One event; further members are passed on as they are.{note}",
        "properties": {
            "userId": {"type": "string", "pattern": _VISIBLE, "description": "Who did it."},
            "anonymousId": {"type": "string", "pattern": _VISIBLE, "description": "Who did it, before being known."},
            "messageId": {"type": "string", "description": "The event's own id; without one RudderStack makes a random one."},
        },
        "additionalProperties": True,
    }
    if types:
        schema["properties"]["type"] = {"type": "string", "description": "Such as track, identify or record."}
    if user:
        named: list[dict[str, Any]] = [{"required": ["userId"]}, {"required": ["anonymousId"]}]
        schema["anyOf"] = [*named, _WITHOUT_USER] if types else named
    return schema


def _message() -> dict[str, Any]:
    texts: dict[str, dict[str, Any]] = {name: {"type": "string", "minLength": 1} for name in REQUIRED}
    texts |= {name: {"type": "string"} for name in OPTIONAL}
    texts |= {name: {**texts[name], "pattern": _NO_NUL} for name in NO_NUL}
    texts["receivedAt"] = {"type": "string", "format": "date-time", "pattern": _TIME}
    return {
        "type": "object",
        "required": ["properties", "payload"],
        "properties": {
            "properties": {
                "type": "object",
                "description": "Where the message comes from and goes to.",
                "required": list(REQUIRED),
                "properties": {**texts, **{name: {"type": "boolean"} for name in BOOLEANS}},
            },
            "payload": {
                "type": "object",
                "description": "The event, as it is stored.",
                "required": ["messageId", "receivedAt", "request_ip", "rudderId", "type"],
                "properties": {"messageId": {"type": "string", "minLength": 1}, "type": {"type": "string"}},
                "additionalProperties": True,
            },
        },
    }
