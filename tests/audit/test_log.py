"""Writing the log: all rows or none, and no doubt about it."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from time import monotonic

import pytest
from django.db import connection, models
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit import log, view
from gateway.audit.models import Action, Call, Channel, Outcome, Verb
from tests.audit.rows import new_call, new_outcome, written

HOURS = timedelta(hours=1)


def texts_of(model: type[models.Model]) -> list[models.Field]:
    return [field for field in model._meta.concrete_fields if isinstance(field, models.CharField | models.TextField)]


def fill(row: models.Model, text: str) -> models.Model:
    for field in texts_of(type(row)):
        setattr(row, field.attname, text)
    return row


def result_of(call: Call) -> str:
    return view.get(call.id).result


@pytest.fixture
def no_table(db):
    """A log whose table of calls is not there; the test's transaction brings it back."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_call RENAME TO gone")


# texts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_in_every_field_is_written(db, text):
    call, outcome = fill(new_call(), text), fill(new_outcome(""), text)
    log.record(call, outcome)
    log.act(fill(Action(at=timezone.now()), text))
    assert Outcome.objects.get(call_id=call.id).answer == outcome.answer


@pytest.mark.parametrize("text", ["\0" * 300_000, "\ud800" * 300_000, "é" * 300_000, "\U0001f600" * 300_000])
def test_over_long_texts_are_cut_to_their_columns(db, text):
    log.record(fill(new_call(), text), fill(new_outcome(""), text))
    log.act(fill(Action(at=timezone.now()), text))
    for row in (Call.objects.get(), Outcome.objects.get(), Action.objects.get()):
        for field in texts_of(type(row)):
            stored = getattr(row, field.attname)
            assert len(stored) == (field.max_length or 100_000)
            assert "\0" not in stored


def test_a_list_is_kept_as_json_and_an_empty_one_as_no_text():
    assert json.loads(log.as_json([{"a": "é\ud800\0"}])) == [{"a": "é\ufffd\ufffd"}]
    many = json.loads(log.as_json([{"a": "x" * 900}] * 400))
    assert 100 < len(many) < 400
    assert log.as_json([]) == ""


# intent and outcome


def test_an_intent_is_in_the_log_before_its_outcome(db):
    call = new_call()
    log.intend(call)
    assert result_of(call) == "in_flight"
    log.close(new_outcome("accepted", call=call))
    assert result_of(call) == "accepted"


@pytest.mark.django_db(transaction=True)
def test_a_second_outcome_becomes_number_2_and_counts():
    call = written()
    log.close(new_outcome("unknown", call=call))
    log.close(new_outcome("accepted", call=call))
    assert [(outcome.number, outcome.result) for outcome in view.outcomes(call)] == [(1, "unknown"), (2, "accepted")]
    assert result_of(call) == "accepted"


@pytest.mark.django_db(transaction=True)
def test_outcomes_beyond_number_8_are_refused_not_looped_over():
    call = written(*["unknown"] * 8)
    with pytest.raises(log.LogUnavailableError):
        log.close(new_outcome("accepted", call=call))
    assert len(view.outcomes(call)) == 8


