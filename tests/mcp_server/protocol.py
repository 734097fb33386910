"""Parts of requests and answers, by each version of the protocol."""

from tests.conftest import GOOD
from tests.mcp_server.door import Answer

HANDSHAKE = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = "2026-07-28"
PARSE, INVALID, NO_METHOD, BAD_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
REPLAY = {"name": "replay", "arguments": GOOD["replay"]}
ABOUT = {"name": "program", "version": "1.2"}


def initialize(version: str):
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": ABOUT}


def envelope(params=None, version=MODERN, **meta):
    """Params of a request of 2026-07-28, which says all of itself."""
    about = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": ABOUT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {**(params or {}), "_meta": {**about, **meta}}


def modern(method, name=None, version=MODERN):
    """Its headers."""
    return {"MCP-Protocol-Version": version, "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}


def told(answer: Answer):
    """A refusal's status and reason, which is a problem as JSON."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["origin"]) == (answer.status, "gateway")
    assert problem["detail"]
    return answer.status, problem["reason"]
