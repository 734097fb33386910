"""What the log could not take in time: written later, once, in whatever order things happened."""

import uuid
from datetime import timedelta

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from gateway.audit import late, log, view
from gateway.audit.models import Call, Outcome
from gateway.audit.spool import Spool
from tests.audit.rows import new_call, new_outcome, written
from tests.environment import VAR


def waiting():
    return late._spool().names()


def outcomes_of(call):
    return list(Outcome.objects.filter(call=call).order_by("number").values_list("number", "result", "reason"))


def test_while_an_outcome_waits_no_call_begins(db):
    call = written()
    late.check()
    late.keep(new_outcome("accepted", call=call))
    with pytest.raises(log.LogUnavailableError):
        late.check()
    late.settle()
    late.check()
    assert outcomes_of(call) == [(1, "accepted", "")]
    assert waiting() == []


def test_it_is_written_as_it_was_with_every_field(db):
    call = written()
    whole = {
        "at": timezone.now() - timedelta(minutes=3),
        "status": 200,
        "upstream_status": 200,
        "attempts": 2,
        "duration_ms": 17,
        "upstream_ms": 16,
        "answer_sha256": "a" * 64,
        "answer_type": "text/plain",
        "answer": "ok \N{PILE OF POO} \0 \ud800",
        "reason": "r",
        "faults": "[]",
    }
    late.keep(new_outcome("accepted", call=call, **whole))
    late.settle()
    outcome = Outcome.objects.get(call=call)
    assert {name: getattr(outcome, name) for name in whole} == {**whole, "answer": "ok \N{PILE OF POO} \ufffd \ufffd"}


def test_what_the_database_carried_out_after_all_is_not_written_twice(db):
    call, outcome = written(), None
    outcome = new_outcome("accepted", call=call)
    late.keep(outcome)
    log.close(outcome)
    late.settle()
    assert outcomes_of(call) == [(1, "accepted", "")]


def test_the_truth_comes_after_an_unknown_that_the_worker_wrote(db):
    call = written(ago=timedelta(minutes=1))
    late.keep(new_outcome("accepted", call=call))
    log.close_overdue()
    late.settle()
    assert outcomes_of(call) == [(1, "unknown", "deadline_passed"), (2, "accepted", "")]
    assert view.get(call.id).result == "accepted"


def test_a_doubtful_intent_that_is_there_is_closed_as_refused(db):
    call = written()
    late.doubt(call)
    late.check()  # nothing was sent: no reason to stop
    late.settle()
    assert outcomes_of(call) == [(1, "refused", "log_unavailable")]
    assert waiting() == []


def test_one_that_reads_unknown_by_then_is_set_right(db):
    call = written("unknown")
    late.doubt(call)
    late.settle()
    assert outcomes_of(call)[1:] == [(2, "refused", "log_unavailable")]


def test_one_that_was_recorded_whole_is_left_as_it_is(db):
    log.record(call := new_call(), new_outcome("dry_run"))
    late.doubt(call)
    late.settle()
    assert outcomes_of(call) == [(1, "dry_run", "")]


def test_one_that_is_not_there_is_looked_for_a_while(db, monkeypatch):
    call = new_call()
    late.doubt(call)
    late.settle()
    assert waiting() == [f"{call.id}.refusal"]
    log.intend(call)  # the database wakes
    late.settle()
    assert outcomes_of(call) == [(1, "refused", "log_unavailable")]

    late.doubt(other := new_call())
    monkeypatch.setattr(late, "DOUBT_SECONDS", 0.0)
    late.settle()
    assert waiting() == []
    assert not Call.objects.filter(id=other.id).exists()


def test_what_belongs_to_no_call_is_set_aside_and_stops_nobody(db, caplog):
    late.keep(new_outcome("accepted", call=new_call()))
    late.settle()
    late.check()
    assert waiting() == []
    assert "belongs to no call" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": "x"}', b'{"unheard": 1}'])
def test_what_cannot_be_read_is_set_aside_and_stops_nobody(db, caplog, content):
    name = f"{uuid.uuid4()}.outcome"
    late._spool().put(name, content)
    good = written()
    late.keep(new_outcome("accepted", call=good))
    late.settle()
    late.check()
    assert "set aside" in caplog.text
    assert outcomes_of(good) == [(1, "accepted", "")]


def test_while_the_log_is_away_it_stays(db):
    call = written()
    late.keep(new_outcome("accepted", call=call))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away")
    with pytest.raises(log.LogUnavailableError):
        late.settle()
    assert waiting() == [f"{call.id}.outcome"]
    with pytest.raises(log.LogUnavailableError):
        late.check()


def test_nothing_in_clear_beyond_what_the_log_would_hold(db):
    late.keep(new_outcome("accepted", call=written(), answer="ok"))
    [name] = waiting()
    assert set(msgspec.json.decode(late._spool().get(name))) == {f.attname for f in Outcome._meta.concrete_fields if not f.primary_key}
    assert str(late._spool()._folder).startswith(VAR)


def test_who_finds_that_another_process_wrote_it_goes_on(db):
    late.keep(new_outcome("accepted", call=written()))
    [name] = waiting()
    with Spool(late._spool()._folder).alone():
        late._spool().drop(name)  # as the other does
        late.settle()
    late.check()


def test_while_another_process_writes_it_nobody_begins(db):
    late.keep(new_outcome("accepted", call=written()))
    with Spool(late._spool()._folder).alone():
        late.settle()
        with pytest.raises(log.LogUnavailableError):
            late.check()
    late.settle()
    late.check()


def test_without_a_folder_it_is_written_from_memory(db, tmp_path, monkeypatch):
    (tmp_path / "pending").write_text("a file in the way")
    monkeypatch.setattr(late, "_spool", lambda spool=Spool(tmp_path / "pending"): spool)
    late.keep(new_outcome("accepted", call=(call := written())))
    late.settle()
    late.check()
    assert outcomes_of(call) == [(1, "accepted", "")]


def test_one_outcome_too_many_stops_nobody(db):
    call = written(*["unknown"] * log.MAX_OUTCOMES)
    late.keep(new_outcome("accepted", call=call))
    late.settle()
    late.check()


def test_outcomes_come_before_refusals(db):
    for _ in range(3):
        late.doubt(new_call())
    late.keep(new_outcome("accepted", call=written()))
    late.settle()
    late.check()
    assert len(waiting()) == 3
