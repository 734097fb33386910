"""Files on their way into storage, on the disk where they will stay: storage moves them, and no other disk fills."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings

PREFIX: Final = "incoming-"
"""So begin their names; what a killed process leaves is known by it."""


def folder() -> Path:
    """Where they lie, made if it is not there. Raises OSError."""
    place = Path(settings.MEDIA_ROOT)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def begin() -> BinaryIO:
    """A new one, open; its `name` is its path. Whoever began it takes it away, unless storage has moved it. Raises OSError."""
    descriptor, path = tempfile.mkstemp(dir=folder(), prefix=PREFIX)
    os.close(descriptor)
    return Path(path).open("w+b")
