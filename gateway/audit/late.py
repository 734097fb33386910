"""What the log could not take in time: outcomes, written as soon as it can, and intents that it may have taken after we gave up on it.

Both wait on disk, so a restart loses none. While an outcome waits, no new call begins.
"""

import logging
import threading
import uuid
from functools import lru_cache
from time import monotonic, sleep
from typing import Any, Final

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils import timezone

from gateway.audit import log
from gateway.audit.database import using_log
from gateway.audit.models import Call, Outcome, Result
from gateway.audit.spool import Spool

SECONDS: Final = 0.5
"""Between two looks at what waits."""
DOUBT_SECONDS: Final = 30.0
"""How long an intent is looked for once the log answers again: a database that was frozen works off what it was sent when it wakes."""
_OUTCOME: Final = ".outcome"
_REFUSAL: Final = ".refusal"
_logger = logging.getLogger(__name__)
_wake: Final = threading.Event()
_outcomes_wait: Final = threading.Event()
_flag: Final = threading.Lock()
_missed_since: Final[dict[str, float]] = {}


def check() -> None:
    """Raises LogUnavailableError while an outcome waits to be written."""
    if _outcomes_wait.is_set():
        raise log.LogUnavailableError("outcomes wait to be written")


def keep(outcome: Outcome) -> None:
    """An outcome that could not be written: it will be."""
    log.clean(outcome)
    with _flag:
        _outcomes_wait.set()
        _put(_OUTCOME, outcome)


def doubt(call: Call) -> None:
    """An intent that may or may not be in the log, for which nothing was sent: if it is there, it will be closed as refused."""
    _put(_REFUSAL, Outcome(call_id=call.id, at=timezone.now(), result=Result.REFUSED, status=503, reason="log_unavailable"))


def watch() -> None:
    """Write what waits as soon as the log takes it, from a thread of its own; what an earlier process left behind too. Once for each process."""
    _spool().prepare()
    if _spool().names():
        _outcomes_wait.set()
        _wake.set()
    threading.Thread(target=_watch, name="late", daemon=True).start()


def settle() -> None:
    """Write what waits, outcomes first: they stop every call. Raises LogUnavailableError."""
    with _spool().alone() as alone:
        for name in sorted(_spool().names(), key=lambda name: (not name.endswith(_OUTCOME), name)) if alone else ():
            try:
                outcome = _read(_spool().get(name))
            except FileNotFoundError:
                continue  # another process was done with it first
            except (OSError, msgspec.MsgspecError, ValidationError, KeyError) as error:
                _set_aside(name, f"cannot be read ({type(error).__name__})")
            else:
                _settle_outcome(name, outcome) if name.endswith(_OUTCOME) else _settle_refusal(name, outcome)
    with _flag:
        if not any(name.endswith(_OUTCOME) for name in _spool().names()):
            _outcomes_wait.clear()


def _set_aside(name: str, why: str) -> None:
    _logger.error("%s %s, and is set aside", name, why)
    _spool().set_aside(name)


def _settle_outcome(name: str, outcome: Outcome) -> None:
    call_is_there, written = _in_log(outcome.call_id)
    if not call_is_there:
        return _set_aside(name, "belongs to no call of this log")
    if len(written) >= log.MAX_OUTCOMES:
        return _set_aside(name, "comes after too many others")
    # The statement that got no answer may have been carried out all the same.
    if all(at != outcome.at for at, _ in written):
        log.close(outcome)
    _logger.warning("the outcome of call %s, %s, is written", outcome.call_id, outcome.result)
    _spool().drop(name)


def _settle_refusal(name: str, outcome: Outcome) -> None:
    call_is_there, written = _in_log(outcome.call_id)
    now = monotonic()
    if call_is_there:
        if all(result == Result.UNKNOWN for _, result in written):
            log.close(outcome)
    elif now - _missed_since.setdefault(name, now) < DOUBT_SECONDS:
        return
    _missed_since.pop(name, None)
    _spool().drop(name)


def _in_log(call_id: uuid.UUID) -> tuple[bool, list[tuple[Any, str]]]:
    """Whether the call is there, and the times and results of its outcomes."""
    with log.available(), using_log():
        return Call.objects.filter(id=call_id).exists(), list(Outcome.objects.filter(call=call_id).values_list("at", "result"))


def _put(kind: str, outcome: Outcome) -> None:
    fields = {field.attname: getattr(outcome, field.attname) for field in Outcome._meta.concrete_fields if not field.primary_key}
    _spool().put(f"{outcome.call_id}{kind}", msgspec.json.encode(fields))
    _wake.set()


def _read(content: bytes) -> Outcome:
    fields = {field.attname: field for field in Outcome._meta.concrete_fields}
    return Outcome(**{name: fields[name].to_python(value) for name, value in msgspec.json.decode(content, type=dict[str, Any]).items()})


def _watch() -> None:
    while _wake.wait():
        try:
            _wake.clear()
            settle()
            connections.close_all()
        except log.LogUnavailableError:
            pass
        except Exception as error:
            # It must go on: without it nothing is sent any more. Texts of errors can quote rows.
            _logger.error("outcomes that wait could not be written: %s", type(error).__name__)
        if _outcomes_wait.is_set() or _spool().names():
            _wake.set()
        sleep(SECONDS)


@lru_cache(maxsize=1)
def _spool() -> Spool:
    return Spool(settings.GATEWAY_VAR / "pending")
