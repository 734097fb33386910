"""A disk that is really full: a small file system where jobs keep their files."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.making import ids
from tests.system.jobs import arrived, ended, lines, post, read, submit, without_repeats
from tests.waiting import wait_for

EVENTS = 30_000
SIZE = "2m"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own of 2 MiB."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here, which takes root: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def used(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_does_not_fit_is_not_kept_and_a_job_waits_until_there_is_room(gateway_with, full, sandbox):
    gateway = gateway_with(start=False)
    (gateway.folder / "var" / "jobs").symlink_to(full)
    gateway.start_web()
    answer, _ = post(gateway, "", lines(EVENTS), operation="replay")
    assert (answer["status"], answer["reason"]) == (503, "no_disk")
    assert used(full) == []
    assert gateway.get("/v1/jobs").json()["results"] == []
    # Small as it is sent, but not once it is read.
    job, _ = submit(gateway, gzip.compress(lines(EVENTS)))
    gateway.start_worker()
    row = wait_for(lambda: (row := read(gateway, job))["state"] == "paused" and row, 60)
    assert row["reason"] == "disk_full: There is no space left for this job's files. Make some, then resume it."
    # Resumed too early, it says so again.
    assert post(gateway, f"/{job}/resume")[0]["status"] == 200
    wait_for(lambda: read(gateway, job)["state"] == "paused", 30)
    assert segments(full) == json.loads(read(gateway, job)["intake_place"] or "{}").get("segments", 0)
    subprocess.run(["mount", "-o", "remount,size=64m", str(full)], check=True)
    assert post(gateway, f"/{job}/resume")[0]["status"] == 200
    row = ended(gateway, job)
    assert (row["state"], row["events"], row["accepted"], row["possible_duplicates"]) == ("succeeded", EVENTS, EVENTS, 0)
    assert without_repeats(arrived(sandbox)) == ids(EVENTS)


def segments(folder: Path) -> int:
    return len([path for path in used(folder) if path.suffix == ".ndjson"])
