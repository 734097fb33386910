"""Threads for calls: what is given up while it waits."""

import asyncio
import gc
import threading
import weakref

from gateway.mcp_server.threads import Threads


class Arguments:
    """What a call holds, and that can be watched."""


def test_a_call_that_is_given_up_in_the_queue_holds_nothing_and_never_begins(settings):
    settings.GATEWAY_WEB_THREADS = 1
    begun, end, made = threading.Event(), threading.Event(), []

    def occupy(*_):
        begun.set()
        end.wait(20)

    def work_with(held):
        return lambda *_: made.append(held)

    async def work():
        threads = Threads()
        first = asyncio.create_task(threads.call(occupy))
        await asyncio.to_thread(begun.wait, 20)
        held = Arguments()
        watched = weakref.ref(held)
        waiting = asyncio.create_task(threads.call(work_with(held)))
        del held
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
        del waiting
        gc.collect()
        gone = watched() is None
        end.set()
        await first
        await asyncio.to_thread(threads.close)
        return gone

    try:
        assert asyncio.run(work())
    finally:
        end.set()
    assert made == []
