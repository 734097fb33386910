"""The exact check's answer: RudderStack's decision on a body, and every fault."""

from dataclasses import dataclass

from gateway.contract.faults import ANSWERS, Fault
from gateway.contract.reading import Reading


@dataclass(frozen=True, slots=True)
class Verdict:
    """RudderStack's decision. `status` and `text` are its answer, the closing newline of an error apart.

    `own` are faults that RudderStack would let pass but this gateway does not: nesting over 1,000 and keys that can be read in two ways.
    """

    reading: Reading
    reason: str | None = None
    faults: tuple[Fault, ...] = ()
    own: tuple[Fault, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether RudderStack accepts the body."""
        return self.reason is None

    @property
    def status(self) -> int:
        """The HTTP status of RudderStack's answer."""
        return 200 if self.reason is None else ANSWERS[self.reason][0]

    @property
    def text(self) -> str:
        """The text of RudderStack's answer."""
        return "ok" if self.reason is None else ANSWERS[self.reason][1]
