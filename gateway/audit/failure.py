"""Failures that no caller is at fault for: what is said of them, and what is kept."""

import logging
import traceback
from typing import Final

LOG_UNAVAILABLE: Final = "The audit log cannot be written, and without it nothing is sent. Nothing was sent: send it again later."
INTERNAL: Final = "The gateway failed. The log of its process has the place."
_logger = logging.getLogger(__name__)


def log_exception(error: BaseException) -> None:
    """Where it happened and of what kind; not its text, which can quote values."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger.error("unexpected %s\n%s", type(error).__name__, frames)
