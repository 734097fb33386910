"""MCP over the process's own standard streams: one client, one line for each message, and nothing else on stdout."""

import asyncio
import os
import signal
import threading
from contextlib import suppress
from typing import Any, BinaryIO, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from django.conf import settings
from django.core.management.base import CommandError
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, jsonrpc_message_adapter

from gateway.access import keys
from gateway.audit import late
from gateway.audit.log import LogUnavailableError
from gateway.ingress.request_id import request_id_of
from gateway.ingress.server import check
from gateway.mcp_server import message
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.keys import principal_of
from gateway.mcp_server.message import ENVELOPE, BadMessageError
from gateway.mcp_server.server import build
from gateway.mcp_server.session import client_of
from gateway.mcp_server.threads import Threads

_NOT_KNOWN: Final = "The key in GATEWAY_API_KEY is not known, or revoked: make one by create_api_key."


def serve() -> None:
    """Serve until stdin ends or a signal comes; calls on their way write their outcomes first. Raises CommandError."""
    check()
    if not settings.GATEWAY_API_KEY:
        raise CommandError("GATEWAY_API_KEY is not set: give the key of the client that starts this process (or GATEWAY_API_KEY_FILE).")
    try:
        known = keys.verify(settings.GATEWAY_API_KEY)
    except LogUnavailableError:
        raise CommandError("the database cannot be used, so no key can be looked up; check DATABASE_URL") from None
    if known is None:
        raise CommandError(_NOT_KNOWN)
    late.watch()
    anyio.run(_run, _take_stdin(), _take_stdout())


def _take_stdin() -> BinaryIO:
    """Stdin for messages alone. Not sys.stdin: the interpreter aborts if a thread still reads from that at its end."""
    private, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(private, "rb")


def _take_stdout() -> BinaryIO:
    """Stdout for messages alone: what else is printed, by whatever code, goes to stderr from now on."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb")


async def _run(stdin: BinaryIO, stdout: BinaryIO) -> None:
    threads = Threads()
    server: Server[Any] = build(_Callers(threads), threads)
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception]()
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage]()
    reading = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop, reading)
        tasks.start_soon(_read, stdin, to_server, to_client.clone(), reading)
        tasks.start_soon(_write, from_server, stdout, reading)
        await server.run(from_client, to_client, server.create_initialization_options())
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(threads.close)


async def _stop(reading: anyio.CancelScope) -> None:
    """A signal is an end of input. To cancel all would leave the server waiting to write answers that nobody takes."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            reading.cancel()


async def _read(
    stdin: BinaryIO, to_server: MemoryObjectSendStream[Any], to_client: MemoryObjectSendStream[SessionMessage], reading: anyio.CancelScope
) -> None:
    """Lines into messages; what is none is answered at once."""
    lines: asyncio.Queue[bytes] = asyncio.Queue(1)
    loop, limit = asyncio.get_running_loop(), settings.GATEWAY_MAX_BODY_BYTES + ENVELOPE

    def pump() -> None:
        while True:
            line = _line(stdin, limit)
            asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            if not line:
                return

    # A read of stdin cannot be stopped, so nobody waits for this thread.
    threading.Thread(target=pump, name="stdin", daemon=True).start()
    async with to_server, to_client:
        with reading:
            while line := await lines.get():
                try:
                    if len(line) > limit:
                        raise BadMessageError(INVALID_REQUEST, f"A message may have at most {limit:,} bytes (GATEWAY_MAX_BODY_BYTES and some).")
                    read = message.read(line)
                except BadMessageError as error:
                    await to_client.send(_message(error.answer))
                else:
                    # Nothing is asked of a client, so its answers are dropped, whatever they hold.
                    if read.method is not None:
                        await to_server.send(_message(read.content))


def _line(stdin: BinaryIO, limit: int) -> bytes:
    """The next line; of one that is too long the beginning, over `limit` bytes. Empty at the end."""
    line = part = stdin.readline(limit + 1)
    while part and not part.endswith(b"\n"):
        part = stdin.readline(limit)
    return line


def _message(content: dict[str, Any]) -> SessionMessage:
    return SessionMessage(jsonrpc_message_adapter.validate_python(content, by_name=False))


async def _write(from_server: MemoryObjectReceiveStream[SessionMessage], stdout: BinaryIO, reading: anyio.CancelScope) -> None:
    """Messages into lines. Where nobody takes them any more, nothing more is read either."""
    async with from_server:
        with suppress(OSError):
            async for sent in from_server:
                await _put(stdout, message.write(sent.message.model_dump(by_alias=True, exclude_unset=True)) + b"\n")
        reading.cancel()
        async for _ in from_server:
            pass


async def _put(stdout: BinaryIO, line: bytes) -> None:
    """Raises OSError."""
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()

    def settle(error: OSError | None) -> None:
        if not written.done():
            written.set_exception(error) if error else written.set_result(None)

    def put() -> None:
        error = None
        try:
            stdout.write(line)
            stdout.flush()
        except OSError as failure:
            error = failure
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, error)

    # A write to a client that reads nothing cannot be stopped, so nobody waits for this thread.
    threading.Thread(target=put, name="stdout", daemon=True).start()
    await written


class _Callers:
    """Who calls, of a request that came by stdin."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """Whoever started this process; the key is looked at each time. Raises MCPError, LogUnavailableError."""
        principal = await principal_of(settings.GATEWAY_API_KEY, self._threads)
        if principal is None:
            raise MCPError(INVALID_REQUEST, _NOT_KNOWN)
        about = context.session.client_params
        client = client_of(about.client_info) if about else ""
        return Caller(principal, "", request_id_of(""), client=client, protocol=context.protocol_version)
