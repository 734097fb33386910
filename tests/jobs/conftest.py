"""A job's surroundings: a client with a key, a sandbox, and a way to work on what is due."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.jobs.engine import Slice, work
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from tests.conftest import RunningSandbox


@pytest.fixture(autouse=True)
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
