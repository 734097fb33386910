"""Files that wait for the log: each is whole or not there, survives a restart, and finds room on a full disk."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_RESERVE_BYTES: Final = 4 * 1024 * 1024
_logger = logging.getLogger(__name__)


class Spool:
    """A folder of small files, used by several processes. What no disk takes is kept in memory, and said so in the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reserve = folder / "reserve"
        self._in_memory: dict[str, bytes] = {}

    def prepare(self) -> None:
        """Make the folder, and a reserve of space that is given up when the disk is full: then is when the spool is needed."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._reserve.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError as error:
            _logger.warning("no room is reserved for outcomes that wait for the log: %s", error.strerror)

    def put(self, name: str, content: bytes) -> None:
        """Keep a file; one of the same name is replaced."""
        try:
            self._write(name, content)
        except OSError:
            try:
                self._reserve.unlink(missing_ok=True)
                self._write(name, content)
            except OSError as error:
                _logger.error("%s is kept in memory only, as it cannot be kept on disk: %s", name, error.strerror)
                self._in_memory[name] = content

    def names(self) -> list[str]:
        """What is kept, in order of names."""
        found = {path.name for path in self._folder.iterdir() if path.suffix and not path.name.startswith(".")} if self._folder.is_dir() else set()
        return sorted(found | self._in_memory.keys())

    def get(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError where another process was done with it first."""
        return self._in_memory[name] if name in self._in_memory else (self._folder / name).read_bytes()

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        if self._in_memory.pop(name, None) is None:
            (self._folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """Keep it for people only; what is in memory cannot be."""
        if self._in_memory.pop(name, None) is None:
            aside = self._folder / "aside"
            aside.mkdir(mode=0o700, exist_ok=True)
            (self._folder / name).rename(aside / name)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process is within this block at the same time."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError:
            yield True  # where no folder is, all that waits is in this process's memory
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f".{name}"
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
