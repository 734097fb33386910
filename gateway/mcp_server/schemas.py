"""JSON Schemas (2020-12) of what tools take and give. What an event must be is judged by the contract, as for REST."""

from typing import Any, Final

from gateway.audit.models import Result
from gateway.contract.schemas import example_of
from gateway.forwarding.idempotency import MAX_LENGTH
from gateway.jobs.models import State
from gateway.operations import Credential, Operation, Shape

BODY: Final = {Shape.EVENT: "event", Shape.BATCH: "batch", Shape.MESSAGES: "messages"}
"""The argument that becomes the body."""
EVENTS: Final = "events"
"""In place of it, where it is one event: several, which become a job."""
JOBS: Final = "jobs://"
"""What the addresses of jobs begin with."""
_END: Final = r"$(?!\n)"
"""The very end, also for readers whose $ would stand before a last newline."""
_SENDABLE: Final = f"^([!-~]([ -~]*[!-~])?)?{_END}"


def _header(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": _SENDABLE, "description": f"{description} Printable ASCII."}


OPTIONS: Final[dict[str, Any]] = {
    "source": _header("Id of the RudderStack source to send to. Leave it out for the gateway's default."),
    "destination_id": _header("Id of one destination of the source. Leave it out for all of them."),
    "job_run_id": _header("RudderStack's job run that the events belong to, if they do."),
    "task_run_id": _header("RudderStack's task run that the events belong to, if they do."),
    "dry_run": {
        "type": "boolean",
        "default": False,
        "description": "true: check everything and say what would be sent, but send nothing. Do this first where a mistake would be costly.",
    },
    "respond_async": {
        "type": "boolean",
        "default": False,
        "description": "true: do not wait for RudderStack, but make a job that sends the events piece by piece; the result names it.",
    },
    "idempotency_key": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_LENGTH,
        "pattern": f"^[ -~]*[!-~][ -~]*{_END}",
        "description": "Any text of your choice. The same call under the same key is sent once, however often it is made: "
        "choose one for each thing to send, and keep it when trying again where retryable is true. "
        "What RudderStack answered, a 429 or 500 too, is final under its key: to send after such an answer, choose a new one. "
        "Of a job the same call tells how far it is.",
    },
}
"""The arguments beside the body, the same for every tool."""
_NOT_HERE: Final = {
    "source": "Of no effect here: each message names its own source.",
    "destination_id": "Of no effect here: events go to all destinations of the source.",
}
"""What is said of an argument where it does nothing: who believed in it would send to more than meant."""


def _anything(description: str) -> dict[str, Any]:
    """Any value. A schema without a keyword says so too, but clients that check schemas warn of it."""
    return {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "object", "array", "null")], "description": description}


def input_schema(operation: Operation) -> dict[str, Any]:
    """The arguments of an operation's tool."""
    name = BODY[operation.shape]
    body = {name: _body(operation)}
    if operation.shape is Shape.EVENT:
        # Exactly one of the two: no keyword says so that every client takes, so the descriptions do.
        several = {"type": "array", "description": f"In place of {name}: several events, which become a job.", "items": _event(operation)}
        body = {name: {**body[name], "description": f"{body[name]['description']} Give this or {EVENTS}."}, EVENTS: several}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {**body, **_options(operation)},
        "required": [] if operation.shape is Shape.EVENT else [name],
        "additionalProperties": False,
    }


def _options(operation: Operation) -> dict[str, Any]:
    idle = {"destination_id": not operation.takes_destination, "source": operation.credential is Credential.NONE}
    return {name: {**option, "description": _NOT_HERE[name]} if idle.get(name) else option for name, option in OPTIONS.items()}


def example_arguments(operation: Operation) -> dict[str, Any]:
    """Arguments that are accepted."""
    example = example_of(operation)
    return dict(example) if operation.shape is Shape.BATCH else {BODY[operation.shape]: example}


def _event(operation: Operation) -> dict[str, Any]:
    return {
        "type": "object",
        "description": f"One event. Further members are passed on as they are.{_who(operation)}",
        "properties": {
            "userId": _anything("Who did it: a text."),
            "anonymousId": _anything("Who did it, before being known: a text."),
            "messageId": _anything("The event's own id, a text. With one, RudderStack can tell that an event came twice."),
        },
    }


