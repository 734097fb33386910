"""What can be read: calls://ID, a call as the audit log has it, masked; jobs://ID, a job; operations://NAME, what an operation takes."""

import json
import uuid
from dataclasses import replace
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from mcp_types import Resource, ResourceTemplate, TextResourceContents

from gateway.audit import view
from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.shape import shape
from gateway.audit.view import Query, Record
from gateway.contract.faults import ANSWERS
from gateway.contract.schemas import body_schema
from gateway.jobs.models import Job
from gateway.jobs.shape import shape as shape_of_job
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.schemas import EVENTS, JOBS, example_arguments
from gateway.operations import OPERATIONS, Credential, Operation, Shape

JSON: Final = "application/json"
_CALLS: Final = "calls://"
_OPERATIONS: Final = "operations://"
_LISTED: Final = 20
TEMPLATES: Final = [
    ResourceTemplate(
        uri_template="calls://{id}",
        name="call",
        title="A call in the audit log",
        description="Who sent what, when, and what came of it. The id is the audit_id of a tool's result. Bodies are not shown.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template=f"{JOBS}{{id}}",
        name="job",
        title="A job",
        description="How far it is, and what came of its events so far. The id is that of job in a tool's result.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template="operations://{name}",
        name="operation",
        title="An operation",
        description=f"What it takes, an example, and its rules. The name is one of {', '.join(OPERATIONS)}, or the tool's.",
        mime_type=JSON,
    ),
]


def resources_for(caller: Caller) -> list[Resource]:
    """The operations, and the last calls and jobs that the key may see. Raises LogUnavailableError."""
    listed = [
        Resource(uri=f"{_OPERATIONS}{operation.name}", name=operation.name, title=operation.description, description=operation.help, mime_type=JSON)
        for operation in OPERATIONS.values()
    ]
    for record in find(caller, Query(limit=_LISTED)):
        call = record.call
        title = f"{call.operation} at {call.at:%Y-%m-%d %H:%M:%S} UTC: {record.result}"
        listed.append(Resource(uri=f"{_CALLS}{call.id}", name=str(call.id), title=title, mime_type=JSON))
    with available(), using_log():
        jobs = list(_jobs(caller).order_by("-id")[:_LISTED])
    for job in jobs:
        title = f"{job.operation} as a job, at {job.created_at:%Y-%m-%d %H:%M:%S} UTC: {job.state}"
        listed.append(Resource(uri=f"{JOBS}{job.id}", name=str(job.id), title=title, mime_type=JSON))
    return listed


def read(uri: str, caller: Caller) -> TextResourceContents | None:
    """The resource of this address; None where there is none, or it is not the key's to see. Raises LogUnavailableError."""
    document: Any = None
    if uri.startswith(_OPERATIONS):
        name = uri.removeprefix(_OPERATIONS)
        operation = OPERATIONS.get(name) or next((one for one in OPERATIONS.values() if one.tool == name), None)
        document = _operation(operation) if operation else None
    elif uri.startswith(_CALLS):
        document = _call(uri.removeprefix(_CALLS), caller)
    elif uri.startswith(JOBS):
        document = _job(uri.removeprefix(JOBS), caller)
    return TextResourceContents(uri=uri, mime_type=JSON, text=as_text(document)) if document else None


def find(caller: Caller, query: Query) -> list[Record]:
    """Calls that the key may see, newest first. Raises LogUnavailableError."""
    own = replace(query, equal={**query.equal, **caller.principal.own_calls})
    with available(), using_log():
        return view.find(own)[0]


def as_text(document: Any) -> str:
    """JSON with its times as REST writes them."""
    return json.dumps(document, ensure_ascii=False, indent=1, default=lambda time: time.isoformat().replace("+00:00", "Z"))


def _call(name: str, caller: Caller) -> dict[str, Any] | None:
    call_id = _id(name)
    if call_id is None:
        return None
    with available(), using_log():
        record = view.get(call_id, caller.principal.own_calls.get("client"))
    return shape(record) if record else None


def _job(name: str, caller: Caller) -> dict[str, Any] | None:
    job_id = _id(name)
    if job_id is None:
        return None
    with available(), using_log():
        job = _jobs(caller).filter(id=job_id).first()
    return shape_of_job(job) if job else None


def _jobs(caller: Caller) -> QuerySet[Job]:
    return Job.objects.filter(**caller.principal.own_calls)


def _id(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


def _operation(operation: Operation) -> dict[str, Any]:
    default = getattr(settings, operation.default_source) if operation.default_source else None
    rules = {
        "size_limit_bytes": min(operation.size_limit or settings.GATEWAY_MAX_BODY_BYTES, settings.GATEWAY_MAX_BODY_BYTES),
        "source": _SOURCES[operation.credential],
        "default_source": default or None,
        "destination_id": "one destination of the source" if operation.takes_destination else "passed on, and of no effect",
        "as_a_job": _AS_A_JOB[operation.shape],
        "type": f"set to {operation.sets_type}" if operation.sets_type else "as given",
        "refusals": {reason: {"status": status, "text": text} for reason, (status, text) in ANSWERS.items()},
    }
    return {
        "name": operation.name,
        "tool": operation.tool,
        "description": f"{operation.description}. {operation.help}",
        "body": body_schema(operation),
        "example_arguments": example_arguments(operation),
        "rules": rules,
    }


_ASKED: Final = "made where respond_async is true"
_AS_A_JOB: Final = {
    Shape.EVENT: f"{_ASKED}, or where the argument {EVENTS} has several events in place of event",
    Shape.BATCH: f"{_ASKED}, or where the body is over RudderStack's limit (size_limit_bytes), but within the gateway's",
    Shape.MESSAGES: _ASKED,
}
_SOURCES: Final = {
    Credential.WRITE_KEY: "argument source, else the default; the gateway must have its write key",
    Credential.SOURCE_HEADER: "argument source, else the default",
    Credential.NONE: "in every message, at /properties/sourceID; the key must be allowed to send to each",
}
