"""Jobs to take in, with storage of their own."""

import os
from datetime import timedelta

import boto3
import pytest
from django.utils import timezone
from moto.server import ThreadedMotoServer

from gateway.jobs import inputs, intake
from gateway.jobs.lease import Lease
from gateway.jobs.models import Job, State
from tests.jobs.making import client_key, slices  # noqa: F401 - fixtures of the engine's tests

BUCKET = "bucket"
OBJECTS = {"BACKEND": "gateway.jobs.storage.ObjectStorage", "OPTIONS": {"bucket_name": BUCKET, "location": "a/prefix"}}
"""Storage in it."""


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


@pytest.fixture(scope="session")
def _s3_server():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(_s3_server, monkeypatch):
    """A client of an S3 with one bucket, which the gateway talks to as well."""
    for name, value in {"ENDPOINT_URL": _s3_server, "ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    inputs._s3.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
    inputs._s3.cache_clear()


def hold(job):
    """A lease of the job, taken from whoever has it."""
    job.refresh_from_db()
    job.lease_token += 1
    job.lease_until = timezone.now() + timedelta(minutes=5)
    job.state = State.RUNNING
    job.save()
    return Lease(job, job.lease_token)


def forget():
    """As after a restart: no reader is kept."""
    while intake._kept:
        intake._kept.popitem()[1].close()


@pytest.fixture(autouse=True)
def _no_readers():
    yield
    forget()
