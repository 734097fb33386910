"""How far a job is: the shares of its bar, and the cells of its tracker."""

from dataclasses import dataclass
from typing import Final

from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Q, Sum, Value

from gateway.jobs.models import Chunk, Job

CELLS: Final = 100
WORDS: Final = {"sent": "sent", "refused": "with refused events", "left": "left to send", "faulty": "faulty in the input"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Events of each kind, and where in a bar of 100 each kind begins and how wide it is."""

    accepted: int
    refused: int
    left: int

    @property
    def total(self) -> int:
        """Of all."""
        return self.accepted + self.refused + self.left

    @property
    def stretches(self) -> list[tuple[str, str, str]]:
        """Kind, beginning, width."""
        found, start = [], 0.0
        for kind, count in (("sent", self.accepted), ("refused", self.refused)):
            width = 100 * count / self.total if self.total else 0.0
            found.append((kind, f"{start:.2f}", f"{width:.2f}"))
            start += width
        return found


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the input: where it begins in a tracker of `CELLS` wide, what it is, and that in words."""

    place: int
    kind: str
    title: str


def bar(job: Job) -> Bar:
    """Of the events, faulty lines too; of a dry run what is good counts as accepted."""
    refused = job.failed + job.faulty
    if job.dry_run:
        return Bar(job.events, refused, 0)
    return Bar(job.accepted, refused, max(0, job.events - job.accepted - job.failed))


def tracker(job: Job) -> list[Cell]:
    """Up to `CELLS` cells, in one query. What is faulty in the input was cut into no chunk: it stands at the end."""
    whole = job.events + job.faulty
    if not whole:
        return []
    faulty = min(CELLS - 1, -(-job.faulty * CELLS // whole)) if job.events else CELLS
    count = min(CELLS - faulty, job.events)
    refused, open_ = _of_chunks(job, count) if count else (set[int](), set[int]())
    cells = []
    for place in range(count):
        first, end = -(-place * job.events // count), -(-(place + 1) * job.events // count)
        if job.dry_run or (end <= job.next_event and place not in open_):
            kind = "refused" if place in refused else "sent"
        else:
            kind = "left"
        word = "checked" if job.dry_run else WORDS[kind]
        cells.append(Cell(place, kind, f"Events {first + 1:,} to {end:,}: {word}"))
    cells += [Cell(count + place, "faulty", f"{job.faulty:,} {WORDS['faulty']}") for place in range(min(faulty, job.faulty))]
    return cells


def _of_chunks(job: Job, count: int) -> tuple[set[int], set[int]]:
    """The cells with refused events, and those with events still to send, by where their chunks begin."""
    cell = ExpressionWrapper(F("first_event") * Value(count) / Value(job.events), output_field=BigIntegerField())
    cells = Chunk.objects.filter(job=job).annotate(cell=cell).values("cell")
    found = list(cells.annotate(refused=Sum("failed"), unsent=Count("id", filter=~Q(parts=""))).order_by("cell")[:CELLS])
    return {row["cell"] for row in found if row["refused"]}, {row["cell"] for row in found if row["unsent"]}
