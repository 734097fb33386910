"""The table of operations against the published capability, and the rest of the house against the table."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from django.urls import resolve

from gateway.audit.models import Call
from gateway.operations import OPERATIONS
from rudderproxy import environment
from rudderproxy.environment import Environment

PAGE = Path("tests/data/gateway-internal-api.txt").read_text()
CAPABILITY = yaml.safe_load("naftiko:" + PAGE.partition("naftiko:")[2])["capability"]
REST, MCP = CAPABILITY["exposes"]


def test_routes_are_the_published_ones():
    published = {r["name"]: (r["path"], r["operations"][0]["method"], r["operations"][0]["description"]) for r in REST["resources"]}
    ours = {f"internal-v1-{o.route}": (f"/{o.path}", "POST", o.description) for o in OPERATIONS.values()}
    assert ours == published
    for operation in OPERATIONS.values():
        assert resolve(f"/{operation.path}").func.view_class.operation is operation


def test_upstream_paths_are_the_published_ones():
    published = {r["operations"][0]["name"]: f"/{r['name'].replace('-', '/')}" for r in CAPABILITY["consumes"][0]["resources"]}
    assert {o.name: o.upstream_path for o in OPERATIONS.values()} == published


def test_tools_hints_and_descriptions_are_the_published_ones():
    published = {tool["call"].partition(".")[2]: (tool["name"], tool["description"]) for tool in MCP["tools"]}
    assert {o.name: (o.tool, o.description) for o in OPERATIONS.values()} == published
    assert all(tool["hints"] == {"readOnly": False, "destructive": False, "idempotent": False} for tool in MCP["tools"])


def test_ports_and_environment_names_are_the_published_ones():
    read = environment.read()
    assert (read.gateway_port, read.gateway_mcp_port) == (REST["port"], MCP["port"])
    assert {"rudderstack_user", "rudderstack_pass"} <= set(Environment.__dataclass_fields__)
    assert "{{env.RUDDERSTACK_USER}}" in PAGE
    assert "{{env.RUDDERSTACK_PASS}}" in PAGE


def test_choices_of_the_log_are_the_operations():
    assert [value for value, _ in Call._meta.get_field("operation").choices] == list(OPERATIONS)


@pytest.mark.parametrize("path", sorted(Path("gateway").rglob("*.py")), ids=str)
def test_no_code_changes_or_deletes_rows_of_the_log(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("update", "bulk_update", "delete", "update_or_create")
        ):
            # A job's own rows change as it goes on.
            of_job = Path("gateway/jobs") in path.parents and not re.search(r"\b(Call|Outcome|Action)\b", ast.unparse(node.func.value))
            assert of_job or path == Path("gateway/access/keys.py"), f"{path}:{node.lineno}"


def test_every_command_has_a_test():
    commands = {path.stem for path in Path("gateway").glob("*/management/commands/[a-z]*.py")}
    tests = "".join(path.read_text() for path in Path("tests").rglob("*.py"))
    assert commands
    assert [name for name in commands if f'"{name}"' not in tests] == []
