"""Processes that end with the one that started them: an orphan would go on beside those that a supervisor starts in its place."""

import os
import threading
from collections.abc import Callable
from time import sleep


def watch(parent: int, end: Callable[[], None]) -> None:
    """Call `end` within about a second of the parent's end, however it ended."""

    def look() -> None:
        while os.getppid() == parent:
            sleep(1)
        end()

    threading.Thread(target=look, name="parent", daemon=True).start()
