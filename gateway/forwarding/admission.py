"""Whether a submission may go out, and as what: rights first, then the body, then the rights to the sources named in it."""

import base64
import re
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from gateway.contract.body import BodyTooLargeError
from gateway.contract.faults import ANSWERS, Fault
from gateway.contract.reading import Reading
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.operations import Credential, Operation

SOURCE: Final = "X-Rudder-Source-Id"
DESTINATION: Final = "X-Rudder-Destination-Id"
JOB_RUN: Final = "X-Rudder-Job-Run-Id"
PASSED_ON: Final = ("Content-Type", "Content-Encoding", JOB_RUN, "X-Rudder-Task-Run-Id", DESTINATION, "AnonymousId", "traceparent")
"""The caller's headers that go to RudderStack. All others stay here, its Authorization first of all."""


SENDABLE: Final = re.compile(r"[!-+\--~](?:[ -+\--~]*[!-+\--~])?")


@dataclass(frozen=True, slots=True)
class Admission:
    """A submission that may go out: the effective source and destination, what the body holds, the headers to send.

    `faults` are what the exact check would have refused, where GATEWAY_VALIDATION is observe.
    """

    source: str
    destination: str
    job_run_id: str
    reading: Reading
    headers: dict[str, str]
    faults: tuple[Fault, ...] = ()


def admit(submission: Submission) -> Admission:
    """Raises Refusal, and what reading the body raises."""
    operation, source = submission.operation, authorise(submission)
    try:
        reading, faults = _check(submission)
        if operation.credential is Credential.NONE:
            source = _authorise_sources(submission, reading, faults)
    except Refusal as refusal:
        refusal.source = refusal.source or source
        raise
    return Admission(
        source=source,
        destination=submission.header(DESTINATION) if operation.takes_destination else "",
        job_run_id=reading.job_run_id or ("" if operation.credential is Credential.NONE else submission.header(JOB_RUN)),
        reading=reading,
        headers=_headers(submission, source, reading),
        faults=faults,
    )


def authorise(submission: Submission) -> str:
    """The effective source, of an internal batch only the one in the header. No look at the body."""
    operation, principal = submission.operation, submission.principal
    if not principal.may_use(operation.name):
        raise Refusal(403, "operation_not_allowed", f"This key may not use {operation.name}.")
    source = submission.header(SOURCE) or (str(getattr(settings, operation.default_source)) if operation.default_source else "")
    if operation.credential is Credential.NONE and not source:
        return ""
    if not source:
        raise Refusal(400, "no_source", f"No source: send {SOURCE}, or set {operation.default_source} for a default.")
    if not principal.may_send_to(source):
        raise Refusal(403, "source_not_allowed", "This key may not send to this source.")
    if operation.credential is Credential.WRITE_KEY and not settings.RUDDERSTACK_USER and source not in settings.RUDDERSTACK_WRITE_KEYS:
        raise Refusal(400, "no_write_key", "The gateway has no write key for this source: add it to RUDDERSTACK_WRITE_KEYS, as source=key.")
    return source


def _check(submission: Submission) -> tuple[Reading, tuple[Fault, ...]]:
    """What the body holds. Raises Refusal where the exact check refuses, unless that is only observed."""
    operation, body = submission.operation, submission.body
    try:
        reading = None if submission.dry_run else body.quick(operation)
        if reading is not None:
            return reading, ()
        verdict = body.exact(operation)
    except BodyTooLargeError as error:
        raise too_large(operation, error.limit) from None
    if verdict.own:
        raise Refusal(400, verdict.own[0].reason, f"The gateway does not send this: {verdict.own[0].detail}", verdict.own)
    if verdict.reason is None:
        return verdict.reading, ()
    limited = operation.credential is Credential.NONE and not submission.principal.may_send_to_all
    if settings.GATEWAY_VALIDATION == "strict" or limited:
        # Sources that cannot be read for sure are never sent to for a client that may use only some of them.
        status, text = ANSWERS[verdict.reason]
        refusal = Refusal(413 if status == 413 else 400, verdict.reason, f'RudderStack would refuse this: "{text}".', verdict.faults)
        refusal.events = verdict.reading.events or None
        raise refusal
    return verdict.reading, verdict.faults


def too_large(operation: Operation, limit: int) -> Refusal:
    """Of a body over our own limit, in bytes."""
    most = f"A body of {operation.name} may have at most {limit:,} bytes, received and unpacked (GATEWAY_MAX_BODY_BYTES)."
    return Refusal(413, "body_too_large", f"{most} Send it in smaller parts, or to POST /v1/jobs, which takes more.")


def _authorise_sources(submission: Submission, reading: Reading, faults: tuple[Fault, ...]) -> str:
    """Every message's source, as RudderStack will read it. Returns the one source, or all with commas between."""
    for source, index in reading.sources.items():
        if not submission.principal.may_send_to(source):
            place = Fault(
                f"/{index}/properties/sourceID", "source_not_allowed", "This key may not send to this source.", "Send to a source of yours."
            )
            refusal = Refusal(403, "source_not_allowed", "This key may not send to a source that a message names.", (place, *faults))
            refusal.source, refusal.events = ",".join(sorted(reading.sources)), reading.events
            raise refusal
    return ",".join(sorted(reading.sources))


def _headers(submission: Submission, source: str, reading: Reading) -> dict[str, str]:
    headers = {name: value for name in PASSED_ON if (value := submission.header(name))}
    if submission.operation.credential is not Credential.NONE or SENDABLE.fullmatch(source):
        # An internal batch names its sources in the messages, perhaps several, or one that no header can carry: RudderStack reads them there.
        headers[SOURCE] = source
    if submission.address:
        headers["X-Forwarded-For"] = submission.address
    if submission.operation.sends_batch_size:
        headers["X-Batch-Size"] = str(reading.events)
    user, password = settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS
    if not user and submission.operation.credential is Credential.WRITE_KEY:
        user, password = settings.RUDDERSTACK_WRITE_KEYS[source], ""
    if user:
        headers["Authorization"] = basic(user, password)
    return headers


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
