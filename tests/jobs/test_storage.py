"""Jobs with their files in S3: the whole way, and S3's errors as those of a disk."""

import json
import os
import subprocess
import sys

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command

from gateway.jobs import engine, housekeeping
from gateway.jobs.lease import claim
from gateway.jobs.models import Failure, Job
from tests.conftest import EVENT
from tests.jobs.conftest import BUCKET, OBJECTS
from tests.jobs.making import arrived
from tests.processes import ROOT, free_port


@pytest.fixture
def objects(s3, settings, storage):
    settings.STORAGES = {**settings.STORAGES, "default": OBJECTS}
    return lambda: [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


@pytest.mark.django_db(transaction=True)
def test_a_job_from_upload_to_clearing(objects, sandbox, tmp_path, settings):
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps({**EVENT, "messageId": f"m-{number}"}) + "\n" for number in range(500)) + "no event\n")
    settings.GATEWAY_SEGMENT_DAYS = 0
    call_command("submit_job", str(path), "--operation", "replay", "--job-run-id", "none", "--chunk-events", "100")
    job = Job.objects.get()
    assert objects() == [f"a/prefix/uploads/{job.id}"]
    assert not os.listdir(settings.MEDIA_ROOT)
    engine.work(claim(), 30)
    job.refresh_from_db()
    assert (job.state, job.accepted, job.faulty) == ("succeeded", 500, 1)
    assert arrived(sandbox) == [f"m-{number}" for number in range(500)]
    assert any(name.startswith(f"a/prefix/{job.id}/0.") for name in objects())
    housekeeping.clear()
    assert not objects()
    assert Failure.objects.get().event == ""


def test_what_is_not_there_is_told_as_on_a_disk(objects):
    with pytest.raises(FileNotFoundError):
        default_storage.open("nothing")
    assert default_storage.listdir("nothing") == ([], [])
    default_storage.delete("nothing")


@pytest.mark.parametrize(
    "use",
    [
        lambda: default_storage.open("a"),
        lambda: default_storage.save("a", ContentFile(b"a")),
        lambda: default_storage.delete("a"),
        lambda: default_storage.listdir("a"),
    ],
)
def test_an_s3_that_does_not_answer_is_an_error_of_the_system(settings, monkeypatch, use):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    address = {"bucket_name": BUCKET, "endpoint_url": f"http://127.0.0.1:{free_port()}", "access_key": "id", "secret_key": "key"}
    settings.STORAGES = {**settings.STORAGES, "default": {**OBJECTS, "OPTIONS": address}}
    with pytest.raises(OSError, match="S3 says EndpointConnectionError"):
        use()


def test_a_bucket_that_is_not_there_is_an_error_of_the_system(objects, settings):
    settings.STORAGES = {**settings.STORAGES, "default": {**OBJECTS, "OPTIONS": {"bucket_name": "another"}}}
    with pytest.raises(OSError, match="S3 says NoSuchBucket"):
        default_storage.save("a", ContentFile(b"a"))


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_is_gone_ends_the_job(objects, sandbox, tmp_path, s3):
    path = tmp_path / "events.ndjson"
    path.write_text(json.dumps(EVENT))
    call_command("submit_job", str(path), "--operation", "replay")
    s3.delete_object(Bucket=BUCKET, Key=objects()[0])
    engine.work(claim(), 30)
    assert Job.objects.get().reason == "input_missing: The input is not there."


def test_the_setting_names_bucket_and_prefix():
    code = "from django.conf import settings; print(settings.STORAGES['default'])"
    env = {**os.environ, "GATEWAY_JOBS_STORAGE": "s3://some-bucket/a/b/"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "'bucket_name': 'some-bucket', 'location': 'a/b'" in done.stdout
