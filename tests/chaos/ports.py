"""Listeners that leave a connection half way: what the gateway sends to when it is to be killed just there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def deaf() -> Iterator[str]:
    """The address of one whose backlog is full: connecting takes for ever."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def sipping() -> Iterator[tuple[str, threading.Event]]:
    """The address of one that reads a kilobyte, and an event for when it has."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sipped, ended = threading.Event(), threading.Event()

        def sip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                sipped.set()
                ended.wait()

        thread = threading.Thread(target=sip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", sipped
        finally:
            ended.set()
            thread.join()
