"""The two prompts: texts, arguments, and no call that is not the key's to see."""

from datetime import timedelta

import pytest

from gateway.mcp_server.prompts import BadArgumentError, prompt, prompts
from tests.audit.rows import written
from tests.conftest import GOOD
from tests.mcp_server.door import Tools

INVESTIGATE, PREPARE = "investigate-failed-calls", "prepare-a-replay"
NONE = "There are none that this key may see."


def text_of(tools, name, **arguments):
    found = prompt(name, arguments, tools.caller())
    [message] = found.messages
    assert (message.role, found.description) == ("user", next(one.description for one in prompts() if one.name == name))
    return message.content.text


def test_there_are_two_and_nothing_must_be_given():
    assert [one.name for one in prompts()] == [INVESTIGATE, PREPARE]
    assert [[argument.name for argument in one.arguments] for one in prompts()] == [["hours", "source"], ["source", "events"]]
    assert not any(argument.required for one in prompts() for argument in one.arguments)
    assert all(one.title and one.description and argument.description for one in prompts() for argument in one.arguments)


def test_another_is_none(tools):
    assert prompt("nope", {}, tools.caller()) is None
    assert prompt("nope", {"hours": "x"}, tools.caller()) is None


def test_failed_calls_are_shown_by_kind(tools, sandbox):
    sent = {}
    for kind, order in (
        ("unknown", {"kind": "reset_after"}),
        ("failed", {"kind": "500"}),
        ("rejected", {"kind": "401"}),
        ("accepted", {"kind": "answer"}),
    ):
        sandbox.trouble(**order, times=1)
        sent[kind] = tools.send("replay", GOOD["replay"]).structured_content
        assert sent[kind]["outcome"] == kind
    sent["refused"] = tools.send("replay", {"batch": [{}]}).structured_content
    text = text_of(tools, INVESTIGATE)
    for kind in ("unknown", "failed", "rejected", "refused"):
        assert f'"{kind}": [' in text
        assert sent[kind]["audit_id"] in text
    assert sent["accepted"]["audit_id"] not in text
    assert "missing_user" in text
    assert "last 24 hours" in text


def test_without_failed_calls_it_says_so(tools, sandbox):
    tools.send("replay", GOOD["replay"])
    assert text_of(tools, INVESTIGATE).endswith(NONE)


def test_only_calls_that_the_key_may_see_are_shown(tools, make_key):
    other = written("failed", client="another")
    own = written("failed", client=tools.caller().principal.client_id)
    text = text_of(tools, INVESTIGATE)
    assert (str(own.id) in text, str(other.id) in text) == (True, False)
    text = text_of(Tools(make_key("auditor", scopes="audit")), INVESTIGATE)
    assert (str(own.id) in text, str(other.id) in text) == (True, True)


def test_source_and_hours_narrow(tools):
    client = tools.caller().principal.client_id
    old = written("failed", client=client, ago=timedelta(hours=30))
    young = written("failed", client=client, ago=timedelta(hours=3), source="src-9")
    for arguments, shown in (
        ({}, {young}),
        ({"hours": "1"}, set()),
        ({"hours": "31"}, {old, young}),
        ({"hours": " 720 ", "source": " rep-1 "}, {old}),
        ({"hours": "", "source": ""}, {young}),
        ({"source": "nope"}, set()),
    ):
        text = text_of(tools, INVESTIGATE, **arguments)
        assert {call for call in (old, young) if str(call.id) in text} == shown
        assert text.endswith(NONE) == (not shown)


def test_overdue_calls_count_as_unknown(tools):
    call = written(client=tools.caller().principal.client_id, ago=timedelta(hours=1))
    text = text_of(tools, INVESTIGATE)
    assert str(call.id) in text
    assert '"unknown": [' in text


def test_of_many_the_last_ten_of_each_kind_are_shown(tools):
    client = tools.caller().principal.client_id
    calls = [written("failed", client=client) for _ in range(15)]
    text = text_of(tools, INVESTIGATE)
    assert sum(str(call.id) in text for call in calls) == 10


@pytest.mark.parametrize(
    "hours", ["0", "721", "-1", "1.5", "x", "1e2", "²", "٣", "24h", "9" * 100, "9" * 5000, "0000019999999999999", "000000", "999999", "0x10", "\0"]
)
def test_hours_must_be_a_whole_number_within_a_month(tools, hours):
    with pytest.raises(BadArgumentError) as bad:
        text_of(tools, INVESTIGATE, hours=hours)
    assert str(bad.value) == "hours must be a whole number from 1 to 720."


def test_zeros_before_the_hours_are_no_more_than_zeros(tools):
    assert text_of(tools, INVESTIGATE, hours="0000024").endswith(NONE)


@pytest.mark.parametrize("source", ["\ud800", "a\0b", "a\nb"])
@pytest.mark.parametrize("name", [INVESTIGATE, PREPARE])
def test_a_source_must_be_text_that_a_database_can_be_asked_for(tools, name, source):
    with pytest.raises(BadArgumentError) as bad:
        text_of(tools, name, source=source)
    assert str(bad.value) == "source must be printable text."


@pytest.mark.parametrize(("name", "taken"), [(INVESTIGATE, "hours and source"), (PREPARE, "source and events")])
def test_another_argument_is_refused_and_not_quoted(tools, name, taken):
    with pytest.raises(BadArgumentError) as bad:
        text_of(tools, name, sesame="open")
    assert str(bad.value) == f"{name} takes {taken}, and nothing else."


def test_a_replay_is_prepared_with_what_is_known(tools):
    text = text_of(tools, PREPARE)
    assert "the gateway's default replay source" in text
    assert "ask first" in text
    text = text_of(tools, PREPARE, source=" rep-9 ", events="orders of May {hours} {{x}}")
    assert "Source: rep-9\n" in text
    assert "Events: orders of May {hours} {{x}}\n" in text
    for word in ("operations://replay", "dry_run", "idempotency_key", "events_without_message_id", "audit_id", "originalTimestamp"):
        assert word in text
