"""Requests on their way that their client may cancel by name, in whichever process of this machine they are.

A cancel can arrive at another process than the request did: then it leaves a file, which the others look for while they have requests.
"""

import asyncio
import logging
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, Final

_logger = logging.getLogger(__name__)
SECONDS: Final = 0.2
"""Between two looks for files of others."""
_OLDEST: Final = 30.0
"""Seconds that a file is left for: by then no request is on its way any more."""
_MOST: Final = 1000
_CLOCK: Final = 0.1
"""Seconds that a file's time may be behind the clock."""
Name = tuple[str, str, str | int]
"""Key prefix, session, and the id that the client gave its request."""


class Cancellations:
    """Used by the event loop alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._works: dict[str, tuple[asyncio.Task[Any], float]] = {}
        self._looking: asyncio.Task[None] | None = None

    def add(self, name: Name, work: asyncio.Task[Any]) -> None:
        """A request begins."""
        self._works[_digest(name)] = work, time()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    def remove(self, name: Name, work: asyncio.Task[Any]) -> None:
        """It is over. Another of its name, which a client that counts wrongly may have made meanwhile, stays."""
        digest = _digest(name)
        if digest in self._works and self._works[digest][0] is work:
            del self._works[digest]

    def cancel(self, name: Name) -> None:
        """Stop a request: here, or wherever it is."""
        digest = _digest(name)
        if found := self._works.get(digest):
            found[0].cancel()
            return
        try:
            self._folder.mkdir(exist_ok=True)
            if self._clear_up() < _MOST:
                (self._folder / digest).touch()
        except OSError as error:
            _logger.warning("a cancelled request cannot be told to other processes: %s", error.strerror)

    async def _look(self) -> None:
        while self._works:
            await asyncio.sleep(SECONDS)
            for path in self._folder.iterdir() if self._folder.exists() else ():
                if found := self._works.get(path.name):
                    self._take(path, *found)

    def _take(self, path: Path, work: asyncio.Task[Any], since: float) -> None:
        """Cancel by a file. One from before the request was for an earlier of the same name, which was over by then."""
        try:
            left = path.stat().st_mtime
            path.unlink()
        except FileNotFoundError:
            return  # another process has such a request too
        if left >= since - _CLOCK:
            work.cancel()

    def _clear_up(self) -> int:
        """How many files are left."""
        left = 0
        for path in self._folder.iterdir():
            try:
                old = time() - path.stat().st_mtime > _OLDEST
            except FileNotFoundError:
                continue
            left += not old
            if old:
                path.unlink(missing_ok=True)
        return left


def _digest(name: Name) -> str:
    return sha256(repr(name).encode("utf-8", "surrogatepass")).hexdigest()
