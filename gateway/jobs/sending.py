"""From lines to one call: the body by the operation's shape, in the name of the job's client."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from django.conf import settings

from gateway.access.keys import principal_of
from gateway.access.principal import Principal
from gateway.audit.models import Channel
from gateway.contract.body import Body
from gateway.contract.reading import Reading
from gateway.forwarding.admission import DESTINATION, JOB_RUN, SOURCE
from gateway.forwarding.answer import Answer
from gateway.forwarding.forward import forward
from gateway.forwarding.submission import Submission
from gateway.jobs.models import Job
from gateway.operations import OPERATIONS, UPSTREAM_SIZE_LIMIT, Operation, Shape

BODY_BYTES: Final = UPSTREAM_SIZE_LIMIT - 16 * 1024
"""Of a chunk's lines: what a body adds to them, and RudderStack to the body, fits well into the rest."""


class CheckedBody(Body):
    """A batch of events each of which was checked before: only its first is looked at, for the ids of the job run."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        super().__init__(lambda: _batch(lines))
        self._lines = lines

    def quick(self, operation: Operation) -> Reading:
        """The reading, without a look at the rest."""
        first = Body.of(_batch(self._lines[:1]))
        return replace(first.quick(operation) or first.exact(operation).reading, events=len(self._lines))


def source_of(job: Job) -> str:
    """Where the job sends to; "" where the messages say it."""
    operation = OPERATIONS[job.operation]
    return job.source or (str(getattr(settings, operation.default_source)) if operation.default_source else "")


def authorise(job: Job) -> Principal:
    """The job's client, as far as it may send this now; whoever is on the gateway's machine may. Raises NoKeyError, LogUnavailableError."""
    if not job.client:
        return Principal.without_key(job.actor)
    return principal_of(job.client, job.operation, source_of(job))


def send(job: Job, chunk: int, principal: Principal, lines: Sequence[bytes]) -> Answer:
    """Send events, without their newlines, in one call. Raises LogUnavailableError: then nothing was sent."""
    operation = OPERATIONS[job.operation]
    headers = {"Content-Type": "application/json", SOURCE: job.source, DESTINATION: job.destination, JOB_RUN: job.job_run_id}
    return forward(
        Submission(
            principal=principal,
            operation=operation,
            body=_body(operation, lines),
            channel=Channel.JOB,
            address=job.address,
            request_id=job.request_id,
            headers={name: value for name, value in headers.items() if value},
            job=job.id,
            chunk=chunk,
        )
    )


def written(operation: Operation, lines: Sequence[bytes]) -> bytes:
    """The bytes of the body that these events are sent in."""
    if operation.shape is Shape.BATCH:
        return _batch(lines)
    return b"[%s]" % b",".join(lines) if operation.shape is Shape.MESSAGES else lines[0]


def _body(operation: Operation, lines: Sequence[bytes]) -> Body:
    if operation.shape is Shape.BATCH:
        return CheckedBody(lines)
    # Sources of messages are authorised as they are read, and one event is soon read.
    return Body.of(written(operation, lines))


def _batch(lines: Sequence[bytes]) -> bytes:
    return b'{"batch":[%s]}' % b",".join(lines)
