"""What becomes of a submission: it is forwarded now. (One place, so that every door decides alike.)"""

from gateway.forwarding.answer import Answer
from gateway.forwarding.forward import forward
from gateway.forwarding.submission import Submission


def submit(submission: Submission) -> Answer:
    """Forward the submission and wait for its answer. Raises LogUnavailableError: then nothing was sent."""
    return forward(submission)
