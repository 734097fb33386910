"""Working on a job: intake, then chunks, then the end. Knows the database and RudderStack, and nothing of what calls it."""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from gateway.access.keys import NoKeyError
from gateway.access.principal import Principal
from gateway.audit.failure import log_exception
from gateway.audit.log import LogUnavailableError
from gateway.audit.texts import storable
from gateway.jobs import dry_run, reconciliation, sending, window
from gateway.jobs.answers import Finding, delay, judge
from gateway.jobs.chunks import Cutter, Piece, mostly_refused, save, unfinished
from gateway.jobs.formats import InputError
from gateway.jobs.inputs import InputUnreachableError
from gateway.jobs.intake import take_in
from gateway.jobs.lease import Lease, LeaseLostError
from gateway.jobs.models import TERMINAL, Job, State
from gateway.jobs.senders import MOST_SENDERS, Senders
from gateway.operations import OPERATIONS, Shape

LOOK_SECONDS: Final = 1.0
"""The longest wait between two looks at what people asked for."""
REFUSED_OF: Final = 1000
"""A job of whose last so many events more than half were refused pauses itself."""
_SHUT: Final = "window: "
_WAITS: Final = "waiting: "
_UNREACHABLE: Final = "input_unreachable: "
_PASSING: Final = (_SHUT, _WAITS, _UNREACHABLE)
"""So begin reasons that are over once the job goes on."""
_REASON: Final = 500
_INTERNAL: Final = "internal: The gateway failed in a way that it should not. Its own log says how."
_logger = logging.getLogger(__name__)


def work(lease: Lease, seconds: float = 60.0) -> None:
    """Work on the job until it is done, paused or not due any more, or for so long, and let go of it. Quiet where the lease is lost."""
    stretch = Slice(lease, seconds)
    try:
        while stretch.step():
            pass
    except LeaseLostError:
        _logger.info("job %s: the lease was lost", lease.job.id)
    except LogUnavailableError:
        stretch.give_up()
    except Exception as error:
        _logger.error("job %s fails in a way that it should not", lease.job.id)
        log_exception(error)
        stretch.give_up(_INTERNAL)
    finally:
        stretch.close()


@dataclass(slots=True, eq=False)
class _Flight:
    """A piece whose calls are on their way, and what came of those that are back. `halted`: calls that wait for a thread do not go out."""

    piece: Piece
    calls: list[list[int]]
    came: list[tuple[list[int], Finding | None]] = field(default_factory=list)
    halted: bool = False


