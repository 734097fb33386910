"""The exact check of an internal batch (rudder-server gateway/handle_http.go `internalBatchHandler`, rudder-schemas go/stream/message.go)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.contract.decoding import Object, depth, first, spans
from gateway.contract.events import has_message_id
from gateway.contract.faults import Faults, escape
from gateway.contract.reading import Reading
from gateway.contract.timestamps import ZERO, is_time
from gateway.contract.verdict import Verdict

REQUIRED: Final = ("requestType", "routingKey", "workspaceID", "sourceID", "receivedAt", "requestIP")
OPTIONAL: Final = (
    "destinationID", "userID", "sourceJobRunID", "sourceTaskRunID", "traceID", "sourceType", "webhookFailureReason", "stage",
    "compression", "encryption", "encryptionKeyID", "botName", "botURL", "botAction", "partitionID",
)  # fmt: skip
BOOLEANS: Final = ("isBot", "botIsInvalidBrowser")
UNTYPED: Final = ("batch", "replay", "retl", "import")
"""Request types whose payload needs no type."""
MAX_DEPTH: Final = 10_000
"""encoding/json's own limit of nesting."""

_ESCAPED_TIME: Final = re.compile(rb'"\s*:\s*"[0-9TZ:.,+-]*\\u00[2-5]')
_FOLDED: Final = {name.lower(): name for name in (*REQUIRED, *OPTIONAL, *BOOLEANS)}
_NAMES: Final = {"properties": "properties", "payload": "payload"}
_PAYLOAD: Final = ("receivedAt", "request_ip", "rudderId")
NO_NUL: Final = ("workspaceID", "partitionID")
_JSON_TYPES: Final = {tuple: "an object", list: "an array", str: "a string", bool: "a boolean"}
_TIME_CURE: Final = "Write it as 2026-01-02T03:04:05.678Z."


@dataclass(slots=True)
class _Message:
    """A message as Go's decoder fills it: properties under their exact names, the payload as it is; and how the two keys are spelled."""

    properties: dict[str, object] = field(default_factory=dict)
    payload: object = None
    keys: dict[str, str] = field(default_factory=dict)

    def pointer(self, index: int, name: str) -> str:
        """The place of `properties` or `payload`."""
        return f"/{index}/{escape(self.keys.get(name, name))}"


def check_messages(value: object, text: bytes) -> Verdict:
    """Judge a decoded body; `text` is its unpacked bytes. All messages are decoded before any is validated, so a fault of decoding decides first."""
    faults, own = Faults(), Faults()
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        faults.add("", "invalid_json", f"Nesting of more than {MAX_DEPTH:,} levels.", "Send flatter data.")
        return Verdict(Reading(0), "invalid_json", tuple(faults))
    if value is not None and not isinstance(value, list):
        faults.add("", "wrong_type", "The body is no array.", 'Send an array of messages: [{"properties": {…}, "payload": {…}}].')
        return Verdict(Reading(0), "wrong_type", tuple(faults))
    escaped = _with_escaped_time(text)
    messages: list[_Message] = []
    for index, message in enumerate(value or []):
        messages.append(_decode(index, message, index in escaped, faults, own))
        if faults.full:
            break
    decoded = next(iter(faults.first), None)
    if not messages:
        faults.add("", "no_messages", "There are no messages in the array.", "Send at least one message.")
    valid = Faults(faults.kept)
    for index, message in enumerate(messages):
        if valid.full:
            break
        _validate(index, message, valid)
    if not decoded and not valid:
        _find_nul(messages, valid)
    reason = decoded or next(iter(faults.first | valid.first), None)
    return Verdict(_read(len(value or []), messages), reason, tuple(valid), tuple(own))


def job_runs_of(value: object) -> Iterator[tuple[str, str, str]]:
    """Job run, task run and source of each message of an accepted body that has a job run."""
    for index, pairs in enumerate(value if isinstance(value, list) else []):
        properties = _decode(index, pairs, False, Faults(), Faults()).properties
        if job := properties.get("sourceJobRunID"):
            yield str(job), str(properties.get("sourceTaskRunID", "")), str(properties.get("sourceID", ""))


