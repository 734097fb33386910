"""From the input to segments."""

from gateway.jobs.lease import Lease


def take_in(lease: Lease, until: float) -> bool:
    """Read on in the input until this time of `time.monotonic`. Whether it is all taken in. Raises OSError, LeaseLostError, LogUnavailableError."""
    raise NotImplementedError
