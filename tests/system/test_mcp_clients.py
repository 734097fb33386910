"""MCP by real clients: the SDK's own over HTTP and standard streams, and plain JSON-RPC in every version of the protocol."""

import asyncio
import json
import subprocess
import time

import pytest
from mcp.shared.exceptions import MCPError

from tests.processes import ROOT
from tests.system.mcp import ARGUMENTS, HANDSHAKES, NAME, OPERATION, STATELESS, VERSION, Lines, Log, Raw, client, parameters

SPOKEN = {"auto": STATELESS, "legacy": HANDSHAKES[-1]}
"""The version that the SDK's client speaks in each mode."""


@pytest.mark.parametrize("mode", SPOKEN)
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_sdks_client_can_do_everything(served, sandbox, transport, mode):
    log = Log(served)

    async def everything():
        async with client(served, mode, transport) as sdk:
            assert sdk.protocol_version == SPOKEN[mode]
            assert sdk.server_info.name == "rudder-gateway"
            assert "audit log" in sdk.instructions
            assert [tool.name for tool in (await sdk.list_tools()).tools] == list(ARGUMENTS)
            results = [await sdk.call_tool(tool, arguments) for tool, arguments in ARGUMENTS.items()]
            refused = await sdk.call_tool("replay", {"batch": []})
            assert (refused.is_error, refused.structured_content["reason"]) == (True, "empty_batch")
            assert [fault["pointer"] for fault in refused.structured_content["errors"]] == ["/batch"]
            assert json.loads(refused.content[0].text) == refused.structured_content
            listed = [resource.uri for resource in (await sdk.list_resources()).resources]
            assert listed[:5] == [f"operations://{name}" for name in OPERATION.values()]
            templates = (await sdk.list_resource_templates()).resource_templates
            assert [one.uri_template for one in templates] == ["calls://{id}", "operations://{name}"]
            for result in results:
                assert not result.is_error
                told = result.structured_content
                assert (told["outcome"], told["status"], told["result"], told["events"]) == ("accepted", 200, "ok", 1)
                call = f"calls://{told['audit_id']}"
                assert call in listed
                read = json.loads((await sdk.read_resource(call)).contents[0].text)
                assert (read["id"], read["result"]) == (told["audit_id"], "accepted")
            operation = json.loads((await sdk.read_resource("operations://retl")).contents[0].text)
            assert operation["tool"] == "retl"
            assert [one.name for one in (await sdk.list_prompts()).prompts] == ["investigate-failed-calls", "prepare-a-replay"]
            prompt = await sdk.get_prompt("investigate-failed-calls", {"hours": "1"})
            assert refused.structured_content["audit_id"] in prompt.messages[0].content.text
            assert "all of May" in (await sdk.get_prompt("prepare-a-replay", {"events": "all of May"})).messages[0].content.text
            wrong = {
                "There is no such tool": sdk.call_tool("delete", {}),
                "There is no such resource": sdk.read_resource("operations://nothing"),
                "There is no such prompt": sdk.get_prompt("nothing"),
                "hours must be": sdk.get_prompt("investigate-failed-calls", {"hours": "all"}),
            }
            for text, asked in wrong.items():
                with pytest.raises(MCPError, match=text):
                    await asked

    asyncio.run(everything())
    rows = log.calls()
    assert [(row["operation"], row["result"]) for row in rows] == [*((name, "accepted") for name in OPERATION.values()), ("replay", "refused")]
    assert_all_came_by_mcp(rows, SPOKEN[mode], "127.0.0.1" if transport == "http" else "")
    assert [call["operation"] for call in sandbox.received()] == list(OPERATION.values())


def assert_all_came_by_mcp(rows, version, address):
    said = [(row["channel"], row["actor"], row["address"], row["headers"]["MCP-Client"], row["headers"]["MCP-Protocol-Version"]) for row in rows]
    assert said == [("mcp", "tester", address, f"{NAME}/{VERSION}", version)] * len(rows)