def _decode(index: int, pairs: object, escaped: bool, faults: Faults, own: Faults) -> _Message:
    """Any letter case, the last counts, null changes nothing. `escaped`: a receivedAt is written with escapes, which Go's time does not undo."""
    message = _Message()
    if pairs is None or pairs == ():
        return message
    if not isinstance(pairs, tuple):
        faults.add(f"/{index}", "wrong_type", "This is no message: a message is an object.", "Send an object with properties and payload.")
        return message
    for key, name, value in _fold(f"/{index}", pairs, _NAMES, own):
        message.keys[name] = key
        if name == "payload":
            message.payload = value
        elif isinstance(value, tuple):
            _decode_properties(message.pointer(index, name), value, message.properties, faults, own)
        elif value is not None:
            faults.add(message.pointer(index, name), "wrong_type", f"This is {_kind(value)}, but properties are an object.", "Send an object.")
    if escaped:
        faults.add(f"{message.pointer(index, 'properties')}/receivedAt", "bad_time", "This time is written with escapes.", _TIME_CURE)
    return message


def _with_escaped_time(text: bytes) -> set[int]:
    """The messages whose receivedAt has a backslash in it. The search is quick; the walk is for the few bodies that it finds."""
    if not _ESCAPED_TIME.search(text):
        return set()
    characters = text.decode("latin-1")
    return {
        int(index)
        for index, message, _ in spans(characters)
        if characters[message] == "{"
        for name, properties, _ in spans(characters, message)
        if _lower(name) == "properties" and characters[properties] == "{"
        for key, start, end in spans(characters, properties)
        if _lower(key) == "receivedat" and "\\" in characters[start:end]
    }


def _decode_properties(pointer: str, pairs: Object, properties: dict[str, object], faults: Faults, own: Faults) -> None:
    for key, name, value in _fold(pointer, pairs, _FOLDED, own):
        if value is None:
            continue
        place = f"{pointer}/{escape(key)}"
        wanted = bool if name in BOOLEANS else str
        if not isinstance(value, wanted):
            faults.add(place, "wrong_type", f"This is {_kind(value)}.", f"Send {_JSON_TYPES[wanted]}, or leave it out.")
        elif name == "receivedAt" and not is_time(value if isinstance(value, str) else ""):
            faults.add(place, "bad_time", "This is no time as RFC 3339 writes it.", _TIME_CURE)
        else:
            properties[name] = value


def _fold(pointer: str, pairs: Object, names: dict[str, str], own: Faults) -> Iterator[tuple[str, str, object]]:
    """The pairs whose keys mean one of `names` in any letter case. A name that is there twice is a fault of our own: readers may differ."""
    seen: set[str] = set()
    for key, value in pairs:
        name = names.get(_lower(key))
        if name is None:
            continue
        if name in seen:
            own.add(
                f"{pointer}/{escape(key)}",
                "ambiguous_key",
                f"{name} is there more than once (upper and lower case make no difference here), so it can be read in two ways.",
                "Send it once.",
            )
        seen.add(name)
        yield key, name, value


def _lower(key: str) -> str:
    return key.lower() if key.isascii() else key


def _validate(index: int, message: _Message, faults: Faults) -> None:
    properties, payload = message.properties, message.payload
    for name in REQUIRED:
        value = properties.get(name)
        if not value or (name == "receivedAt" and ZERO.fullmatch(str(value))):
            place = f"{message.pointer(index, 'properties')}/{name}"
            faults.add(place, "missing_field", f"The property {name} is missing or empty.", f"Give the message a {name}.")
    pointer = message.pointer(index, "payload")
    if not isinstance(payload, tuple):
        faults.add(pointer, "missing_field", "The payload is missing or no object.", "Send the event as an object.")
        return
    keys = {key for key, _ in payload}
    if first(payload, "messageId") in (None, ""):
        faults.add(f"{pointer}/messageId", "missing_field", "The messageId is missing, null or empty.", "Give the event a messageId of its own.")
    for name in _PAYLOAD if properties.get("requestType") in UNTYPED else (*_PAYLOAD, "type"):
        if name not in keys:
            faults.add(f"{pointer}/{name}", "missing_field", f"The payload has no {name}.", f"Give the payload a {name}; it may be null.")


def _find_nul(messages: list[_Message], faults: Faults) -> None:
    for index, message in enumerate(messages):
        for name in NO_NUL:
            if "\0" in str(message.properties.get(name, "")):
                place = f"{message.pointer(index, 'properties')}/{name}"
                faults.add(place, "nul_character", "There is a U+0000 in it, which cannot be stored.", "Take it out.")


def _kind(value: object) -> str:
    return _JSON_TYPES.get(type(value), "a number")


def _read(events: int, messages: list[_Message]) -> Reading:
    head = messages[0].properties if messages else {}
    return Reading(
        events=events,
        job_run_id=str(head.get("sourceJobRunID", "")),
        task_run_id=str(head.get("sourceTaskRunID", "")),
        sources={str(messages[index].properties.get("sourceID", "")): index for index in range(len(messages) - 1, -1, -1)},
        without_message_id=sum(not has_message_id(message.payload) for message in messages),
    )
