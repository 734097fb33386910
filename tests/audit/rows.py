"""Rows of the log, as the tests need them."""

import uuid
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection
from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Call, Channel, Outcome

_numbers = count(1)


def id_at(at: datetime) -> uuid.UUID:
    """An id of that time, above all made for that millisecond before."""
    return uuid.UUID(int=Call.lowest_id(at).int | 7 << 76 | 2 << 62 | next(_numbers))


def new_call(ago: timedelta = timedelta(0), flight: timedelta = timedelta(seconds=20), **fields: Any) -> Call:
    """A call that began `ago` and may take `flight`; not written yet."""
    at = timezone.now() - ago
    usual = {"operation": "replay", "channel": Channel.REST, "client": "c-1", "actor": "tester", "request_id": "r-1", "source": "rep-1", "events": 1}
    return Call(**{"id": id_at(at), "at": at, "deadline_at": at + flight, **usual, **fields})


def new_outcome(result: str, **fields: Any) -> Outcome:
    """What came of a call; not written yet."""
    return Outcome(**{"at": timezone.now(), "result": result, **fields})


def written(*results: str, ago: timedelta = timedelta(0), flight: timedelta = timedelta(seconds=20), **fields: Any) -> Call:
    """A call in the log with these outcomes, one after the other; without any it is still open."""
    call = new_call(ago, flight, **fields)
    log.intend(call)
    for number, result in enumerate(results, 1):
        new_outcome(result, call=call, number=number, status=200, duration_ms=7).save()
    return call


def everything_stored() -> str:
    """Every value of every table of the database, as one text."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(found)
