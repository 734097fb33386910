"""Threads for what waits for the database or for RudderStack: of calls as many as on REST, and a few apart for what only reads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final, TypeVar

from django.conf import settings
from django.db import close_old_connections

from gateway.forwarding.answer import Refusal
from gateway.ingress.trouble import Trouble
from gateway.upstream.flight import Cancellation, CancelledError

_T = TypeVar("_T")
QUEUE_SECONDS: Final = 30.0
"""A call that waited longer for a thread is not sent."""
_PAGE_THREADS: Final = 8
_KEY_THREADS: Final = 2


class Threads:
    """Three pools, so that neither slow calls nor slow pages keep anybody from being let in.

    No signal of Django's is sent here, so connections are looked after round each piece of work.
    """

    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(settings.GATEWAY_WEB_THREADS, "call")
        self._pages = ThreadPoolExecutor(_PAGE_THREADS, "page")
        self._keys = ThreadPoolExecutor(_KEY_THREADS, "page-key")

    async def call(self, work: Callable[[Cancellation, Refusal | None], _T]) -> _T:
        """Run a call. Cancelled, it stops waiting for RudderStack and records what it is then; one that has not begun never does."""
        cancellation, queued = Cancellation(), monotonic()
        # The pool keeps what was given up in its queue, until a thread comes to it: then it must not hold a body any more.
        waiting = [work]
        del work

        def run() -> _T:
            try:
                begun = waiting.pop()
            except IndexError:
                raise CancelledError from None
            late = monotonic() - queued > QUEUE_SECONDS
            return _with_connections(lambda: begun(cancellation, Trouble.NO_THREAD.refusal() if late else None))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._calls, run)
        except asyncio.CancelledError:
            waiting.clear()
            cancellation.ask()
            raise

    async def read(self, work: Callable[[], _T]) -> _T:
        """Run what reads the log."""
        return await asyncio.get_running_loop().run_in_executor(self._pages, lambda: _with_connections(work))

    async def look_up(self, work: Callable[[], _T]) -> _T:
        """Run what finds out whose a key is."""
        return await asyncio.get_running_loop().run_in_executor(self._keys, lambda: _with_connections(work))

    def close(self) -> None:
        """Wait for calls on their way: each writes its outcome first."""
        self._calls.shutdown()
        self._pages.shutdown()
        self._keys.shutdown()


def _with_connections(work: Callable[[], _T]) -> _T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
