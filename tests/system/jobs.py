"""Jobs of a gateway in processes of its own: made, read, and what arrived of them."""

import json
import time
from collections.abc import Sequence
from typing import Any

from tests.conftest import RunningSandbox
from tests.jobs.making import event
from tests.processes import Gateway
from tests.waiting import wait_for

_MAKE = "from tests.jobs.making import *; print(make_job(events({events}), segment_events=3000, {fields}).id)"
_READ = "from gateway.jobs.models import Job; from django.core.serializers import serialize; print(serialize('json', [Job.objects.get(id='{id}')]))"


def make(gateway: Gateway, events: int, **fields: object) -> str:
    """A job that is taken in already, and of which no message tells."""
    text = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return gateway.manage("shell", "--verbosity", "0", "-c", _MAKE.format(events=events, fields=text)).split()[-1]


def lines(events: int) -> bytes:
    """So many events, one a line."""
    return b"".join(json.dumps(event(number)).encode() + b"\n" for number in range(events))


def post(gateway: Gateway, path: str, content: bytes = b"", **query: Any) -> tuple[dict[str, Any], float]:
    """The answer's body, with its status, and how many seconds it took."""
    headers = {"Authorization": f"Bearer {gateway.key}"}
    began = time.monotonic()
    answer = gateway.http.post(f"{gateway.url}/v1/jobs{path}", data=content, params=query, headers=headers, timeout=60)
    return {**answer.json(), "status": answer.status_code}, time.monotonic() - began


def submit(gateway: Gateway, content: bytes, **query: Any) -> tuple[str, float]:
    """A replay by REST: its id, and how many seconds the answer took."""
    job, seconds = post(gateway, "", content, operation="replay", **query)
    assert job["status"] == 202, job
    return job["id"], seconds


def read(gateway: Gateway, job: str) -> dict[str, Any]:
    """Its row."""
    return json.loads(gateway.manage("shell", "--verbosity", "0", "-c", _READ.format(id=job)).splitlines()[-1])[0]["fields"]


def ended(gateway: Gateway, job: str) -> dict[str, Any]:
    """Its row once it has ended by itself."""
    return wait_for(lambda: (row := read(gateway, job))["ended_at"] and row, 120)


def arrived(sandbox: RunningSandbox) -> list[list[str]]:
    """The messageIds of each request that was stored, in order."""
    batches, page = [], sandbox.page(0)
    while page:
        batches += [[row["messageId"] for row in json.loads(one["body"])["batch"]] for one in page if one["stored"]]
        page = sandbox.page(page[-1]["number"])
    return batches


def without_repeats(batches: Sequence[list[str]]) -> list[str]:
    """All ids in order, of a chunk sent again at once the first sending alone."""
    return [one for before, batch in zip([None, *batches], batches, strict=False) if batch != before for one in batch]
