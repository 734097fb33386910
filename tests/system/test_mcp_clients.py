"""MCP by real clients: the SDK's own over HTTP and standard streams, and plain JSON-RPC in every version of the protocol."""

import asyncio
import json

import pytest
from mcp.shared.exceptions import MCPError

from tests.system.mcp import ARGUMENTS, HANDSHAKES, NAME, OPERATION, STATELESS, VERSION, Log, Raw, client

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
            assert [one.uri_template for one in templates] == ["calls://{id}", "jobs://{id}", "operations://{name}"]
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
        assert len(raw.ask("resources/templates/list")["result"]["resourceTemplates"]) == 3
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


@pytest.mark.parametrize("mode", SPOKEN)
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_sdks_client_makes_a_job_and_reads_it(served, sandbox, transport, mode):
    async def everything():
        async with client(served, mode, transport) as sdk:
            arguments = {"events": [{"recordId": "1"}, {"recordId": "2"}], "idempotency_key": "job"}
            first, again = [(await sdk.call_tool("extract", arguments)).structured_content for _ in range(2)]
            assert (first["outcome"], first["status"], again["job"]["id"]) == ("job", 202, first["job"]["id"])
            read = json.loads((await sdk.read_resource(first["job"]["resource"])).contents[0].text)
            assert (read["id"], read["state"], read["operation"]) == (first["job"]["id"], "queued", "extract")
            assert first["job"]["resource"] in [resource.uri for resource in (await sdk.list_resources()).resources]

    asyncio.run(everything())
    assert sandbox.count()["calls"] == 0
