"""Rows are only ever added, and ids are times."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.models import Action, Call, Channel, Outcome, Verb, new_id
from tests.audit.rows import new_call, new_outcome, written


@pytest.fixture
def rows(db):
    call = written("accepted")
    action = Action(at=timezone.now(), actor="ann", channel=Channel.CLI, verb=Verb.KEY_MADE, subject="rgw_12345678")
    action.save()
    return [call, Outcome.objects.get(), action]


def test_a_row_is_saved_once(rows):
    for row in rows:
        with pytest.raises(TypeError, match="never changed"):
            row.save()
        with pytest.raises(TypeError, match="never changed"):
            type(row).objects.get(pk=row.pk).save(update_fields=["at"])


def test_force_update_does_not_change_a_row(rows):
    for row in rows:
        with pytest.raises(TypeError, match="never changed"):
            row.save(force_update=True)


def test_a_row_is_not_deleted(rows):
    for row in rows:
        with pytest.raises(TypeError, match="never deleted"):
            row.delete()
        assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_saving_under_an_id_that_is_taken_changes_nothing():
    call = written("accepted", actor="ann")
    with pytest.raises(IntegrityError):
        new_call(id=call.id, actor="eve").save()
    with pytest.raises(IntegrityError):
        new_outcome("failed", id=Outcome.objects.get().id, call=call, number=2).save()
    assert Call.objects.get().actor == "ann"
    assert Outcome.objects.get().result == "accepted"


def test_a_call_has_an_outcome_of_each_number_once(db):
    call = written("accepted")
    with pytest.raises(IntegrityError):
        new_outcome("failed", call=call, number=1).save()


def test_ids_are_uuid7_and_sort_in_the_order_they_were_made():
    ids = [new_id() for _ in range(2000)]
    assert {id_.version for id_ in ids} == {7}
    assert ids == sorted(ids)


def test_an_id_lies_between_the_lowest_ids_of_its_time():
    before = datetime.now(UTC)
    id_ = new_id()
    after = datetime.now(UTC)
    assert Call.lowest_id(before) <= id_ < Call.lowest_id(after + timedelta(milliseconds=1))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_lowest_id_begins_with_the_whole_milliseconds(at):
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert Call.lowest_id(at).int == milliseconds << 80


@pytest.mark.parametrize("year", [1, 1969])
def test_a_time_before_1970_has_the_lowest_id_of_all(year):
    assert Call.lowest_id(datetime(year, 1, 1, tzinfo=UTC)) == UUID(int=0)
