"""The exact check of an internal batch (rudder-server gateway/handle_http.go `internalBatchHandler`, rudder-schemas go/stream/message.go)."""

import re
from collections.abc import Iterator
from typing import Final

from gateway.contract.decoding import NotJsonError, Object, decode, firsts
from gateway.contract.events import is_message_id
from gateway.contract.faults import MAX_FAULTS, Faults
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
_ESCAPED_TIMES: Final = re.compile(
    rb'("(?<!\\")%s"\s*:\s*")(?=[^"\\]*\\)' % b"".join(rb"(?i:%c|\\u00(?:%x|%x))" % (code, code, code - 32) for code in b"receivedat")
)
_MARKED: Final = rb"\1\\udfff"
_MARK: Final = "\udfff"
"""A lone surrogate before a time: only an escape makes one, and a time with escapes is marked itself."""
_PROPERTIES: Final = {spelled: name for name in (*REQUIRED, *OPTIONAL, *BOOLEANS) for spelled in (name, name.lower())}
_PARTS: Final = {"properties": "properties", "payload": "payload"}
_PART_LENGTHS: Final = frozenset(map(len, _PARTS))
_NOTHING: Final = ((), None)
_NO_FIELDS: Final[dict[str, object]] = {}
_PAYLOAD: Final = ("receivedAt", "request_ip", "rudderId")
NO_NUL: Final = ("workspaceID", "partitionID")
_JSON_TYPES: Final = {tuple: "an object", list: "an array", str: "a string", bool: "a boolean"}
_OBJECT_CURE: Final = "Send an object with properties and payload."
_TIME_CURE: Final = "Write it as 2026-01-02T03:04:05.678Z."


class _Message:
    """A message as Go's decoder fills it: properties under their exact names, the payload as it is; and how the two keys are spelled."""

    __slots__ = ("escaped_time", "keys", "payload", "properties", "source")

    def __init__(self) -> None:
        self.properties: dict[str, object] = {}
        self.payload: object = None
        self.keys: dict[str, str] = {}
        self.source = ""
        self.escaped_time = False

    def pointer(self, index: int, name: str) -> str:
        """The place of `properties` or `payload`."""
        return f"/{index}/{self.keys.get(name, name)}"


_EMPTY: Final = _Message()


def decode_messages(text: bytes) -> tuple[object, bool]:
    """As `decode` does it; and whether each `receivedAt` that is written with escapes, which Go's time does not undo, has a mark before it."""
    if rb"\u00" in text and _ESCAPED_TIME.search(text):
        try:
            return decode(_ESCAPED_TIMES.sub(_MARKED, text)), True
        except NotJsonError:
            pass  # The marks move the place of the fault.
    return decode(text), False


def check_messages(value: object, text: bytes, marked: bool) -> Verdict:
    """Judge a decoded body; `text` is its unpacked bytes. All messages are decoded before any is validated, so a fault of decoding decides first."""
    decoder, invalid, unstorable = _Decoder(marked), Faults(), Faults()
    faults = decoder.faults
    if value is not None and not isinstance(value, list):
        faults.add("", "wrong_type", "The body is no array.", 'Send an array of messages: [{"properties": {…}, "payload": {…}}].')
        return Verdict(Reading(0), "wrong_type", tuple(faults))
    messages: list[object] = value or []
    if not messages:
        faults.add("", "no_messages", "There are no messages in the array.", "Send at least one message.")
    has_nul = rb"\u0000" in text
    head, source, without_message_id = _EMPTY, None, 0
    sources: list[tuple[str, int]] = []
    indexed = enumerate(messages)
    for index, pairs in indexed:
        message = decoder.decode(index, pairs) if pairs or pairs not in _NOTHING else _EMPTY
        if message is _EMPTY and source == "" and invalid.full and not faults.full:
            without_message_id += 1
            continue
        if message.source != source:
            head = message if source is None else head
            source = message.source
            sources.append((source, index))
        fields: dict[str, object] = firsts(message.payload) if message.payload and isinstance(message.payload, tuple) else _NO_FIELDS
        without_message_id += fields is _NO_FIELDS or not is_message_id(fields.get("messageId"))
        if faults.full:
            break
        if not invalid.full:
            _validate(index, message, fields, invalid)
        if has_nul and not unstorable.full:
            _find_nul(index, message, unstorable)
    for index, pairs in indexed:
        named = _source_of(pairs) if isinstance(pairs, tuple) else ""
        if named != source:
            source = named
            sources.append((named, index))
    found = [*faults, *invalid][:MAX_FAULTS] or [*unstorable]
    reading = Reading(
        events=len(messages),
        job_run_id=str(head.properties.get("sourceJobRunID", "")),
        task_run_id=str(head.properties.get("sourceTaskRunID", "")),
        sources=dict(reversed(sources)),
        without_message_id=without_message_id,
    )
    return Verdict(reading, found[0].reason if found else None, tuple(found), tuple(decoder.own))


def job_runs_of(value: object) -> Iterator[tuple[str, str, str]]:
    """Job run, task run and source of each message of an accepted body that has a job run."""
    decoder = _Decoder()
    for index, pairs in enumerate(value if isinstance(value, list) else []):
        message = decoder.decode(index, pairs)
        if job := message.properties.get("sourceJobRunID"):
            yield str(job), str(message.properties.get("sourceTaskRunID", "")), message.source


