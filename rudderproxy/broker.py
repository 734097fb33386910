"""The embedded broker: kombu's filesystem transport with an atomic put, so that one machine needs nothing installed."""

import threading
import uuid
from contextlib import suppress
from pathlib import Path
from time import sleep, time_ns
from typing import Any, Final

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

_binding: Final = threading.Lock()


class Channel(filesystem.Channel):
    """Writes a message under another name and renames it. As shipped, a reader can take a file that is not written yet, and dies of it."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f".{name}.new"
        try:
            unfinished.write_text(dumps(payload))
            unfinished.rename(folder / name)
        except OSError as error:
            raise ChannelError(f"cannot put a message into {folder}: {error.strerror}") from error

    def queue_bind(self, *args: Any, **options: Any) -> None:
        """Bind a queue, one thread at a time: kombu notes a binding in memory before its file is there, and another thread would rely on it."""
        with _binding:
            super().queue_bind(*args, **options)

    def get_table(self, exchange: str) -> list[Any]:
        """The queues bound to an exchange. Its file is empty while it is being made: whoever took that for "none" would lose the message."""
        for _ in range(100):
            with suppress(ValueError):
                return list(super().get_table(exchange))
            sleep(0.01)
        raise ChannelError(f"the bindings of {exchange} cannot be read")


class Transport(filesystem.Transport):
    """kombu's filesystem transport, asked ten times a second instead of once."""

    Channel = Channel
    polling_interval = 0.1
    driver_type = "embedded"
    driver_name = "embedded"
