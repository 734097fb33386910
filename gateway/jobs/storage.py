"""Jobs' files in S3, by django-storages, whose errors become those of a disk: whoever uses storage knows no others."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage


class ObjectStorage(S3Storage):
    """Objects of one bucket. Credentials are found as AWS's own tools find them."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _as_os_errors():
            file = super()._open(name, mode)
            # Else it would be fetched, and perhaps fail, at the first read.
            file.open()
        return file

    def _save(self, name: str, content: Any) -> str:
        with _as_os_errors():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        """Raises OSError."""
        with _as_os_errors():
            super().delete(name)

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        """Folders and files. Raises OSError."""
        with _as_os_errors():
            folders, files = super().listdir(name)
        return folders, files


@contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        said = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        raise OSError(errno.EIO, f"S3 says {said}") from error