class _Decoder:
    """Fills messages as Go's does: any letter case, the last counts, null changes nothing. `marked`: times with escapes have a mark before them."""

    def __init__(self, marked: bool = False) -> None:
        self.faults = Faults()
        self.own = Faults()
        self._marked = marked

    def decode(self, index: int, pairs: object) -> _Message:
        """The message at this index."""
        if not isinstance(pairs, tuple):
            if pairs is not None:
                self.faults.add(f"/{index}", "wrong_type", "This is no message: a message is an object.", _OBJECT_CURE)
            return _EMPTY
        message = _EMPTY
        for key, value in pairs:
            if len(key) not in _PART_LENGTHS:
                continue
            name = _PARTS.get(key) or _PARTS.get(key.lower())
            if name is None or not key.isascii():
                continue
            if message is _EMPTY:
                message = _Message()
            elif name in message.keys and not self.own.full:
                self._add_ambiguous(f"/{index}", key, name)
            message.keys[name] = key
            if name == "payload":
                message.payload = value
            elif not value and value in _NOTHING:
                continue
            elif isinstance(value, tuple):
                self._decode_properties(index, value, message)
            elif not self.faults.full:
                detail = f"This is {_kind(value)}, but properties are an object."
                self.faults.add(message.pointer(index, name), "wrong_type", detail, "Send an object.")
        if message is _EMPTY:
            return message
        if message.escaped_time:
            place = f"{message.pointer(index, 'properties')}/receivedAt"
            self.faults.add(place, "bad_time", "This time is written with escapes.", _TIME_CURE)
        if "sourceID" in message.properties:
            message.source = str(message.properties["sourceID"])
        return message

    def _decode_properties(self, index: int, pairs: Object, message: _Message) -> None:
        faults, properties = self.faults, message.properties
        seen: set[str] = set()
        for key, value in pairs:
            name = _PROPERTIES.get(key) or _PROPERTIES.get(key.lower())
            if name is None or not key.isascii():
                continue
            if name in seen and not self.own.full:
                self._add_ambiguous(message.pointer(index, "properties"), key, name)
            seen.add(name)
            if value is None or (faults.full and name != "sourceID"):
                continue
            wanted = bool if name in BOOLEANS else str
            if isinstance(value, wanted) and (name != "receivedAt" or self._is_time(str(value), message)):
                properties[name] = value
            elif not faults.full:
                place = f"{message.pointer(index, 'properties')}/{key}"
                if isinstance(value, wanted):
                    faults.add(place, "bad_time", "This is no time as RFC 3339 writes it.", _TIME_CURE)
                else:
                    faults.add(place, "wrong_type", f"This is {_kind(value)}.", f"Send {_JSON_TYPES[wanted]}, or leave it out.")

    def _is_time(self, written: str, message: _Message) -> bool:
        if self._marked and written.startswith(_MARK):
            message.escaped_time = True
            written = written[1:]
        return is_time(written)

    def _add_ambiguous(self, place: str, key: str, name: str) -> None:
        """A name that is there twice is a fault of our own: readers may differ."""
        detail = f"{name} is there more than once (upper and lower case make no difference here), so it can be read in two ways."
        self.own.add(f"{place}/{key}", "ambiguous_key", detail, "Send it once.")


def _source_of(pairs: Object) -> str:
    """The source of a message of which nothing else is asked any more."""
    source = ""
    for key, part in pairs:
        if isinstance(part, tuple) and key.lower() == "properties" and key.isascii():
            for name, value in part:
                if isinstance(value, str) and name.lower() == "sourceid" and name.isascii():
                    source = value
    return source


def _validate(index: int, message: _Message, fields: dict[str, object], faults: Faults) -> None:
    properties = message.properties
    for name in REQUIRED:
        value = properties.get(name)
        if not value or (name == "receivedAt" and ZERO.fullmatch(str(value))):
            place = f"{message.pointer(index, 'properties')}/{name}"
            faults.add(place, "missing_field", f"The property {name} is missing or empty.", f"Give the message a {name}.")
    if not isinstance(message.payload, tuple):
        faults.add(message.pointer(index, "payload"), "missing_field", "The payload is missing or no object.", "Send the event as an object.")
        return
    if fields.get("messageId") in (None, ""):
        place = f"{message.pointer(index, 'payload')}/messageId"
        faults.add(place, "missing_field", "The messageId is missing, null or empty.", "Give the event a messageId of its own.")
    for name in _PAYLOAD if properties.get("requestType") in UNTYPED else (*_PAYLOAD, "type"):
        if name not in fields:
            place = f"{message.pointer(index, 'payload')}/{name}"
            faults.add(place, "missing_field", f"The payload has no {name}.", f"Give the payload a {name}; it may be null.")


def _find_nul(index: int, message: _Message, faults: Faults) -> None:
    for name in NO_NUL:
        if "\0" in str(message.properties.get(name, "")):
            place = f"{message.pointer(index, 'properties')}/{name}"
            faults.add(place, "nul_character", "There is a U+0000 in it, which cannot be stored.", "Take it out.")


def _kind(value: object) -> str:
    return _JSON_TYPES.get(type(value), "a number")
