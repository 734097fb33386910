"""What both doors are asked: good and bad bodies, sources and rights, idempotency keys, and every way that RudderStack can answer."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.conftest import EVENT, GOOD, MESSAGE


@dataclass(frozen=True)
class Step:
    """One call. `trouble` is the sandbox's; `forget` takes the outcomes before away, as if the calls were still on their way."""

    route: str
    body: Any
    options: dict[str, Any] = field(default_factory=dict)
    trouble: dict[str, Any] | None = None
    forget: bool = False


@dataclass(frozen=True)
class Case:
    steps: tuple[Step, ...]
    rights: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    where: bool = True
    """Whether both doors name the same places; of what is a header there, REST names none."""


def one(route: str, body: Any, trouble: dict[str, Any] | None = None, **options: Any) -> Case:
    return Case((Step(route, body, options, trouble),))


def message(**properties: Any) -> dict[str, Any]:
    return {**MESSAGE, "properties": {**MESSAGE["properties"], **properties}}


def without(name: str) -> dict[str, Any]:
    return {**MESSAGE, "properties": {key: value for key, value in MESSAGE["properties"].items() if key != name}}


def nested(levels: int) -> bytes:
    return b'{"batch":[{"userId":"u","deep":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}]}"


BATCH = GOOD["replay"]
KEY = {"idempotency_key": "k-1"}
JOB = {"respond_async": True}
LARGE = {"batch": [{**EVENT, "text": "x" * 1_000_000}] * 5}
"""Over what RudderStack takes at once, and within what the gateway takes."""
ACROSS_A_KEY = (
    ("retl", {"batch": [EVENT, EVENT]}, {}),
    ("replay", GOOD["retl"], {}),
    ("retl", GOOD["retl"], {"source": "rep-1"}),
    ("retl", GOOD["retl"], {"destination_id": "dst-1"}),
)
CASES: dict[str, Case] = {
    **{f"good {route}": one(route, body) for route, body in GOOD.items()},
    **{f"dry run of a good {route}": one(route, body, dry_run=True) for route, body in GOOD.items()},
    **{f"explicitly no dry run of {route}": one(route, body, dry_run=False) for route, body in GOOD.items()},
    # bodies
    **{
        f"audiencelist {number}": one("audiencelist", body)
        for number, body in enumerate(
            [
                {},
                {"userId": " "},
                {"userId": None},
                {"userId": 0},
                {"anonymousId": "a"},
                [],
                [EVENT],
                5,
                "text",
                None,
                True,
                {"userId": "u", "type": "record"},
                {"type": "record"},
            ]
        )
    },
    **{f"extract {number}": one("extract", body) for number, body in enumerate([{}, [], [{}], {"type": 7}])},
    **{
        f"{route} {number}": one(route, {"batch": batch})
        for route in ("replay", "retl")
        for number, batch in enumerate(
            [
                [],
                [{}],
                [5],
                [None],
                [[]],
                {},
                5,
                "text",
                None,
                [EVENT, {"userId": " ", "secret": "sesame"}, 5],
                [{"type": "record"}],
                [{"type": "extract"}],
                [{"userId": "\N{ZERO WIDTH SPACE}"}],
                [{}] * 150,
                [EVENT] * 50,
            ]
        )
    },
    **{
        f"batch {number}": one("batch", body)
        for number, body in enumerate(
            [
                [],
                {},
                None,
                5,
                "text",
                [None],
                [5],
                [{}],
                [MESSAGE, {}],
                [MESSAGE] * 7,
                [message(sourceID="src-2")],
                [message(sourceID="é")],
                [message(isBot="x")],
                [message(workspaceID="a\0b")],
                [message(receivedAt="yesterday")],
                [message(routingKey=5)],
                [message(sourceJobRunID="jr")],
                [message(surplus=1)],
                [{**MESSAGE, "payload": {}}],
                [{**MESSAGE, "payload": []}],
                [{**MESSAGE, "PROPERTIES": {}}],
            ]
        )
    },
    **{f"batch without {name}": one("batch", [without(name)]) for name in MESSAGE["properties"]},
    **{
        f"dry run of a bad {route}": one(route, body, dry_run=True)
        for route, body in (("audiencelist", {}), ("extract", []), ("replay", {"batch": [{}]}), ("retl", {"batch": []}), ("batch", [{}]))
    },
    "beyond a double": one("replay", b'{"batch":[{"userId":"u","v":[1,1e400]}]}'),
    "beyond a double, negative": one("retl", b'{"batch":[{"userId":"u","v":-1E+999}]}'),
    "beyond a double, as a whole number": one("replay", b'{"batch":[{"userId":"u","v":1' + b"0" * 400 + b"}]}"),
    "beyond a double, in an event": one("extract", b'{"v":1e309}'),
    "beyond a double, tried": one("replay", b'{"batch":[{"userId":"u","v":1e400}]}', dry_run=True),
    "beyond a double, in a message": one("batch", json.dumps([MESSAGE]).replace('"payload": {', '"payload": {"v": 1e400, ').encode()),
    "numbers": one(
        "replay",
        b'{"batch":[{"userId":"u","v":[9007199254740993,-9007199254740993,0.1,1e2,1E-400,-0.0,1.7976931348623157e308,12345678901234567890123,5e-324]}]}',
    ),
    "braces": one("replay", {"batch": [{"userId": "{{x}}", "{{env.RUDDERSTACK_PASS}}": "{{env.DJANGO_SECRET_KEY}} ${HOME} %s"}]}),
    "texts": one("retl", {"batch": [{"userId": "é \U0001f600 \u2028 \x7f", "é": '\\ " / \b\f\n\r\t'}]}),
    "a NUL": one("replay", {"batch": [{"userId": "a\0b", "\0": "\0"}]}),
    "lone surrogates": one("replay", b'{"batch":[{"userId":"u","v":"\\ud800 \\udc00\\ud83d","\\udfff":1}]}'),
    "500 levels": one("replay", nested(500)),
    "500 levels, in an event": one("extract", b'{"deep":' + b'{"a":' * 500 + b"1" + b"}" * 501),
    "500 levels, in a message": one(
        "batch", json.dumps([MESSAGE]).replace('"payload": {', '"payload": {"deep": ' + '{"a":' * 500 + "1" + "}" * 500 + ", ").encode()
    ),
    "too large for upstream": one("replay", b'{"batch":[{"userId":"' + b"u" * 4_096_000 + b'"}]}'),
    "too large for an extract": one("extract", b'{"v":"' + b"u" * 4_096_000 + b'"}'),
    "too large for the gateway": Case((Step("audiencelist", {"userId": "u" * 2001}),), settings={"GATEWAY_MAX_BODY_BYTES": 2000}),
    # sources, rights
    "a source": one("retl", GOOD["retl"], source="rep-1"),
    "a source that upstream does not know": one("retl", GOOD["retl"], source="src-2"),
    "a source that is off": one("retl", GOOD["retl"], source="src-off"),
    "a source that is no replay source": one("replay", BATCH, source="src-1"),
    "an empty source is none": one("retl", GOOD["retl"], source=""),
    "no write key": one("extract", GOOD["extract"], source="src-2"),
    "no write key, tried": one("extract", GOOD["extract"], source="src-2", dry_run=True),
    "no default source": Case((Step("replay", BATCH),), settings={"RUDDERSTACK_REPLAY_SOURCE_ID": ""}),
    "no default source for any": Case(tuple(Step(route, body) for route, body in GOOD.items()), settings={"RUDDERSTACK_SOURCE_ID": ""}),
    "a source of a batch": one("batch", [MESSAGE], source="src-1"),
    "a source that the key may not send to": Case(
        (Step("retl", GOOD["retl"]), Step("retl", GOOD["retl"], {"source": "rep-1"})), rights={"sources": "rep-1"}
    ),
    "a source that the key may not send to, tried": Case((Step("retl", GOOD["retl"], {"dry_run": True}),), rights={"sources": "rep-1"}),
    "a message's source that the key may not send to": Case((Step("batch", [MESSAGE, message(sourceID="src-2")]),), rights={"sources": "src-1"}),
    "the case of a source counts": Case((Step("retl", GOOD["retl"], {"source": "SRC-1"}),), rights={"sources": "src-1"}),
    "an operation that the key may not use": Case(tuple(Step(route, body) for route, body in GOOD.items()), rights={"operations": "replay"}),
    "an operation that the key may not use, tried badly": Case((Step("retl", {"batch": []}, {"dry_run": True}),), rights={"operations": "replay"}),
    "user and password": Case(
        tuple(Step(route, GOOD[route]) for route in ("replay", "extract", "batch")), settings={"RUDDERSTACK_USER": "wk-1", "RUDDERSTACK_PASS": "päss"}
    ),
    # what is passed on
    "a destination": one("retl", GOOD["retl"], destination_id="dst-1"),
    "a destination that is off": one("retl", GOOD["retl"], destination_id="dst-off"),
    "a destination that there is not": one("retl", GOOD["retl"], destination_id="dst-9"),
    "a destination where none is looked at": one("replay", BATCH, destination_id="dst-9"),
    "job and task": one("retl", GOOD["retl"], job_run_id="jr", task_run_id="tr"),
    "job and task of a replay": one("replay", BATCH, job_run_id="jr ~", task_run_id="t r"),
    "job and task of a batch": one("batch", [MESSAGE], job_run_id="jr", task_run_id="tr"),
    "the first event's job wins": one(
        "replay", {"batch": [{"userId": "u", "context": {"sources": {"job_run_id": "jr-1", "task_run_id": "tr-1"}}}, EVENT]}, job_run_id="other"
    ),
    "a dry run with a job": one(
        "replay", {"batch": [EVENT, {"userId": "u", "context": {"sources": {"job_run_id": "jr"}}}]}, job_run_id="other", dry_run=True
    ),
    "all at once": one(
        "retl", GOOD["retl"], source="src-1", destination_id="dst-1", job_run_id="jr", task_run_id="tr", idempotency_key="k-1", dry_run=False
    ),
    # idempotency
    "a replayed answer": Case((Step("replay", BATCH, KEY),) * 2),
    "a replayed refusal of upstream": Case((Step("replay", b'{"batch":[{"userId":"u","v":1e400}]}', KEY),) * 2),
    **{
        f"a replayed {name}": Case((Step("replay", BATCH, KEY, trouble), Step("replay", BATCH, KEY)))
        for name, trouble in {
            "429": {"kind": "429", "retry_after": 7},
            "500": {"kind": "500"},
            "json": {"kind": "answer", "content_type": "application/json", "body": '{"a": 1e2}'},
            "json refusal": {"kind": "answer", "status": 409, "content_type": "application/json", "body": '{"a": 1}'},
            "204": {"kind": "204"},
            "redirect": {"kind": "redirect"},
            "long answer": {"kind": "answer", "body": "x" * 5000},
        }.items()
    },
    **{
        f"a key used for another {number}": Case((Step("retl", GOOD["retl"], KEY), Step(route, body, KEY | options)))
        for number, (route, body, options) in enumerate(ACROSS_A_KEY)
    },
    "a key on its way": Case((Step("replay", BATCH, KEY), Step("replay", BATCH, KEY, forget=True))),
    "a key of unknown outcome": Case((Step("replay", BATCH, KEY, {"kind": "reset_after"}), Step("replay", BATCH, KEY))),
    "a refused try is sent corrected": Case((Step("replay", {"batch": [{}]}, KEY), Step("replay", BATCH, KEY))),
    "a dry run does not use a key up": Case((Step("replay", BATCH, KEY | {"dry_run": True}), Step("replay", BATCH, KEY))),
    "the longest key": one("replay", BATCH, idempotency_key="k" * 255),
    "a key with spaces": one("replay", BATCH, idempotency_key=" k ~ "),
    **{
        f"a bad key {number}": Case((Step("replay", BATCH, {"idempotency_key": key}),), where=False)
        for number, key in enumerate(["", " ", "é", "k" * 256, "a\x7fb", "a\tb"])
    },
    "a secret as a key": one("replay", BATCH, idempotency_key="a-secret-key-of-the-tests-that-nobody-else-uses-0123456789"),
    # jobs
    **{f"{route} as a job": one(route, body, respond_async=True) for route, body in GOOD.items()},
    **{f"dry run of {route} as a job": one(route, body, respond_async=True, dry_run=True) for route, body in GOOD.items()},
    "explicitly no job": one("replay", BATCH, respond_async=False),
    "too large for one call": one("replay", LARGE),
    "too large for one call, tried": one("retl", LARGE, dry_run=True),
    "a job with all that a call has": one("retl", GOOD["retl"], source="rep-1", destination_id="dst-1", job_run_id="jr", **JOB, **KEY),
    "a job asked for again": Case((Step("replay", BATCH, JOB | KEY),) * 2),
    "too large for one call, again": Case((Step("replay", LARGE, KEY),) * 2),
    "a key of a job used for a call": Case((Step("replay", BATCH, JOB | KEY), Step("replay", BATCH, KEY))),
    "a key of a call used for a job": Case((Step("replay", BATCH, KEY), Step("replay", BATCH, JOB | KEY))),
    "a key of another job": Case((Step("replay", BATCH, JOB | KEY), Step("replay", {"batch": [EVENT, EVENT]}, JOB | KEY))),
    "a key on its way, for a job": Case((Step("replay", BATCH, KEY), Step("replay", BATCH, JOB | KEY, forget=True))),
    "a bad key of a job": Case((Step("replay", BATCH, JOB | {"idempotency_key": ""}),), where=False),
    **{
        f"a bad {route} as a job": one(route, body, respond_async=True)
        for route, body in (("audiencelist", {}), ("replay", {"batch": [{}]}), ("retl", {"batch": []}), ("batch", [{}]))
    },
    "too large for a job": one("extract", b'{"v":"' + b"u" * 4_096_000 + b'"}', respond_async=True),
    "a job of an operation that the key may not use": Case((Step("retl", GOOD["retl"], JOB),), rights={"operations": "replay"}),
    "a job of a source that the key may not send to": Case((Step("retl", GOOD["retl"], JOB),), rights={"sources": "rep-1"}),
    "a job of a message's source that the key may not send to": Case(
        (Step("batch", [MESSAGE, message(sourceID="src-2")], JOB),), rights={"sources": "src-1"}
    ),
    # validation is observe
    **{
        f"observed {number}": Case((Step(route, body),), settings={"GATEWAY_VALIDATION": "observe"})
        for number, (route, body) in enumerate(
            [
                ("replay", {"batch": [{"event": "x"}]}),
                ("batch", [{}]),
                ("audiencelist", {}),
                ("batch", [message(workspaceID="a\0b")]),
            ]
        )
    },
    "observed and accepted all the same": Case(
        (Step("replay", {"batch": [{"event": "x"}]}, {}, {"kind": "answer"}),), settings={"GATEWAY_VALIDATION": "observe"}
    ),
    "observed but limited": Case((Step("batch", [{}]),), rights={"sources": "src-1"}, settings={"GATEWAY_VALIDATION": "observe"}),
    # upstream
    **{
        f"upstream {number} {trouble['kind']}": one("replay", BATCH, trouble)
        for number, trouble in enumerate(
            [
                {"kind": "429", "retry_after": 7},
                {"kind": "429"},
                {"kind": "500"},
                {"kind": "401"},
                {"kind": "html"},
                {"kind": "html", "status": 504},
                {"kind": "html", "status": 503},
                {"kind": "html", "status": 404},
                {"kind": "redirect", "location": "/internal/v1/retl"},
                {"kind": "half_answer"},
                {"kind": "reset_before"},
                {"kind": "reset_after"},
                {"kind": "204"},
                {"kind": "informational"},
                {"kind": "endless"},
                *({"kind": "answer", "body": body} for body in ("", "ok\n", "<b>ok</b>", '{"a":1}', "a\udcffb\0c", "x" * 5000)),
                *(
                    {"kind": "answer", "content_type": "application/json", "body": body}
                    for body in (
                        "{",
                        "NaN",
                        "[" * 5000,
                        "null",
                        "5",
                        '"ok"',
                        "[]",
                        '{"a": 12345678901234567890123}',
                        '{"a": "é"}',
                        "[" * 100 + "]" * 100,
                    )
                ),
                *(
                    {"kind": "answer", "status": status, "content_type": "application/json; charset=utf-8", "body": '{"b": 1e2,  "a": 1}'}
                    for status in (200, 201, 299, 300, 400, 401, 404, 409, 413, 422, 500, 502, 503, 504, 599, 600)
                ),
                *({"kind": "answer", "status": status, "body": "no"} for status in (205, 301, 400, 403, 413, 418, 499, 501)),
                {"kind": "answer", "status": 503, "body": "Service Unavailable", "headers": {"Retry-After": "3"}},
                {"kind": "answer", "status": 400, "content_type": "application/problem+json", "body": '{"title": "no"}'},
            ]
        )
    },
    "too late": Case(
        (Step("replay", BATCH, {}, {"kind": "delay", "seconds": 2}),), settings={"GATEWAY_DEADLINE_SECONDS": 0.5, "GATEWAY_READ_SECONDS": 0.4}
    ),
    "nobody there": Case((Step("replay", BATCH),), settings={"RUDDERSTACK_BASE_URL": "http://127.0.0.1:9"}),
    "no usable address": Case((Step("replay", BATCH),), settings={"RUDDERSTACK_BASE_URL": "http://"}),
    "upstream's echo of a secret": Case(
        tuple(
            Step("replay", BATCH, {}, {"kind": "answer", "status": status, "content_type": kind, "body": '{"no": "a-long-password"}'})
            for status in (200, 400)
            for kind in ("text/plain", "application/json")
        ),
        settings={"RUDDERSTACK_USER": "wk-1", "RUDDERSTACK_PASS": "a-long-password"},
    ),
}
