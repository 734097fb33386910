"""Where inputs lie: uploads in Django's storage, files in a directory, objects in S3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from django.core.files.storage import default_storage

from gateway.jobs.formats import InputError
from gateway.jobs.models import Format, Job

_S3: Final = "s3://"


class InputUnreachableError(Exception):
    """The input cannot be read now; later it may be."""


def open_input(job: Job, file: str = "") -> BinaryIO:
    """The bytes of the job's input, or of one file of its archive. Raises InputError, InputUnreachableError."""
    address = f"{job.input.rstrip('/')}/{file}" if file else job.input
    with reaching(file or "The input"):
        if address.startswith(_S3):
            # It takes most of a second to import, and most processes never need it.
            import smart_open

            stream: BinaryIO = smart_open.open(address, "rb", compression="disable", transport_params={"client": _s3()})
            return stream
        if job.format == Format.ARCHIVE:
            return Path(address).open("rb")
        return cast(BinaryIO, default_storage.open(address))


def files_of(job: Job) -> Iterator[str]:
    """The files of an archive, in no order, relative to the job's input. Raises InputError, InputUnreachableError."""
    with reaching():
        if job.input.startswith(_S3):
            bucket, _, prefix = job.input.removeprefix(_S3).partition("/")
            prefix = f"{prefix.rstrip('/')}/" if prefix else ""
            for page in _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(prefix)
        elif not Path(job.input).is_dir():
            raise FileNotFoundError
        else:
            for folder, _, names in os.walk(job.input, onerror=_raise):
                for name in names:
                    yield os.path.relpath(os.path.join(folder, name), job.input)  # noqa: PTH118 - half the time of Path


@contextmanager
def reaching(what: str = "The input") -> Iterator[None]:
    """Turns what goes wrong while an input is read into InputError or InputUnreachableError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError("input_missing", f"{what} is not there.") from None
    except (InputError, InputUnreachableError):
        raise
    except Exception as error:
        if isinstance(error, OSError) or type(error).__module__.startswith(("botocore", "urllib3")):
            # smart-open's errors are made of boto's.
            code = getattr(error.__cause__ or error, "response", {}).get("Error", {}).get("Code", "")
            if code in ("NoSuchBucket", "NoSuchKey", "404"):
                raise InputError("input_missing", f"{what} is not there.") from None
            raise InputUnreachableError(f"{what} cannot be read: {code or type(error).__name__}.") from error
        raise


@lru_cache(maxsize=1)
def _s3() -> Any:
    """A client for S3, set up as AWS's own tools are: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL_S3 and so on."""
    import boto3  # as long to import

    return boto3.client("s3")


def _raise(error: OSError) -> None:
    raise error