@pytest.mark.django_db(transaction=True)
def test_a_record_is_both_rows_or_none():
    call = new_call()
    with pytest.raises(log.LogUnavailableError):
        log.record(call, Outcome(result="refused"))  # without its time, which the database wants
    assert not Call.objects.exists()
    log.record(new_call(), new_outcome("refused"))
    assert (Call.objects.count(), Outcome.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_an_id_that_is_taken_is_an_error_and_no_try():
    call = written()
    with pytest.raises(log.LogUnavailableError):
        log.intend(new_call(id=call.id))


# tries of an idempotency key


@pytest.mark.django_db(transaction=True)
def test_a_try_is_taken_once():
    log.intend(new_call(client="c-1", idempotency_key="k", idempotency_try=1))
    with pytest.raises(log.TryTakenError):
        log.intend(new_call(client="c-1", idempotency_key="k", idempotency_try=1))
    assert Call.objects.count() == 1


def test_other_clients_keys_and_tries_are_free(db):
    for client, key, number in (("c-1", "k", 1), ("c-2", "k", 1), ("c-1", "K", 1), ("c-1", "k", 2), ("c-1", "k", None), ("c-1", "k", None)):
        log.intend(new_call(client=client, idempotency_key=key, idempotency_try=number))
    assert Call.objects.count() == 6


def test_the_last_try_and_its_last_outcome_are_found(db):
    assert log.last_try("c-1", "k") is None
    first = written("failed", idempotency_key="k", idempotency_try=1)
    second = written("unknown", "accepted", idempotency_key="k", idempotency_try=2)
    written("refused", idempotency_key="k")
    assert log.last_try("c-1", "k") == second
    assert log.last_outcome(second).result == "accepted"
    assert log.last_outcome(first).result == "failed"


# a log that takes no row


@pytest.mark.sqlite
def test_a_written_row_survives_a_power_cut(db):
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.fixture
def other_writer(transactional_db):
    """Another process's connection to the log, and its lock on it."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.close()


@pytest.mark.sqlite
@pytest.mark.parametrize("write", [log.intend, lambda call: log.record(call, new_outcome("refused"))], ids=["intend", "record"])
def test_a_locked_log_is_unavailable_within_its_wait_and_works_again_after(other_writer, caplog, write):
    started = monotonic()
    with pytest.raises(log.LogUnavailableError):
        write(new_call())
    assert 2 < monotonic() - started < 4
    assert "caused by OperationalError" in caplog.text
    other_writer.execute("ROLLBACK")
    write(new_call())
    assert Call.objects.count() == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("seconds", [2, 20])
def test_waiting_for_another_thread_and_for_another_process_is_one_wait(other_writer, seconds):
    holds, enough = Event(), Event()

    def hold() -> None:
        with log._writer().alone():
            holds.set()
            enough.wait(seconds)
        connection.close()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        assert holds.wait(10)
        started = monotonic()
        with pytest.raises(log.LogUnavailableError):
            log.intend(new_call())
        assert monotonic() - started < 3.5
        enough.set()


def test_many_threads_write_at_once(transactional_db):
    def write(number: int) -> None:
        log.intend(call := new_call())
        log.close(new_outcome("accepted", call=call))
        connection.close()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(100)))
    assert Outcome.objects.filter(result="accepted", number=1).count() == Call.objects.count() == 100


def test_of_many_threads_one_gets_the_try(transactional_db):
    def attempt(number: int) -> str:
        try:
            log.intend(new_call(idempotency_key="k", idempotency_try=1))
        except log.TryTakenError:
            return "taken"
        finally:
            connection.close()
        return "mine"

    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(attempt, range(32))) == ["mine"] + ["taken"] * 31


@pytest.mark.parametrize(
    "visit",
    [
        lambda: log.intend(new_call()),
        lambda: log.record(new_call(), new_outcome("refused")),
        lambda: log.last_try("c-1", "k"),
        lambda: log.probe(),
    ],
    ids=["intend", "record", "last_try", "probe"],
)
def test_a_missing_table_makes_the_log_unavailable(no_table, visit):
    with pytest.raises(log.LogUnavailableError):
        visit()


def test_the_line_about_it_quotes_nothing_of_the_row(no_table, caplog):
    with pytest.raises(log.LogUnavailableError) as raised:
        log.intend(fill(new_call(), "hunter2"))
    assert "the audit log cannot be used" in caplog.text
    assert "hunter2" not in caplog.text + repr(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.django_db(transaction=True)
def test_a_row_refused_by_the_database_is_not_quoted_either(caplog):
    call = written()
    with pytest.raises(log.LogUnavailableError):
        log.intend(fill(new_call(id=call.id), "hunter2"))
    assert "IntegrityError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_probe_leaves_no_row(db):
    log.probe()
    assert not Call.objects.exists()


def test_an_action_is_written(db):
    log.act(Action(at=timezone.now(), actor="ann", channel=Channel.CLI, verb=Verb.KEY_MADE, subject="rgw_12345678"))
    assert Action.objects.get().subject == "rgw_12345678"


# calls that are overdue


def test_an_overdue_call_is_written_down_as_unknown_exactly_once(db):
    call = written(ago=HOURS)
    assert log.close_overdue() == 1
    assert log.close_overdue() == 0
    [outcome] = view.outcomes(call)
    assert (outcome.number, outcome.result, outcome.reason) == (1, "unknown", "deadline_passed")


def test_calls_in_flight_or_with_an_outcome_are_left_alone(db):
    written(flight=HOURS)
    for result in ("accepted", "rejected", "failed", "refused", "dry_run"):
        written(result, ago=HOURS)
    assert log.close_overdue(whole_log=True) == 0
    assert Outcome.objects.count() == 5


def test_calls_of_days_ago_are_looked_for_only_when_told(db):
    written(ago=timedelta(hours=23))
    old = written(ago=timedelta(days=3))
    assert log.close_overdue() == 1
    assert view.outcomes(old) == []
    assert log.close_overdue(whole_log=True) == 1
    assert view.outcomes(old)[0].result == "unknown"


def test_more_calls_than_one_statement_holds_are_all_written_down(db):
    at = timezone.now() - HOURS
    Call.objects.bulk_create(new_call(ago=HOURS, deadline_at=at) for _ in range(1203))
    assert log.close_overdue() == 1203
    assert Outcome.objects.values("call").distinct().count() == 1203


@pytest.mark.django_db(transaction=True)
def test_the_truth_that_comes_late_wins():
    call = written(ago=HOURS)
    log.close_overdue()
    assert result_of(call) == "unknown"
    log.close(new_outcome("accepted", call=call))
    assert [outcome.number for outcome in view.outcomes(call)] == [1, 2]
    assert result_of(call) == "accepted"
    assert log.close_overdue(whole_log=True) == 0