class Slice:
    """One stretch of work on a job: `step` by `step`, and `close` in the end."""

    def __init__(self, lease: Lease, seconds: float = 60.0) -> None:
        self._lease = lease
        self._ends = monotonic() + seconds
        self._held_since = monotonic()
        self._single = OPERATIONS[lease.job.operation].shape is Shape.EVENT
        self._senders: Senders[tuple[_Flight, list[int], Finding | None]] = Senders(1 if lease.job.ordered else MOST_SENDERS)
        self._cutter = Cutter()
        self._waiting: list[Piece] | None = None
        """Pieces begun and not on their way; None before anybody looked."""
        self._flying: list[_Flight] = []
        self._unsaved: list[Piece] = []
        """Pieces of which the database does not know yet what came of them; the counters that go with them follow."""
        self._accepted = self._failed = self._doubtful = 0
        self._sent: tuple[float, int, int | None] = (0.0, 0, None)
        """When something went out last, by `time.monotonic`, how many events, and at what rate."""
        self._troubles = 0
        self._pause = ""
        self._later = 0.0
        self._why = ""
        """Why it waits until later, for people."""

    def step(self) -> bool:
        """Do one thing: take in for a second, or wait as long for answers, record them and send on. False once the lease is let go.

        Raises LeaseLostError, LogUnavailableError.
        """
        self._collect()
        job = self._lease.reload()
        if job.state == State.QUEUED:  # paused and resumed between two looks
            self._move(State.QUEUED, State.RUNNING)
            job = self._lease.reload()
        if job.state == State.RUNNING and not self._stops(job):
            with self._files():
                if not job.taken_in:
                    self._take_in()
                    return True
                if self._waiting is None:
                    self._look_back(job)
        opening = window.opening(job, timezone.now())
        stops = self._stops(job) or opening is not None
        if stops:
            self._halt()
        starting, principal = (None, None) if stops else self._ready(job)
        if self._unsaved or starting:
            self._record(starting or [])
        if starting and principal:
            self._start(starting, principal)
        elif not self._flying:
            return self._rest(job, opening)
        self._renew()
        return True

    def give_up(self, pause: str = "") -> None:
        """Let go for a while, or until somebody resumes it. What is on the wire finishes, and is recorded if that can be done within the lease."""
        with suppress(LeaseLostError, LogUnavailableError):
            self._halt()
            while self._flying:
                self._collect()
            for piece in self._unsaved:
                # What was to go out with the commit that failed did not.
                piece.row.sending = 0
            if self._unsaved:
                self._record([])
            if pause:
                self._move(State.RUNNING, State.PAUSED, pause)
            self._lease.release(due_at=_in(delay(self._lease.job.tries)), tries=self._lease.job.tries + 1)

    def close(self) -> None:
        """End the threads; what is on the wire finishes."""
        self._halt()
        self._senders.close()
        self._cutter.close()

    # what is to do

    def _stops(self, job: Job) -> bool:
        return job.state != State.RUNNING or bool(self._pause) or self._later > 0 or monotonic() >= self._ends

    def _has_more(self, job: Job) -> bool:
        return not job.dry_run and (bool(self._waiting) or job.next_event < job.events)

    def _rest(self, job: Job, opening: datetime | None) -> bool:
        """Nothing is on its way."""
        if self._pause or self._stops(job):
            return self._let_go(job)
        if not self._has_more(job):
            return self._end(job)
        if opening is not None:
            self._lease.release(due_at=opening, reason=f"{_SHUT}Sends again at {opening:%H:%M} UTC.")
            return False
        sleep(min(self._look_seconds, max(0.0, self._paced(job))))
        self._renew()
        return True

    def _take_in(self) -> None:
        try:
            take_in(self._lease, min(self._ends, monotonic() + LOOK_SECONDS))
        except InputError as error:
            self._move(State.RUNNING, State.FAILED, f"{error.reason}: {error}")
        except InputUnreachableError as error:
            self._later = delay(self._lease.job.tries)
            self._why = f"{_UNREACHABLE}{error or 'The input cannot be read now.'}"
        else:
            job = self._lease.job
            if job.reason.startswith(_PASSING):
                self._commit(partial(_forget_reason, job))

    def _look_back(self, job: Job) -> None:
        """At what an earlier slice left: events that were on the wire when somebody died may have arrived."""
        self._waiting = [] if job.dry_run else unfinished(job)
        for piece in self._waiting:
            if piece.row.sending:
                self._doubtful += piece.row.sending
                piece.row.sending = 0
                self._unsaved.append(piece)

    def _ready(self, job: Job) -> tuple[list[Piece], Principal | None]:
        """What goes out now, and in whose name."""
        pieces: list[Piece] = []
        room = (1 if job.ordered or self._single else MOST_SENDERS) - len(self._flying)
        if room <= 0 or not self._has_more(job) or self._paced(job) > 0:
            return pieces, None
        try:
            principal = sending.authorise(job)
        except NoKeyError as error:
            self._pause = f"{error.code}: {error}"
            return pieces, None
        first, number = job.next_event, job.chunks
        with self._files():
            while len(pieces) < room and self._paced(job) <= 0 and (self._waiting or first < job.events):
                if self._waiting:
                    piece = self._waiting.pop(0)
                else:
                    piece = self._cutter.cut(job, first, number + 1)
                    first, number = first + piece.row.events, number + 1
                piece.row.sending = sum(map(len, piece.calls(self._single)))
                due, now = self._due(job), monotonic()
                # A little late is made up for, so that the rate is kept on the whole.
                self._sent = (due if now - due < LOOK_SECONDS else now, piece.row.sending, job.rate)
                pieces.append(piece)
        return pieces, principal

    def _due(self, job: Job) -> float:
        """When the rate lets more go out, by `time.monotonic`."""
        at, events, rate = self._sent
        # What went out at another rate has had its time by that one.
        return at + (events / max(job.rate, rate) if job.rate and rate else 0.0)

    def _paced(self, job: Job) -> float:
        """Seconds until the rate lets more go out."""
        return self._due(job) - monotonic()

    # sending

    def _start(self, pieces: list[Piece], principal: Principal) -> None:
        job, tries = self._lease.job, self._lease.job.tries + self._troubles
        for piece in pieces:
            flight = _Flight(piece, piece.calls(self._single))
            self._flying.append(flight)
            for events in flight.calls:
                self._senders.start(partial(_send, job, principal, flight, events, tries))

    def _collect(self) -> None:
        """Wait a while for a piece all of whose calls are back, and see what came of it."""
        ends, flying = monotonic() + self._look_seconds, len(self._flying)
        while flying and len(self._flying) == flying and (left := ends - monotonic()) > 0:
            for flight, events, finding in self._senders.done(left):
                flight.came.append((events, finding))
                if len(flight.came) == len(flight.calls):
                    self._flying.remove(flight)
                    self._note(flight)

    def _note(self, flight: _Flight) -> None:
        piece = flight.piece
        gone: set[int] = set()
        for events, finding in flight.came:
            if finding is None:
                continue
            gone |= {*finding.accepted, *finding.refused}
            self._accepted += len(finding.accepted)
            self._failed += len(finding.refused)
            self._doubtful += finding.doubtful
            self._pause = self._pause or finding.pause
            self._later = max(self._later, finding.later or 0.0)
            self._why = f"{_WAITS}{finding.why}" if finding.why else self._why
            self._troubles = 0 if finding.accepted else self._troubles + (finding.later is not None)
            for event, fault in sorted(finding.refused.items()):
                piece.refuse(event, fault)
            if finding.halve:
                piece.most = (len(events) + 1) // 2
            elif finding.refused:
                piece.most = None
        piece.left = [event for event in piece.left if event not in gone]
        piece.row.sending = 0
        self._unsaved.append(piece)
        if piece.left and self._waiting is not None:
            self._waiting.append(piece)
            self._waiting.sort(key=lambda piece: piece.row.number)

    def _halt(self) -> None:
        for flight in self._flying:
            flight.halted = True

    # the database

    def _record(self, starting: list[Piece]) -> None:
        """Write what came back and what goes out now, in one. Values are absolute: it may be tried again where nobody knows whether it was done."""
        job = self._lease.job
        changes: dict[str, Any] = {
            "accepted": job.accepted + self._accepted,
            "failed": job.failed + self._failed,
            "possible_duplicates": job.possible_duplicates + self._doubtful,
        }
        if self._accepted or self._failed:
            changes["tries"] = 0
        if starting:
            changes["next_event"] = max(job.next_event, *(piece.row.first_event + piece.row.events for piece in starting))
            changes["chunks"] = max(job.chunks, *(piece.row.number for piece in starting))
        pieces = list(dict.fromkeys([*self._unsaved, *starting]))

        def write() -> None:
            save(pieces)
            if starting and job.reason.startswith(_PASSING):
                _forget_reason(job)

        while True:
            try:
                self._commit(write, **changes)
                break
            except LogUnavailableError:
                if not self._unsaved or monotonic() > self._held_since + settings.GATEWAY_LEASE_SECONDS:
                    raise
                sleep(self._look_seconds / 2)
        refused = any(piece.failures for piece in self._unsaved)
        for piece in self._unsaved:
            piece.failures = []
        self._unsaved = []
        self._accepted = self._failed = self._doubtful = 0
        if refused and mostly_refused(job, REFUSED_OF):
            self._pause = self._pause or f"mostly_refused: Of the last {REFUSED_OF:,} events more than half were refused: see the failures."

    def _commit(self, write: Callable[[], None] = lambda: None, **changes: Any) -> None:
        self._lease.commit(write, **changes)
        self._held_since = monotonic()

    def _renew(self) -> None:
        if monotonic() > self._held_since + settings.GATEWAY_LEASE_SECONDS / 3:
            self._commit()

    @property
    def _look_seconds(self) -> float:
        return min(LOOK_SECONDS, settings.GATEWAY_LEASE_SECONDS / 4)

    def _move(self, before: State, after: State, reason: str | None = "", **changes: Any) -> None:
        """To another state, with this reason (None: the one it has), unless somebody asked for something else meanwhile."""
        now = timezone.now()
        if after in TERMINAL:
            changes |= {"ended_at": now, "segments_until": now + timedelta(days=settings.GATEWAY_SEGMENT_DAYS)}
            changes |= {"webhook_due_at": now} if self._lease.job.webhook else {}
        job = Job.objects.filter(id=self._lease.job.id, state=before)
        if reason is not None:
            changes["reason"] = storable(reason, _REASON)

        def write() -> None:
            job.update(state=after, **changes)

        self._commit(write)

    # the end

    def _let_go(self, job: Job) -> bool:
        changes: dict[str, Any] = {}
        if job.state == State.CANCELLING:
            self._move(State.CANCELLING, State.CANCELLED, None)
        elif job.state == State.RUNNING and self._pause:
            self._move(State.RUNNING, State.PAUSED, self._pause)
        elif job.state == State.RUNNING and self._later:
            changes = {"due_at": _in(self._later), "tries": job.tries + 1, "reason": storable(self._why, _REASON)}
        elif job.state == State.RUNNING:
            # Behind others that are due.
            changes = {"due_at": _in(max(0.0, self._paced(job)))}
        self._lease.release(**changes)
        return False

    def _end(self, job: Job) -> bool:
        """Everything is sent: what became of it there?"""
        if job.dry_run or not job.job_run_id or not job.accepted:
            self._move(State.RUNNING, State.SUCCEEDED, **({"dry_run_report": dry_run.report(job)} if job.dry_run else {}))
            self._lease.release()
            return False
        self._commit()
        report = reconciliation.ask(job)
        counts: dict[str, Any] = {"delivered": report.delivered, "undelivered": report.undelivered}
        if report.complete or job.tries >= reconciliation.TRIES:
            self._move(State.RUNNING, State.SUCCEEDED, **counts)
            self._lease.release()
        else:
            why = f"{_WAITS}RudderStack's job status is not complete yet."
            self._lease.release(due_at=_in(reconciliation.delay(job.tries)), tries=job.tries + 1, reason=why, **counts)
        return False

    @contextmanager
    def _files(self) -> Iterator[None]:
        """A file that cannot be read or written pauses the job."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._pause = "disk_full: There is no space left for this job's files. Make some, then resume it."
            else:
                self._pause = f"storage: A file of this job cannot be used: {error.strerror or error}."


def _send(job: Job, principal: Principal, flight: _Flight, events: list[int], tries: int) -> tuple[_Flight, list[int], Finding | None]:
    """In a thread of its own."""
    finding: Finding | None = None
    if not flight.halted:
        piece = flight.piece
        try:
            answer = sending.send(job, piece.row.number, principal, [piece.lines[event] for event in events])
            finding = judge(OPERATIONS[job.operation], events, answer, tries)
        except LogUnavailableError:
            finding = Finding(later=delay(tries), why="The audit log cannot be written.")
        except Exception as error:
            _logger.error("job %s, chunk %s fails in a way that it should not", job.id, piece.row.number)
            log_exception(error)
            finding = Finding(doubtful=len(events), pause=_INTERNAL)
        # Else later events would overtake these.
        flight.halted = flight.halted or bool(finding.pause) or finding.later is not None
    return flight, events, finding


def _forget_reason(job: Job) -> None:
    """Unless somebody gave it another one just now."""
    Job.objects.filter(id=job.id, reason=job.reason).update(reason="")


def _in(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