def _body(operation: Operation) -> dict[str, Any]:
    event = _event(operation)
    if operation.shape is Shape.EVENT:
        return {**event, "examples": [example_of(operation)]}
    if operation.shape is Shape.BATCH:
        event["properties"]["type"] = _anything("Such as track, identify or record: a text.")
        return {"type": "array", "description": "The events, in order; at least one.", "items": event, "examples": [example_of(operation)["batch"]]}
    return {
        "type": "array",
        "description": "RudderStack's own messages, at least one, each with properties (requestType, routingKey, workspaceID, sourceID, receivedAt, "
        "requestIP) and payload (the event, with messageId, receivedAt, request_ip, rudderId and type).",
        "items": {"type": "object"},
        "examples": [example_of(operation)],
    }


def _who(operation: Operation) -> str:
    if operation.without_user:
        return ""
    return " userId or anonymousId must be there" + (", unless type is record or extract." if operation.shape is Shape.BATCH else ".")


def _maybe(kind: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [kind, {"type": "null"}], "description": description}


_JOB: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The job that the events became, as it is now.",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "resource": {"type": "string", "description": "Read this to see how it goes on, until state is succeeded, failed or cancelled."},
        "state": {"type": "string", "enum": list(State.values)},
        "reason": _maybe({"type": "string"}, "Why it is in this state; of paused and failed, what is wrong."),
        **{
            name: {"type": "integer", "description": description}
            for name, description in {
                "events": "Good events of the input, as far as it is read.",
                "submitted": "Events gone through.",
                "accepted": "Events that RudderStack has.",
                "refused": "Events that were not taken.",
                "possible_duplicates": "Events that may have been sent twice, with the same messageId.",
            }.items()
        },
    },
    "required": ["id", "resource", "state", "reason", "events", "submitted", "accepted", "refused", "possible_duplicates"],
    "additionalProperties": False,
}
_FAULT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) into the arguments; empty for all of them."},
        "detail": {"type": "string", "description": "What is wrong."},
        "cure": {"type": "string", "description": "What to change."},
    },
    "required": ["pointer", "detail", "cure"],
    "additionalProperties": False,
}
OUTPUT: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "audit_id": _maybe({"type": "string", "format": "uuid"}, "The call's id in the audit log, also as resource calls://ID; null where none is."),
        "outcome": {
            "type": "string",
            "enum": list(Result.values),
            "description": "accepted: RudderStack has the events. rejected: RudderStack refused them. failed: it has not got them. "
            "refused: the gateway did not send them. unknown: it may have them or not, so do not send again without asking. "
            "dry_run: checked, not sent. job: a job was made that sends them; job tells how far it is.",
        },
        "status": {"type": "integer", "description": "The HTTP status that REST would answer."},
        "result": _anything("What RudderStack said, as text or JSON; of a dry run, what would be sent; null for nothing."),
        "events": _maybe({"type": "integer"}, "Events or messages counted; null where nobody counted."),
        "duration_ms": {"type": "integer"},
        "retryable": {"type": "boolean", "description": "Whether the same call again is safe and may help."},
        "retry_after": {"type": "string", "description": "Seconds to wait before that."},
        "job": _JOB,
        "detail": {"type": "string", "description": "What went wrong, and what to do."},
        "reason": {"type": "string", "description": "The same as a code, as in the audit log."},
        "origin": {"type": "string", "enum": ["gateway", "upstream"], "description": "Who said no."},
        "errors": {"type": "array", "items": _FAULT, "description": "Each thing wrong with the arguments; at most 100."},
        "replayed": {"type": "boolean", "description": "true: the recorded answer of an earlier call under the same idempotency_key."},
        "audit_state": {"type": "string", "enum": ["pending"], "description": "pending: the outcome could not be written to the log yet."},
    },
    "required": ["audit_id", "outcome", "status", "result", "events", "duration_ms", "retryable"],
    "additionalProperties": False,
}
"""What every tool gives, also where it refuses."""
