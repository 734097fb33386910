"""MCP by the inspector's command line, another's client in another language."""

import json

import pytest

from tests.system.mcp import ARGUMENTS, OPERATION, Log, from_npm

ERAS = {"legacy": "2025-11-25", "modern": "2026-07-28"}
IS_ERROR = 5
"""Its exit code where a tool's result is an error."""


@pytest.fixture
def inspect(served, sandbox, tmp_path):
    def run(method, *options, key=None):
        known = ("--cli", served.mcp_url, "--transport", "http", "--header", f"Authorization: Bearer {key or served.key}", "--method", method)
        return from_npm("mcp-inspector", *known, *options, home=tmp_path)

    return run


def result(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_tools_are_listed_without_a_warning(inspect):
    done = inspect("tools/list", "--strict")
    assert [tool["name"] for tool in result(done)["tools"]] == list(ARGUMENTS)
    assert "warning" not in done.stderr.lower()


@pytest.mark.parametrize(("tool", "era"), [*((tool, "legacy") for tool in ARGUMENTS), ("replay", "modern")])
def test_each_tool_can_be_called(inspect, served, sandbox, tool, era):
    log = Log(served)
    done = inspect("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(ARGUMENTS[tool]), "--protocol-era", era)
    told = result(done)["structuredContent"]
    assert (told["outcome"], told["status"], told["events"]) == ("accepted", 200, 1)
    row = log.one(result="accepted", channel="mcp", operation=OPERATION[tool])
    assert row["headers"]["MCP-Protocol-Version"] == ERAS[era]
    assert "inspector" in row["headers"]["MCP-Client"]
    assert [call["operation"] for call in sandbox.received()] == [OPERATION[tool]]


def test_arguments_may_be_given_one_by_one(inspect, sandbox):
    told = result(inspect("tools/call", "--tool-name", "retl", "--tool-arg", f"batch={json.dumps(ARGUMENTS['retl']['batch'])}", "dry_run=true"))
    assert told["structuredContent"]["outcome"] == "dry_run"
    assert sandbox.count()["calls"] == 0


def test_what_is_refused_is_an_error_to_it(inspect, sandbox):
    done = inspect("tools/call", "--tool-name", "replay", "--tool-args-json", '{"batch": []}')
    assert done.returncode == IS_ERROR
    assert json.loads(done.stdout)["structuredContent"]["reason"] == "empty_batch"
    assert sandbox.count()["calls"] == 0


def test_resources_can_be_listed_and_read(inspect):
    assert {f"operations://{name}" for name in OPERATION.values()} <= {one["uri"] for one in result(inspect("resources/list"))["resources"]}
    read = result(inspect("resources/read", "--uri", "operations://retl"))["contents"][0]
    assert json.loads(read["text"])["tool"] == "retl"
    assert inspect("resources/read", "--uri", "operations://nothing").returncode not in (0, IS_ERROR)


def test_prompts_can_be_listed_and_had(inspect):
    assert [one["name"] for one in result(inspect("prompts/list"))["prompts"]] == ["investigate-failed-calls", "prepare-a-replay"]
    had = result(inspect("prompts/get", "--prompt-name", "prepare-a-replay", "--prompt-args", "events=all of May"))
    assert "all of May" in had["messages"][0]["content"]["text"]


def test_without_a_good_key_there_is_nothing(inspect):
    done = inspect("tools/list", key="rgw_" + "a" * 48)
    assert done.returncode != 0
    assert "audience-list" not in done.stdout
