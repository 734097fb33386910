"""A body on its way in: taken whole into memory, within a time for each and a number of bytes for all."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any, BinaryIO, Final

from django.conf import settings

from gateway.ingress.trouble import Trouble

Receive = Callable[[], Awaitable[dict[str, Any]]]

ANYBODYS: Final = 64 * 1024
"""Bytes of a body that anybody may send; more, or an unknown number, is taken from known keys only."""
_BESIDE: Final = 16 * 1024
"""Bytes of memory that a request takes beside its body."""


class Held:
    """The bytes that a process holds for requests. Used by the event loop alone."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> bool:
        """Whether all is still within the limit."""
        self.size += size
        return self.size <= settings.GATEWAY_BUFFER_BYTES


class Upload:
    """One request's body, of at most `limit` bytes. `content` is what arrived; `trouble` says why that is not all."""

    def __init__(self, scope: dict[str, Any], receive: Receive, held: Held, limit: int) -> None:
        headers = dict(scope["headers"])
        self.authorization = headers.get(b"authorization", b"").decode("latin-1")
        self._length = None if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))
        self._receive = receive
        self._limit = limit
        self._held = held
        self._size = _BESIDE
        self._within = held.add(_BESIDE)
        self.content = b""
        self.trouble: Trouble | None = None

    async def take_in(self, is_known: Callable[[str], Awaitable[bool]]) -> None:
        """Take it in. `is_known` tells whether there is such a key, and is asked only where anybody may not."""
        if self._length == 0:
            return
        if self._length is not None and self._length > self._limit:
            self.trouble = Trouble.TOO_LARGE
        elif not self._within:
            self.trouble = Trouble.NO_ROOM
        elif (self._length is None or self._length > ANYBODYS) and not await is_known(self.authorization):
            self.trouble = Trouble.FROM_STRANGER
        else:
            await self._read()

    def let_go(self) -> None:
        """Its bytes are no longer held."""
        self._held.add(-self._size)
        self._size, self.content = 0, b""

    @property
    def stream(self) -> BinaryIO:
        """What arrived, to read."""
        return BytesIO(self.content)

    async def _read(self) -> None:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(settings.GATEWAY_BODY_SECONDS):
                more = True
                while more and not self.trouble:
                    message = await self._receive()
                    more, part = message.get("more_body", False), message.get("body", b"")
                    parts.append(part)
                    self.trouble = self._judge(message["type"], len(part))
        except TimeoutError:
            self.trouble = Trouble.TOO_SLOW
        self.content = b"" if self.trouble else b"".join(parts)

    def _judge(self, kind: str, size: int) -> Trouble | None:
        """What is wrong after `size` more bytes."""
        self._size += size
        within = self._held.add(size)
        if kind == "http.disconnect":
            return Trouble.CUT
        if self._size - _BESIDE > self._limit:
            return Trouble.TOO_LARGE
        return None if within else Trouble.NO_ROOM
