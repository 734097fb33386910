"""Jobs as intake leaves them: every event in a segment."""

import json
from collections.abc import Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.access.models import Client
from gateway.audit.models import Channel
from gateway.jobs.models import Format, Job, Segment

_names = count(1)


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
