"""Cancelling by name, in this process and in another."""

import asyncio
import os
import time

from gateway.mcp_server import cancellations
from gateway.mcp_server.cancellations import Cancellations

NAME = ("rgw_abcdefgh", "session", 7)


async def endless():
    await asyncio.Event().wait()


def run(work):
    return asyncio.run(work())


async def ended(*works):
    """Wait for tasks; whether each was cancelled."""
    await asyncio.wait(works, timeout=20)
    return [work.cancelled() for work in works]


def test_a_request_here_is_cancelled_at_once(tmp_path):
    async def work():
        own = Cancellations(tmp_path / "cancelled")
        one, other = asyncio.create_task(endless()), asyncio.create_task(endless())
        own.add(NAME, one)
        own.add((*NAME[:2], "7"), other)
        own.cancel(NAME)
        cancelled = await ended(one)
        still = not other.done()
        own.cancel((*NAME[:2], "7"))
        return [*cancelled, still, *await ended(other)]

    assert run(work) == [True, True, True]
    assert not (tmp_path / "cancelled").exists()


def test_a_request_in_another_process_is_cancelled_by_a_file(tmp_path):
    async def work():
        here, there = Cancellations(tmp_path / "cancelled"), Cancellations(tmp_path / "cancelled")
        one, other = asyncio.create_task(endless()), asyncio.create_task(endless())
        there.add(NAME, one)
        there.add(("rgw_other123", *NAME[1:]), other)
        here.cancel(NAME)
        cancelled = await ended(one)
        there.remove(NAME, one)
        still = not other.done()
        other.cancel()
        return [*cancelled, still, *await ended(other)]

    assert run(work) == [True, True, True]
    assert list((tmp_path / "cancelled").iterdir()) == []


def test_a_file_holds_nothing_of_the_name(tmp_path):
    async def work():
        Cancellations(tmp_path).cancel(("rgw_abcdefgh", "../session", "\ud800/../7"))

    run(work)
    [path] = tmp_path.iterdir()
    assert len(path.name) == 64
    assert path.read_bytes() == b""


def test_what_is_over_is_not_cancelled(tmp_path):
    async def work():
        own = Cancellations(tmp_path / "cancelled")
        one = asyncio.create_task(endless())
        own.add(NAME, one)
        own.remove(NAME, one)
        own.remove(NAME, one)
        own.cancel(NAME)
        await asyncio.sleep(0)
        still = not one.done()
        one.cancel()
        await ended(one)
        return still

    assert run(work)


def test_old_files_are_cleared_up_and_there_are_never_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(cancellations, "_MOST", 3)

    async def work():
        own = Cancellations(tmp_path)
        for number in range(10):
            own.cancel((*NAME[:2], number))

    run(work)
    assert len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))
    run(work)
    assert len(list(tmp_path.iterdir())) == 3
    assert all(time.time() - path.stat().st_mtime < 30 for path in tmp_path.iterdir())


def test_nobody_looks_for_files_while_there_are_no_requests(tmp_path, monkeypatch):
    monkeypatch.setattr(cancellations, "SECONDS", 0.01)

    async def work():
        own = Cancellations(tmp_path)
        assert own._looking is None
        one = asyncio.create_task(endless())
        own.add(NAME, one)
        own.remove(NAME, one)
        await asyncio.wait([own._looking], timeout=20)
        over = own._looking.done()
        own.add(NAME, one)
        again = not own._looking.done()
        own.cancel(NAME)
        await ended(one)
        own.remove(NAME, one)
        await asyncio.wait([own._looking], timeout=20)
        return over, again

    assert run(work) == (True, True)


def test_a_late_cancel_does_not_hit_a_later_request_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.setattr(cancellations, "SECONDS", 0.01)

    async def work():
        own = Cancellations(tmp_path / "cancelled")
        own.cancel(NAME)
        await asyncio.sleep(0.3)
        one = asyncio.create_task(endless())
        own.add(NAME, one)
        await asyncio.sleep(0.2)
        still = not one.done()
        own.cancel(NAME)
        return [still, *await ended(one)]

    assert run(work) == [True, True]
    assert list((tmp_path / "cancelled").iterdir()) == []


def test_the_end_of_one_request_leaves_another_of_its_name(tmp_path):
    async def work():
        own = Cancellations(tmp_path / "cancelled")
        one, other = asyncio.create_task(endless()), asyncio.create_task(endless())
        own.add(NAME, one)
        own.add(NAME, other)
        own.remove(NAME, one)
        own.cancel(NAME)
        cancelled = await ended(other)
        one.cancel()
        return [*cancelled, *await ended(one)]

    assert run(work) == [True, True]
    assert not (tmp_path / "cancelled").exists()
