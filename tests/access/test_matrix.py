"""Who may send what: operation × key × source header × body, against a small rule written down apart from the product's."""

import io
import json
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from gateway.access import keys
from gateway.audit import view
from gateway.audit.models import Call, Channel
from gateway.operations import OPERATIONS
from tests.conftest import GOOD, Rest

NATURAL = {"audiencelist": "src-1", "internalbatch": "src-1", "extract": "src-1", "replay": "rep-1", "retl": "src-1"}
"""The source that fits: that of the good body, or the default of the operation."""
RECORDED = ("src-1", "rep-1")
"""The sources that RudderStack has, each with a write key here."""
KEYS = ("all", "this operation", "another operation", "src-1", "rep-1", "other-1", "revoked", "unknown", "none")
HEADERS = ("absent", "own", "other", "upper case", "with spaces", "doubled", "empty")
BODIES = ("good", "bad")


@dataclass(frozen=True)
class Expected:
    """`result` None: no row. `reads`: whether the body may have been looked at."""

    status: int
    result: str | None
    reads: bool


UNKNOWN = Expected(401, None, False)
FORBIDDEN = Expected(403, "refused", False)


def header_of(operation: str, header: str) -> str | None:
    own = NATURAL[operation]
    return {
        "absent": None,
        "own": own,
        "other": "rep-1" if own == "src-1" else "src-1",
        "upper case": own.upper(),
        "with spaces": f"  {own} ",
        "doubled": "src-1,rep-1",
        "empty": "",
    }[header]


def expected(operation: str, key: str, header: str, body: str) -> Expected:
    """The rule."""
    if key in ("revoked", "unknown", "none"):
        return UNKNOWN
    if key == "another operation":
        return FORBIDDEN
    may = {key} if key in ("src-1", "rep-1", "other-1") else None
    source = (header_of(operation, header) or "").strip()
    if operation != "internalbatch":
        source = source or NATURAL[operation]
    if source and may is not None and source not in may:
        return FORBIDDEN
    if operation in ("audiencelist", "extract") and source not in RECORDED:
        return Expected(400, "refused", False)  # no write key
    if body == "bad":
        return Expected(400, "refused", True)
    if operation == "internalbatch" and may is not None and NATURAL[operation] not in may:
        return Expected(403, "refused", True)  # the source stands in the messages
    if operation in ("replay", "retl") and source not in (RECORDED if operation == "retl" else ("rep-1",)):
        return Expected(401, "rejected", True)  # RudderStack's own
    return Expected(200, "accepted", True)


class Watched(io.BytesIO):
    """A body that tells whether it was read."""

    was_read = False

    def read(self, size: int | None = -1) -> bytes:
        self.was_read = True
        return super().read(size)


@pytest.fixture
def key_for(make_key):
    def make(operation: str, key: str) -> str | None:
        match key:
            case "all":
                return make_key()
            case "this operation":
                return make_key(operations=operation)
            case "another operation":
                return make_key(operations=",".join(OPERATIONS.keys() - {operation}))
            case "revoked":
                revoked = make_key()
                keys.revoke(revoked[:12], actor="tests", channel=Channel.CLI)
                return revoked
            case "unknown":
                return "rgw_" + "u" * 48
            case "none":
                return None
        return make_key(sources=key)

    return make


def send(rest: Rest, operation: str, source: str | None, content: bytes, body: io.BytesIO) -> Any:
    headers = rest._headers({} if source is None else {"X-Rudder-Source-Id": source})
    path = f"/{OPERATIONS[operation].path}"
    return rest._client.post(path, content, "application/json", headers=headers, **{"wsgi.input": body})


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_the_matrix(sandbox, key_for, operation, key):
    rest = Rest(key_for(operation, key))
    good = json.dumps(GOOD[OPERATIONS[operation].route]).encode()
    for header, body in product(HEADERS, BODIES):
        case, rule = f"{header}, {body} body", expected(operation, key, header, body)
        calls, reached = set(Call.objects.values_list("id", flat=True)), sandbox.count()
        content = good if body == "good" else good[:-1]
        stream = Watched(content)

        answer = send(rest, operation, header_of(operation, header), content, stream)

        assert answer.status_code == rule.status, case
        assert sandbox.count()["calls"] - reached["calls"] == (rule.status == 200), case
        assert stream.was_read == rule.reads, case
        rows = [view.get(id_) for id_ in Call.objects.values_list("id", flat=True) if id_ not in calls]
        assert [row.result for row in rows] == ([rule.result] if rule.result else []), case
        for row in rows:
            assert str(row.call.id) == answer["X-Audit-Id"], case
            assert (row.call.operation, row.call.key_prefix) == (operation, rest.key[:12]), case
            assert row.call.bytes == (len(content) if rule.reads else None), case


def test_the_rule_knows_every_kind_of_answer():
    """Else the matrix could be one long row of refusals."""
    rules = [expected(*case) for case in product(OPERATIONS, KEYS, HEADERS, BODIES)]
    assert {(rule.status, rule.result) for rule in rules} == {
        (200, "accepted"),
        (400, "refused"),
        (401, None),
        (401, "rejected"),
        (403, "refused"),
    }
    assert sum(rule.status == 200 for rule in rules) > 40


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_dry_run_needs_the_same_rights(sandbox, key_for, operation):
    route = OPERATIONS[operation].route
    answers = {key: Rest(key_for(operation, key)).send(route, GOOD[route], query="?dry_run=true").status_code for key in KEYS}
    assert answers == {key: expected(operation, key, "absent", "good").status for key in KEYS}
    assert sandbox.count()["calls"] == 0


def test_the_effective_source_is_what_is_sent_and_recorded(sandbox, make_key):
    rest = Rest(make_key(sources="src-1"))
    assert rest.send("retl", GOOD["retl"], {"X-Rudder-Source-Id": " src-1 "}).status_code == 200
    [received] = sandbox.received()
    assert [value for name, value in received["headers"] if name.lower() == "x-rudder-source-id"] == ["src-1"]
    assert Call.objects.get().source == "src-1"


def test_the_callers_key_does_not_leave(sandbox, make_key):
    key = make_key()
    for route, body in GOOD.items():
        assert Rest(key).send(route, body).status_code == 200
    assert key not in str(sandbox.received())
