"""The protocol's own conformance suite, scenario by scenario, with the number of checks that each must make.

The suite cannot send a key, so a proxy adds it. Most of its scenarios call tools, prompts and resources of their own (test_simple_text, …),
which a server is to have for the suite's sake; this one has its five tools, and never those. What cannot be tried so is named with the reason.
"""

import json
import re
from collections import Counter

import pytest

from tests.system.key_proxy import KeyProxy
from tests.system.mcp import from_npm

OLD, NEW = "2025-11-25", "2026-07-28"
ON_EVERY_MESSAGE = "wire-schema-valid"
"""A check that comes with every scenario, also with one that tries nothing."""
SCENARIOS = [
    # scenario, version, checks passed (with the one on every message), checks of other kinds
    ("server-initialize", OLD, 3, {}),
    ("server-session-lifecycle", OLD, 1, {"SKIPPED": 2}),  # no session is kept, so none can be ended
    ("ping", OLD, 2, {}),
    ("tools-list", OLD, 3, {}),
    ("tools-list", NEW, 4, {}),
    ("resources-list", OLD, 2, {}),
    ("resources-list", NEW, 2, {}),
    ("prompts-list", OLD, 2, {}),
    ("prompts-list", NEW, 2, {}),
    ("dns-rebinding-protection", OLD, 2, {}),
    ("dns-rebinding-protection", NEW, 2, {}),
    ("server-sse-multiple-streams", OLD, 1, {"INFO": 1}),  # several requests at once; answers are JSON, so there are no streams
    ("server-sse-multiple-streams", NEW, 1, {"INFO": 1}),
    ("server-stateless", NEW, 21, {"FAILURE": 4, "SKIPPED": 5}),  # the failures are those below
    ("caching", NEW, 8, {}),
    ("http-header-validation", NEW, 14, {}),
    ("sep-2164-resource-not-found", NEW, 4, {}),
    ("input-required-result-unsupported-methods", NEW, 2, {}),
]
NOT_TESTABLE = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
}
"""Checks of server-stateless that want a tool of the suite's own, and say so."""
NOT_APPLICABLE = {
    "calls a tool of the suite's own": (
        "tools-call-simple-text",
        "tools-call-image",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "tools-call-with-logging",
        "tools-call-error",
        "tools-call-with-progress",
        "tools-call-sampling",
        "tools-call-elicitation",
        "json-schema-2020-12",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "http-custom-header-server-validation",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-missing-input-response",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "input-required-result-capability-check",
        "input-required-result-ignore-extra-params",
        "input-required-result-validate-input",  # passes, but by the error that there is no such tool
    ),
    "reads a resource of the suite's own": ("resources-read-text", "resources-read-binary", "resources-templates-read"),
    "gets a prompt of the suite's own": (
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
        "input-required-result-non-tool-request",
    ),
    "tries what this server does not offer: logging, completion, subscriptions": (
        "logging-set-level",
        "completion-complete",
        "resources-subscribe",
        "resources-unsubscribe",
    ),
    "tries event streams, and answers here are JSON: it checks nothing": ("server-sse-polling",),
    "tries an extension that this server does not declare": (
        "sep-2640-skills-directory",
        "sep-2640-skills-enumeration",
        "sep-2640-skills-manifest",
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-status-notifications",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ),
}


def run(served, scenario, version, folder):
    with KeyProxy(served.mcp_port, served.key) as proxy:
        options = ("--url", proxy.url, "--scenario", scenario, "--spec-version", version, "--output-dir", str(folder / "out"))
        done = from_npm("conformance", "server", *options, home=folder)
    found = list((folder / "out").rglob("checks.json"))
    assert len(found) == 1, done.stdout + done.stderr
    return json.loads(found[0].read_text())


@pytest.mark.parametrize(("scenario", "version", "passed", "others"), SCENARIOS, ids=[f"{name}-{version}" for name, version, *_ in SCENARIOS])
def test_a_scenario_makes_its_checks_and_they_pass(served, sandbox, tmp_path, scenario, version, passed, others):
    checks = run(served, scenario, version, tmp_path)
    unexpected = [check for check in checks if check["status"] not in ("SUCCESS", "SKIPPED", "INFO") and check["id"] not in NOT_TESTABLE]
    assert unexpected == []
    for check in checks:
        if check["status"] == "FAILURE":
            assert check["errorMessage"].startswith("Not testable: server does not list the diagnostic tool"), check
    assert Counter(check["status"] for check in checks) == {"SUCCESS": passed, **others}
    assert any(check["status"] == "SUCCESS" and check["id"] != ON_EVERY_MESSAGE for check in checks)


def test_every_scenario_of_the_suite_is_tried_or_named_with_a_reason(tmp_path):
    done = from_npm("conformance", "list", home=tmp_path)
    listed = re.findall(r"^  - (\S+) \[(.*)\]$", done.stdout.partition("Client scenarios")[0], re.M)
    wanted = {(name, version) for name, versions in listed for version in versions.split(",") if version in (OLD, NEW)}
    tried = {(name, version) for name, version, *_ in SCENARIOS}
    named = {name for names in NOT_APPLICABLE.values() for name in names}
    assert len(listed) > 50
    assert tried <= wanted
    assert {name for name, _ in wanted - tried} <= named
    assert named == {name for name, _ in listed} - {name for name, _ in tried}
