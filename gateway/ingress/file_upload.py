"""A body that may be larger than memory: taken into a file, from known keys and people only."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.conf import settings

from gateway.ingress.trouble import Trouble
from gateway.ingress.upload import Receive
from gateway.jobs import incoming

_PIECE: Final = 1024 * 1024
"""Bytes gathered before they are written, by a thread."""
_logger = logging.getLogger(__name__)


class FileUpload:
    """One request's body, in a temporary file under MEDIA_ROOT. Like `Upload`, but each part, not the whole, has GATEWAY_BODY_SECONDS.

    The header `credential` tells who sends it.
    """

    def __init__(self, scope: dict[str, Any], receive: Receive, limit: int, credential: bytes = b"authorization") -> None:
        headers = dict(scope["headers"])
        self._credential = headers.get(credential, b"").decode("latin-1")
        self._length = None if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))
        self._receive = receive
        self._limit = limit
        self._file: BinaryIO | None = None
        self.trouble: Trouble | None = None

    @property
    def stream(self) -> BinaryIO:
        """What arrived, from its beginning: an open file, whose `name` is its path, unless nothing did."""
        if self._file is None:
            return BytesIO()
        self._file.seek(0)
        return self._file

    async def take_in(self, is_known: Callable[[str], Awaitable[bool]]) -> None:
        """Take it in."""
        if self._length == 0:
            return
        if self._length is not None and self._length > self._limit:
            self.trouble = Trouble.TOO_LARGE
        elif not await is_known(self._credential):
            self.trouble = Trouble.FROM_STRANGER
        else:
            try:
                await self._read()
            except TimeoutError:
                self.trouble = Trouble.TOO_SLOW
            except OSError as error:
                _logger.error("an upload cannot be kept: %s", os.strerror(error.errno or 0))
                self.trouble = Trouble.NO_DISK

    def let_go(self) -> None:
        """The file goes, unless somebody has moved it away."""
        if self._file is not None:
            with suppress(OSError):  # what the disk had no room for
                self._file.close()
            Path(self._file.name).unlink(missing_ok=True)

    async def _read(self) -> None:
        self._file = file = incoming.begin()
        size, gathered, more = 0, bytearray(), True
        while more:
            async with asyncio.timeout(settings.GATEWAY_BODY_SECONDS):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                self.trouble = Trouble.CUT
                return
            more, part = message.get("more_body", False), message.get("body", b"")
            size += len(part)
            if size > self._limit:
                self.trouble = Trouble.TOO_LARGE
                return
            gathered += part
            if gathered and (len(gathered) >= _PIECE or not more):
                await asyncio.to_thread(file.write, bytes(gathered))
                gathered.clear()
        file.flush()
