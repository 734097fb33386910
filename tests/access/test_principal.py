"""What a principal may: names count exactly as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.models import words
from gateway.access.principal import Principal
from gateway.operations import OPERATIONS


def principal(operations: str = "all", sources: str = "all", scopes: str = "") -> Principal:
    return Principal("c-1", "tester", "rgw_12345678", words(operations), words(sources), words(scopes))


def test_all_means_every_operation():
    assert all(principal().may_use(name) for name in OPERATIONS)


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_one_operation_is_that_one(name):
    assert [other for other in OPERATIONS if principal(operations=name).may_use(other)] == [name]


@pytest.mark.parametrize(
    "other",
    [
        "SRC-1",
        "Src-1",
        " src-1",
        "src-1 ",
        "src-1\n",
        "src-1\0",
        "src-1,rep-1",
        "src-",
        "src-11",
        "ſrc-1",
        "src\N{NON-BREAKING HYPHEN}1",
        "",
        "all",
        "*",
    ],
)
def test_a_source_counts_exactly_as_written(other):
    assert principal(sources="src-1").may_send_to("src-1")
    assert not principal(sources="src-1").may_send_to(other)


@given(st.text())
def test_all_sources_are_all(source):
    assert principal().may_send_to(source)
    assert principal(sources="src-1,all").may_send_to_all


@given(st.text(), st.text())
def test_only_a_listed_source_is_open(listed, asked):
    limited = principal(sources=listed)
    assert limited.may_send_to(asked) == (asked in [word.strip() for word in listed.split(",") if word.strip()] or limited.may_send_to_all)


def test_only_the_scope_audit_shows_the_calls_of_others():
    assert principal(scopes="audit,reveal").sees_all_calls
    assert not principal(scopes="reveal").sees_all_calls
    assert not principal().sees_all_calls
