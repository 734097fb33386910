"""What is said of a request that did not come in whole, or waited too long."""

from enum import Enum

from django.conf import settings

from gateway.forwarding.answer import Refusal


class Trouble(Enum):
    """Why there is no whole body."""

    CUT = "the connection ended before it"
    TOO_SLOW = "it took over GATEWAY_BODY_SECONDS"
    TOO_LARGE = "it has too many bytes"
    NO_ROOM = "all bodies held would have over GATEWAY_BUFFER_BYTES"
    NO_THREAD = "it waited too long for a thread"
    NO_DISK = "the disk takes no more of it"
    FROM_STRANGER = "it is larger than anybody may send, and comes without a known key"

    def refusal(self) -> Refusal:
        """What the caller is told: 400, 408, 413 or 503. Nothing was sent."""
        match self:
            case Trouble.CUT:
                return Refusal(
                    400, "body_cut", "The body ended before its end: shorter than Content-Length says, or a chunk is missing. Nothing was sent."
                )
            case Trouble.TOO_SLOW:
                return Refusal(
                    408, "body_too_slow", f"The body took over {settings.GATEWAY_BODY_SECONDS:g} s (GATEWAY_BODY_SECONDS). Nothing was sent."
                )
            case Trouble.TOO_LARGE:
                limit = f"{settings.GATEWAY_MAX_BODY_BYTES:,} bytes (GATEWAY_MAX_BODY_BYTES)"
                return Refusal(
                    413, "body_too_large", f"A body may have at most {limit}. Nothing was sent: send it in smaller parts, or to POST /v1/jobs."
                )
            case Trouble.NO_DISK:
                return Refusal(503, "no_disk", "The gateway has no room left on its disk (GATEWAY_VAR). Nothing was kept.", retry_after="60")
            case Trouble.NO_THREAD:
                return Refusal(503, "busy", "The gateway has too many calls waiting (GATEWAY_WEB_THREADS). Nothing was sent.", retry_after="1")
            case Trouble.NO_ROOM | Trouble.FROM_STRANGER:
                return Refusal(
                    503, "busy", "The gateway holds too many bodies (GATEWAY_BUFFER_BYTES). Nothing was sent: send it again.", retry_after="1"
                )
