"""Files that wait for the log."""

import os
import shlex
import shutil
import subprocess
import sys
from multiprocessing import get_context

import pytest

from gateway.audit.spool import Spool


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "pending")
    spool.prepare()
    return spool


def test_what_is_put_is_there_until_it_is_dropped_also_for_another_process(spool, tmp_path):
    spool.put("b.outcome", b"2")
    spool.put("a.outcome", b"1")
    later = Spool(tmp_path / "pending")
    assert later.names() == ["a.outcome", "b.outcome"]
    assert later.get("a.outcome") == b"1"
    later.drop("a.outcome")
    assert spool.names() == ["b.outcome"]
    with pytest.raises(FileNotFoundError):
        spool.get("a.outcome")


def test_only_the_owner_can_read_it(spool, tmp_path):
    spool.put("a.outcome", b"1")
    assert (tmp_path / "pending").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "pending" / "a.outcome").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_not_finished_does_not_count(spool, tmp_path):
    (tmp_path / "pending" / ".c.outcome").write_bytes(b"half")
    assert spool.names() == []


def test_what_is_set_aside_is_kept_for_people_only(spool, tmp_path):
    spool.put("a.outcome", b"1")
    spool.set_aside("a.outcome")
    assert spool.names() == []
    assert (tmp_path / "pending" / "aside" / "a.outcome").read_bytes() == b"1"


def test_a_folder_that_cannot_be_used_costs_only_the_restart(tmp_path, caplog):
    (tmp_path / "pending").write_text("a file in the way")
    spool = Spool(tmp_path / "pending")
    spool.prepare()
    spool.put("a.outcome", b"1")
    assert (spool.names(), spool.get("a.outcome")) == (["a.outcome"], b"1")
    assert "in memory only" in caplog.text
    spool.drop("a.outcome")
    assert spool.names() == []


def _alone(folder, found):
    with Spool(folder).alone() as alone:
        found.put(alone)


def test_one_process_at_a_time_is_alone(spool, tmp_path):
    context = get_context("spawn")
    found = context.Queue()
    for _ in range(2):
        with spool.alone() as alone:
            assert alone
            other = context.Process(target=_alone, args=(tmp_path / "pending", found))
            other.start()
            assert found.get(timeout=20) is False
            other.join()


FULL = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from gateway.audit.spool import Spool
folder = Path("disk/pending")
spool = Spool(folder)
spool.prepare()
try:
    with open("disk/other", "wb", buffering=0) as other:
        while other.write(b"x" * 4096):
            pass
except OSError:
    pass
spool.put("a.outcome", b"1" * 100_000)
assert (folder / "a.outcome").read_bytes() == b"1" * 100_000, "not on disk"
"""


def test_on_a_full_disk_there_is_room(tmp_path):
    if not shutil.which("unshare"):
        pytest.skip("unshare is missing: apt-get install util-linux")
    (tmp_path / "disk").mkdir()
    script = FULL.format(root=os.getcwd())
    command = f"mount -t tmpfs -o size=8m tmpfs disk && exec {sys.executable} -c {shlex.quote(script)}"
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this system lets nobody mount a disk of his own to fill")
    assert done.returncode == 0, done.stderr
