"""Jobs as intake leaves them, every event in a segment; working on them, and what arrived."""

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.access.models import Client
from gateway.audit.models import Channel
from gateway.jobs.engine import Slice, work
from gateway.jobs.lease import claim
from gateway.jobs.models import Format, Job, Segment
from tests.conftest import RunningSandbox


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Order Completed", "userId": f"u-{number % 7}", "messageId": f"m-{number}", **fields}


def events(number: int) -> list[dict[str, Any]]:
    return [event(index) for index in range(number)]


def make_job(content: Sequence[Any], *, segment_events: int = 1000, first_line: int = 1, **fields: Any) -> Job:
    """A job of these events (what is bytes is taken as it is), due now, all taken in. Its client is the one named tester."""
    now = timezone.now()
    usual = {"operation": "replay", "client": str(Client.objects.get(name="tester").id), "actor": "tester", "channel": Channel.REST}
    usual |= {"request_id": "r-1", "format": Format.NDJSON, "input": "input", "taken_in": True, "events": len(content), "due_at": now}
    job = Job.objects.create(**{**usual, "created_at": now, **fields})
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in content]
    for number, start in enumerate(range(0, len(lines), segment_events)):
        part = lines[start : start + segment_events]
        body = b"".join(line + b"\n" for line in part)
        path = default_storage.save(f"{job.id}/{number}.ndjson", ContentFile(body))
        Segment.objects.create(
            job=job, number=number, path=path, first_event=start, events=len(part), bytes=len(body), sha256=sha256(body).hexdigest(),
            places=json.dumps([[0, "", first_line + start]]),
        )  # fmt: skip
    return job


def run(job: Job, seconds: float = 60.0) -> Job:
    """Work one slice on it, which must be the most urgent; as it is then."""
    lease = claim()
    assert lease is not None
    assert lease.job == job
    work(lease, seconds)
    job.refresh_from_db()
    return job


def batches(sandbox: RunningSandbox) -> list[list[str]]:
    """The messageIds of each stored request, in order."""
    found = []
    for request in sandbox.received():
        if request["stored"]:
            body = json.loads(request["body"])
            rows = body["batch"] if isinstance(body, dict) and "batch" in body else body if isinstance(body, list) else [body]
            found.append([row["payload"]["messageId"] if "payload" in row else row["messageId"] for row in rows])
    return found


def arrived(sandbox: RunningSandbox) -> list[str]:
    """The messageIds that arrived, in order."""
    return [one for batch in batches(sandbox) for one in batch]


def ids(number: int) -> list[str]:
    return [f"m-{index}" for index in range(number)]


@pytest.fixture
def client_key(transactional_db: None, make_key: Callable[..., str], sandbox: RunningSandbox, settings: Any, tmp_path: Any) -> str:
    """The key of the client that jobs are of. Threads send, so rows are committed."""
    settings.MEDIA_ROOT = tmp_path
    return make_key()


@pytest.fixture
def slices() -> Iterator[Callable[[], Slice]]:
    """Claims what is due, for a test to go step by step."""
    made: list[Slice] = []

    def claimed() -> Slice:
        lease = claim()
        assert lease is not None
        made.append(Slice(lease))
        return made[-1]

    yield claimed
    for one in made:
        one.close()