@pytest.mark.parametrize("version", [*HANDSHAKES, STATELESS])
def test_plain_json_rpc_in_every_version(served, sandbox, version):
    log = Log(served)
    with Raw(served, version) as raw:
        if version in HANDSHAKES:
            assert raw.begun["protocolVersion"] == version
            assert raw.ask("ping")["result"] == {}
        else:
            assert version in raw.ask("server/discover")["result"]["supportedVersions"]
        assert [tool["name"] for tool in raw.ask("tools/list")["result"]["tools"]] == list(ARGUMENTS)
        for tool in ARGUMENTS:
            told = raw.call(tool)
            assert (told["isError"], told["outcome"], told["events"]) == (False, "accepted", 1)
            read = raw.ask("resources/read", {"uri": f"calls://{told['audit_id']}"})["result"]["contents"][0]
            assert json.loads(read["text"])["id"] == told["audit_id"]
        assert len(raw.ask("resources/list")["result"]["resources"]) >= 10
        assert len(raw.ask("resources/templates/list")["result"]["resourceTemplates"]) == 2
        assert len(raw.ask("prompts/list")["result"]["prompts"]) == 2
        assert raw.ask("prompts/get", {"name": "prepare-a-replay"})["result"]["messages"][0]["role"] == "user"
        assert raw.call("replay", {"batch": [{"type": "track"}]})["reason"] == "missing_user"
        assert raw.ask("tools/call", {"name": "nothing", "arguments": {}})["error"]["code"] == -32602
        missing = -32602 if version == STATELESS else -32002
        assert raw.ask("resources/read", {"uri": "operations://nothing"})["error"]["code"] == missing
        assert raw.ask("nothing/at/all")["error"]["code"] == -32601
    assert_all_came_by_mcp(log.calls(), version, "127.0.0.1")
    assert len(log.calls()) == 6
    assert sandbox.count()["calls"] == 5


def test_stdout_holds_messages_alone_even_with_everything_logged(served, sandbox):
    sandbox.trouble("500", times=1)
    with Lines(served, GATEWAY_LOG_LEVEL="DEBUG").begin() as stdio:
        assert stdio.call()["outcome"] == "failed"
        assert stdio.call()["outcome"] == "accepted"
        assert stdio.call("replay", {"batch": 7})["outcome"] == "refused"
        assert stdio.ask("nothing/at/all")["error"]["code"] == -32601
        stdio.write(b"nonsense")
        assert stdio.read()["error"]["code"] == -32700
        assert stdio.end(10) == 0
        stdio._reader.join(5)
        assert len(stdio.lines) == 6
        for line in stdio.lines:
            assert json.loads(line)["jsonrpc"] == "2.0"
        assert b" DEBUG " in stdio.errors.read_bytes()


@pytest.mark.parametrize(("key", "told"), [("", "GATEWAY_API_KEY is not set"), ("rgw_" + "a" * 48, "is not known, or revoked")])
def test_standard_streams_without_a_good_key_end_with_one_line(served, key, told):
    started = parameters(served, GATEWAY_API_KEY=key)
    done = subprocess.run([started.command, *started.args], cwd=ROOT, env=started.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_key_that_is_revoked_in_the_middle_sends_no_more(served, sandbox):
    key = served.make_key("leaver")
    with Lines(served, GATEWAY_API_KEY=key).begin() as stdio:
        assert stdio.call()["outcome"] == "accepted"
        served.manage("revoke_api_key", key[:12])
        # Only what was looked up within the last seconds is still taken for good.
        last = stdio.ask("ping")
        assert last["result"] == {}
        time.sleep(2.1)
        sent = sandbox.count()["calls"]
        answer = stdio.ask("tools/call", {"name": "replay", "arguments": ARGUMENTS["replay"]})
        assert "not known, or revoked" in answer["error"]["message"]
        assert "not known, or revoked" in stdio.ask("resources/list")["error"]["message"]
        assert sandbox.count()["calls"] == sent
