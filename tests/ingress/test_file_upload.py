"""A body that goes into a file: whole, from known keys only, and gone afterwards unless somebody moved it."""

import asyncio
import os

import pytest

from gateway.ingress.file_upload import FileUpload
from gateway.ingress.trouble import Trouble


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.GATEWAY_BODY_SECONDS = 0.2
    return tmp_path / "media"


def take_in(messages, headers, known=True, limit=10_000_000):
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        await asyncio.sleep(left[0].pop("after", 0))
        return left.pop(0)

    async def is_known(authorization):
        return known

    async def work():
        upload = FileUpload({"headers": headers}, receive, limit)
        await upload.take_in(is_known)
        return upload

    return asyncio.run(work())


def part(content, more=False, **extra):
    return {"type": "http.request", "body": content, "more_body": more, **extra}


CHUNKED = [(b"transfer-encoding", b"chunked")]


def test_it_is_taken_in_whole_in_whatever_pieces_and_goes_in_the_end(folder):
    upload = take_in([part(b"a" * 3_000_000, True), part(b"", True), part(b"bc")], CHUNKED)
    assert upload.trouble is None
    assert upload.stream.read() == b"a" * 3_000_000 + b"bc"
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
    upload.let_go()
    assert list(folder.iterdir()) == []


def test_what_was_moved_away_stays(folder, tmp_path):
    upload = take_in([part(b"abc")], CHUNKED)
    os.rename(upload.stream.name, tmp_path / "kept")
    upload.let_go()
    assert (tmp_path / "kept").read_bytes() == b"abc"


def test_each_part_has_its_time_not_the_whole():
    slow = [part(b"x", True, after=0.1) for _ in range(4)]
    upload = take_in([*slow, part(b"y")], CHUNKED)
    assert upload.stream.read() == b"xxxxy"
    upload.let_go()


@pytest.mark.parametrize(
    ("messages", "headers", "options", "trouble"),
    [
        ([part(b"ab", True), {"type": "http.disconnect"}], CHUNKED, {}, Trouble.CUT),
        ([part(b"ab", True)], CHUNKED, {}, Trouble.TOO_SLOW),
        ([], [(b"content-length", b"1001")], {"limit": 1000}, Trouble.TOO_LARGE),
        ([part(b"x" * 600, True), part(b"x" * 600, True)], CHUNKED, {"limit": 1000}, Trouble.TOO_LARGE),
        ([part(b"x")], [(b"content-length", b"1")], {"known": False}, Trouble.FROM_STRANGER),
    ],
)
def test_what_is_no_whole_upload_says_why_and_leaves_nothing(folder, messages, headers, options, trouble):
    upload = take_in(messages, headers, **options)
    assert upload.trouble is trouble
    upload.let_go()
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_full_disk_says_so(folder, monkeypatch):
    def full(**_):
        (folder / "full").symlink_to("/dev/full")
        return os.open(os.devnull, os.O_RDONLY), str(folder / "full")

    monkeypatch.setattr("gateway.jobs.incoming.tempfile.mkstemp", full)
    upload = FileUpload({"headers": CHUNKED}, None, 10)
    left = [part(b"abc")]

    async def receive():
        return left.pop()

    async def known(_):
        return True

    upload._receive = receive
    asyncio.run(upload.take_in(known))
    assert upload.trouble is Trouble.NO_DISK
    upload.let_go()


def test_where_nothing_comes_there_is_no_file(folder):
    upload = take_in([], [(b"content-length", b"0")])
    assert (upload.trouble, upload.stream.read()) == (None, b"")
    upload.let_go()
    assert not folder.exists()
