"""Reading the log: every filter, complete pages, and nothing that grows with the log."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.audit import log, view
from gateway.audit.models import Action, Channel, Result, Verb
from gateway.audit.view import Query, find
from tests.audit.rows import new_outcome, written

pytestmark = pytest.mark.django_db
MINUTES, DAYS = timedelta(minutes=1), timedelta(days=1)
BEGINNING = timezone.now() - 1000 * DAYS


def ids(query: Query) -> list[str]:
    return [record.call.id for record in find(query)[0]]


# pages


@pytest.mark.parametrize("result", [None, "accepted"])
def test_pages_are_complete_and_without_doubles_while_rows_are_added(result):
    there = [written("accepted", ago=MINUTES).id for _ in range(23)]
    seen, before, more = [], None, True
    while more:
        records, more = find(Query(result=result, before=before, limit=5))
        seen += [record.call.id for record in records]
        before = seen[-1]
        written("accepted")  # newer than all, while somebody reads
    assert seen == sorted(there, reverse=True)


def test_the_last_page_says_that_there_is_no_more():
    for _ in range(10):
        written("accepted")
    assert [len(find(Query(limit=limit))[0]) for limit in (9, 10, 11)] == [9, 10, 10]
    assert [find(Query(limit=limit))[1] for limit in (9, 10, 11)] == [True, False, False]
    assert find(Query(result="accepted", limit=9))[1] is True
    assert find(Query(result="accepted", limit=10))[1] is False


def test_unknown_calls_page_through_written_and_overdue_ones_together():
    all_unknown = [written(*results, ago=MINUTES).id for results in [(), ("unknown",)] * 4]
    seen, before, more = [], None, True
    while more:
        records, more = find(Query(result="unknown", before=before, limit=3))
        seen += [record.call.id for record in records]
        before = seen[-1]
    assert seen == sorted(all_unknown, reverse=True)


# filters


@pytest.mark.parametrize(
    ("name", "mine", "other"),
    [
        ("operation", "retl", "extract"),
        ("channel", "mcp", "rest"),
        ("source", "src-1", "SRC-1"),
        ("client", "c-1", "c-2"),
        ("actor", "ann", "Ann"),
        ("request_id", "r-1", "r-12"),
    ],
)
@pytest.mark.parametrize("result", [None, "accepted", "unknown", "in_flight"])
def test_a_filter_finds_exactly_what_it_names(name, mine, other, result):
    how = {"accepted": ("accepted",), None: ("accepted",)}.get(result, ())
    ago = MINUTES if result == "unknown" else timedelta(0)
    wanted = written(*how, ago=ago, **{name: mine})
    written(*how, ago=ago, **{name: other})
    assert ids(Query(equal={name: mine}, result=result)) == [wanted.id]
    assert ids(Query(equal={name: "nobody"}, result=result)) == []


def test_filters_hold_together():
    wanted = written("accepted", actor="ann", source="src-1")
    written("accepted", actor="ann", source="rep-1")
    written("accepted", actor="eve", source="src-1")
    written("rejected", actor="ann", source="src-1")
    assert ids(Query(equal={"actor": "ann", "source": "src-1"}, result="accepted")) == [wanted.id]


def test_each_result_finds_its_own_calls():
    calls = {result: written(result).id for result in Result.values}
    calls["in_flight"] = written().id
    calls["unknown"] = [written(ago=MINUTES).id, calls["unknown"]]
    assert set(calls) == set(dict(view.STATES))
    for result, expected in calls.items():
        found = ids(Query(result=result))
        assert sorted(found) == sorted(expected if isinstance(expected, list) else [expected]), result
        assert {record.result for record in find(Query(result=result))[0]} == {result}


def test_only_the_last_outcome_counts_for_the_filter():
    call = written("unknown", "accepted")
    assert ids(Query(result="accepted")) == [call.id]
    assert ids(Query(result="unknown")) == []


def test_an_overdue_call_is_unknown_before_and_after_it_is_written_down():
    call = written(ago=MINUTES)
    assert ids(Query(result="unknown")) == [call.id]
    assert ids(Query(result="in_flight")) == []
    log.close_overdue()
    assert ids(Query(result="unknown")) == [call.id]


def test_what_the_list_calls_unknown_the_filter_finds():
    """A worker that is down for half an hour writes nothing down."""
    call = written(ago=30 * MINUTES)
    [record] = find(Query())[0]
    assert record.result == "unknown"
    assert ids(Query(result="unknown")) == [call.id]


# times


@pytest.mark.parametrize("result", [None, "accepted"])
def test_without_times_the_last_seven_days_are_shown(result):
    young = written("accepted", ago=7 * DAYS - MINUTES)
    old = written("accepted", ago=7 * DAYS + MINUTES)
    assert ids(Query(result=result)) == [young.id]
    assert ids(Query(result=result, since=BEGINNING)) == [young.id, old.id]


@pytest.mark.parametrize("result", [None, "accepted"])
def test_since_is_included_and_until_is_not(result):
    calls = [written("accepted", ago=hours * 60 * MINUTES) for hours in (3, 2, 1)]
    middle = calls[1].at
    assert ids(Query(result=result, since=middle)) == [calls[2].id, calls[1].id]
    assert ids(Query(result=result, until=middle)) == [calls[0].id]
    assert ids(Query(result=result, since=calls[0].at, until=calls[2].at)) == [calls[1].id, calls[0].id]


@pytest.mark.parametrize("result", [None, "accepted"])
def test_until_alone_reaches_back_seven_days_from_there(result):
    until = timezone.now() - 30 * DAYS
    wanted = written("accepted", ago=31 * DAYS)
    written("accepted", ago=38 * DAYS)
    written("accepted", ago=29 * DAYS)
    assert ids(Query(result=result, until=until)) == [wanted.id]


@pytest.mark.parametrize("result", [None, "accepted", "unknown"])
@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_no_time_is_too_far_away_to_ask_for(result, year):
    written("accepted")
    far = datetime(year, 1, 1, tzinfo=UTC)
    for query in (Query(result=result, since=far), Query(result=result, until=far), Query(result=result, since=far, until=far)):
        find(query)
    assert len(ids(Query(result="accepted", since=far))) == (year < 2000)


# one call


def test_one_call_is_found_with_its_last_outcome():
    call = written("unknown", "accepted", client="c-1")
    assert view.get(call.id).outcome.number == 2
    assert view.get(call.id, client="c-1").call == call
    assert view.get(uuid4()) is None


@pytest.mark.parametrize("client", ["c-2", ""])
def test_one_call_is_not_found_for_another_client(client):
    assert view.get(written("accepted", client="c-1").id, client=client) is None


def test_a_call_without_an_outcome_is_in_flight_until_its_deadline():
    assert view.get(written().id).result == "in_flight"
    assert view.get(written(ago=MINUTES).id).result == "unknown"


def test_all_outcomes_are_there_in_order():
    call = written("unknown", "failed", "accepted")
    assert [outcome.result for outcome in view.outcomes(call)] == ["unknown", "failed", "accepted"]


def test_actions_of_a_subject_come_newest_first():
    for subject in ("a", "b", "a"):
        log.act(Action(at=timezone.now(), actor="ann", channel=Channel.CLI, verb=Verb.KEY_MADE, subject=subject))
    found = view.actions("a")
    assert [action.subject for action in found] == ["a", "a"]
    assert found[0].id > found[1].id


# cost


QUERIES = {None: 2, "accepted": 2, "in_flight": 2, "unknown": 3}


@pytest.mark.parametrize("result", list(QUERIES))
def test_a_page_costs_the_same_few_queries_whatever_it_holds(django_assert_num_queries, result):
    for _ in range(30):
        written("accepted")
        written(ago=MINUTES)
        written()
    with django_assert_num_queries(QUERIES[result]):
        records, _ = find(Query(result=result, limit=20))
    assert len(records) == 20


@pytest.mark.parametrize("result", list(QUERIES))
def test_no_page_counts_skips_or_searches_the_log(result):
    call = written("accepted")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        find(Query(equal={"actor": "tester", "source": "rep-1"}, result=result, since=BEGINNING, until=timezone.now(), before=call.id))
    statements = " ".join(query["sql"].upper() for query in captured)
    assert "AUDIT_CALL" in statements
    for word in ("COUNT(", "OFFSET", "DISTINCT", "LIKE"):
        assert word not in statements


def test_one_call_costs_two_queries(django_assert_num_queries):
    call = written("unknown", "accepted")
    with django_assert_num_queries(2):
        view.get(call.id)


def test_outcomes_of_many_calls_are_one_query(django_assert_num_queries):
    calls = [written("unknown", "accepted") for _ in range(20)]
    with django_assert_num_queries(1):
        records = view.with_outcomes(calls)
    assert [record.outcome.number for record in records] == [2] * 20


def test_a_new_outcome_shows_at_once():
    call = written()
    log.close(new_outcome("rejected", call=call))
    assert find(Query())[0][0].result == "rejected"
