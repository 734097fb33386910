"""Jobs to take in, with storage of their own."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from gateway.jobs import intake
from gateway.jobs.engine import Slice
from gateway.jobs.lease import Lease, claim
from gateway.jobs.models import Job, State
from tests.conftest import RunningSandbox


@pytest.fixture
def storage(settings, tmp_path):
    """The folder that storage keeps its files in."""
    settings.MEDIA_ROOT = str(tmp_path / "storage")
    os.makedirs(settings.MEDIA_ROOT)
    return tmp_path / "storage"


@pytest.fixture
def make_job(storage, db):
    """Makes a job; its input is bytes, or an address."""

    def make(content=b"", form="ndjson", operation="replay", **fields):
        name = content
        if isinstance(content, bytes):
            name = f"input-{len(os.listdir(storage))}"
            (storage / name).write_bytes(content)
        now = timezone.now()
        fields = {"client": "c", "actor": "tests", "channel": "rest", "request_id": "r", "due_at": now, "created_at": now, **fields}
        return Job.objects.create(format=form, operation=operation, input=name, **fields)

    return make


def hold(job):
    """A lease of the job, taken from whoever has it."""
    job.refresh_from_db()
    job.lease_token += 1
    job.lease_until = timezone.now() + timedelta(minutes=5)
    job.state = State.RUNNING
    job.save()
    return Lease(job, job.lease_token)


@pytest.fixture(autouse=True)
def _no_readers():
    yield
    for reader in intake._kept.values():
        reader.close()
    intake._kept.clear()


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
