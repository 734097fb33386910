"""A file within a form, on the disk where it will stay: so that storage moves it, and no other disk fills."""

import tempfile
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler

from gateway.jobs import incoming


class FormFile(TemporaryUploadedFile):
    """One file. Gone when it is closed, unless somebody has moved it away."""

    def __init__(self, name: str, content_type: str, size: int, charset: str | None, extra: Any) -> None:
        file: Any = tempfile.NamedTemporaryFile(dir=incoming.folder(), prefix=incoming.PREFIX)  # noqa: SIM115 - until it is closed
        UploadedFile.__init__(self, file, name, content_type, size, charset, extra)


class FormFileHandler(TemporaryFileUploadHandler):
    """What Django asks for each file that is too large for memory."""

    def new_file(self, *arguments: Any, **options: Any) -> None:
        """Begin one."""
        FileUploadHandler.new_file(self, *arguments, **options)
        self.file = FormFile(self.file_name or "", self.content_type or "", 0, self.charset, self.content_type_extra)
