"""Group commit: who writes whose rows, and who is told what."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from django.db import IntegrityError, OperationalError, connection

from gateway.audit import log
from gateway.audit import writer as writer_module
from gateway.audit.models import Call, Outcome
from gateway.audit.writer import Writer
from tests.audit.rows import new_call, new_outcome, written


class Database:
    """Takes rows that are words; what it took, transaction by transaction. It can be made to wait, and refuses what begins with a "!"."""

    def __init__(self):
        self.taken = []
        self.open = threading.Event()
        self.open.set()
        self.inside = 0
        self.most_inside = 0

    def insert(self, rows, ends):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            if not self.open.wait(ends - monotonic()):
                raise OperationalError("locked")
            if any(row.startswith("!") for row in rows):
                raise IntegrityError(" ".join(rows))
            self.taken.append(list(rows))
        finally:
            self.inside -= 1


@pytest.fixture
def database():
    return Database()


def outcome_of(write, row):
    try:
        write(row)
    except (IntegrityError, OperationalError) as error:
        return type(error).__name__
    return "written"


def while_one_writes(database, writer, rows):
    """The first row is on its way and waits; the others come meanwhile."""
    with ThreadPoolExecutor(len(rows) + 1) as threads:
        database.open.clear()
        first = threads.submit(writer.write, "first")
        while not database.inside:
            sleep(0.001)
        others = []
        for row in rows:
            others.append(threads.submit(outcome_of, writer.write, row))
            while len(writer._waiting) < len(others):
                sleep(0.001)
        database.open.set()
        first.result()
        return [other.result() for other in others]


def test_those_who_wait_are_written_together(database):
    assert while_one_writes(database, Writer(database.insert, 5), ["a", "b", "c"]) == ["written"] * 3
    assert database.taken == [["first"], ["a", "b", "c"]]


def test_one_writes_at_a_time(database):
    writer = Writer(database.insert, 5)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(writer.write, [str(n) for n in range(200)]))
    assert database.most_inside == 1
    assert not writer._is_led
    assert sorted(row for rows in database.taken for row in rows) == sorted(str(n) for n in range(200))


def test_a_fault_of_one_row_is_told_to_its_owner_alone(database):
    assert while_one_writes(database, Writer(database.insert, 5), ["a", "!b", "c"]) == ["written", "IntegrityError", "written"]
    assert database.taken == [["first"], ["a"], ["c"]]


def test_a_database_that_is_away_is_told_to_all_and_not_asked_again_for_each(database):
    writer = Writer(database.insert, 0.5)
    database.open.clear()
    started = monotonic()
    with ThreadPoolExecutor(20) as threads:
        told = list(threads.map(lambda row: outcome_of(writer.write, row), [str(n) for n in range(20)]))
    assert told == ["OperationalError"] * 20
    assert monotonic() - started < 1.5
    database.open.set()
    writer.write("later")
    assert database.taken == [["later"]]


def test_what_waited_too_long_is_not_written_later(database):
    writer = Writer(database.insert, 0.3)
    with ThreadPoolExecutor(1) as threads:
        holds, enough = threading.Event(), threading.Event()

        def hold():
            with writer.alone():
                holds.set()
                enough.wait(5)

        held = threads.submit(hold)
        holds.wait()
        assert outcome_of(writer.write, "late") == "OperationalError"
        enough.set()
        held.result()
    writer.write("next")
    assert database.taken == [["next"]]


def test_who_wants_it_alone_gets_it_alone_and_writes_within(database):
    writer = Writer(database.insert, 5)
    with ThreadPoolExecutor(8) as threads:
        with writer.alone(), writer.alone():
            others = [threads.submit(writer.write, str(n)) for n in range(8)]
            while len(writer._waiting) < 8:
                sleep(0.001)
            writer.write("mine")
            assert database.taken == [["mine"]]
        for other in others:
            other.result()
    assert sorted(row for rows in database.taken[1:] for row in rows) == [str(n) for n in range(8)]


def test_one_who_wants_it_alone_waits_his_turn_among_rows(database):
    writer = Writer(database.insert, 5)
    order = []

    def alone():
        with writer.alone():
            order.append(len(database.taken))

    with ThreadPoolExecutor(8) as threads:
        database.open.clear()
        threads.submit(writer.write, "first")
        while not database.inside:
            sleep(0.001)
        for number, work in enumerate([lambda: writer.write("a"), alone, lambda: writer.write("b")], 1):
            threads.submit(work)
            while len(writer._waiting) < number:
                sleep(0.001)
        database.open.set()
    assert database.taken == [["first"], ["a"], ["b"]]
    assert order == [2]


def test_in_the_database_rows_of_all_kinds_and_faults_go_together(transactional_db):
    taken = written(idempotency_key="k", idempotency_try=1)

    def write(number):
        try:
            if number % 3 == 0:
                log.intend(new_call(idempotency_key="k", idempotency_try=1))
            elif number % 3 == 1:
                log.record(call := new_call(), new_outcome("refused"))
                log.close(new_outcome("accepted", call=call))
            else:
                log.intend(call := new_call())
                log.close(new_outcome("accepted", call=call))
        except log.TryTakenError:
            return "taken"
        finally:
            connection.close()
        return "written"

    with ThreadPoolExecutor(24) as threads:
        assert list(threads.map(write, range(120))) == ["taken", "written", "written"] * 40
    assert Call.objects.exclude(id=taken.id).count() == 80
    assert Outcome.objects.filter(result="accepted", number=2).count() == Outcome.objects.filter(result="accepted", number=1).count() == 40
    assert Outcome.objects.count() == 120


class PowerCut(BaseException):
    pass


def test_nobody_is_told_that_it_is_written_when_it_is_not(database):
    writer = Writer(database.insert, 5)

    def cut(rows, ends):
        database.insert(rows, ends)
        raise PowerCut

    with ThreadPoolExecutor(4) as threads:
        database.open.clear()
        first = threads.submit(writer.write, "first")
        while not database.inside:
            sleep(0.001)
        others = [threads.submit(outcome_of, writer.write, row) for row in "ab"]
        while len(writer._waiting) < 2:
            sleep(0.001)
        writer._insert = cut
        database.open.set()
        first.result()
        told = []
        for other in others:
            try:
                told.append(other.result())
            except PowerCut:
                told.append("PowerCut")
    assert sorted(told) == ["OperationalError", "PowerCut"]
    writer._insert = database.insert
    writer.write("later")


def test_one_who_has_no_time_left_takes_it_from_nobody(database, monkeypatch):
    writer = Writer(database.insert, 5)
    now = monotonic()
    entries = [writer_module._Entry([row], ends) for row, ends in (("late", now + 0.01), ("early", now + 5))]
    writer._commit(entries)
    assert database.taken == [["early"]]
    assert [type(entry.error) for entry in entries] == [OperationalError, type(None)]
