"""Bodies near to what RudderStack takes: the checks stand whatever comes, and the gateway decides as the sandbox does."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.models import Call
from gateway.contract.body import Body, BodyTooLargeError
from gateway.contract.decoding import MAX_DEPTH, depth
from gateway.contract.faults import ANSWERS
from gateway.operations import OPERATIONS, Credential
from tests.contract.unseen import DOUBLED_KEY, EXCUSES, unseen
from tests.fuzz.bodies import altered, made
from tests.fuzz.effort import EFFORTS
from tests.sandbox.wire import connected, send_on

SENT = pytest.mark.parametrize("sent", [made, altered], ids=["made", "altered"])
WRITE_KEY = ("Authorization", "Basic " + base64.b64encode(b"wk-1:").decode())


@SENT
@EFFORTS
def test_the_exact_check_never_fails_and_the_quick_one_says_yes_only_where_it_does_and_reads_the_same(sent, effort):
    @settings(effort, max_examples=5 * effort.max_examples)
    @given(sent)
    def check(sent):
        body = Body.of(sent.content, sent.encoding)
        for operation in OPERATIONS.values():
            verdict = body.exact(operation)
            assert verdict.accepted or verdict.faults
        quick, exact = body.quick(sent.operation), body.exact(sent.operation, max_depth=None)
        if quick is not None and exact.accepted:
            assert quick == replace(exact.reading, without_message_id=None)
        elif quick is not None:
            assert unseen(body.text) & EXCUSES.get(exact.reason, {DOUBLED_KEY}), exact

    check()


@EFFORTS
def test_a_body_over_the_limit_is_told_by_both_checks(effort):
    @effort
    @given(made, st.integers(0, 400))
    def check(sent, cap):
        bounded, free = Body.of(sent.content, sent.encoding, cap), Body.of(sent.content, sent.encoding)
        try:
            assert bounded.exact(sent.operation) == free.exact(sent.operation)
        except BodyTooLargeError:
            assert len(sent.content) > cap or sent.encoding.strip() == "gzip"

    check()


@SENT
@EFFORTS
def test_the_gateway_decides_as_the_sandbox_does_and_every_call_has_one_row(rest, sandbox, sent, effort):
    before = 0

    @settings(effort, max_examples=2 * effort.max_examples)
    @given(sent)
    def check(sent):
        nonlocal before
        status, text = directly(sandbox, sent)
        answer = rest.send(sent.operation.route, sent.content, {"Content-Encoding": sent.encoding} if sent.encoding else {})
        before += 1
        assert Call.objects.count() == before
        outcome = Call.objects.get(id=answer["X-Audit-Id"]).outcomes.get()
        document = answer.json()
        if answer.status_code == 200:
            assert (document, status, text) == ({"result": "ok"}, 200, "ok")
        elif document["origin"] == "upstream":
            assert (answer.status_code, document["detail"]) == (status, text)
            assert unseen(Body.of(sent.content, sent.encoding).text)
        elif document["reason"] in ANSWERS:
            assert f'"{text}"' in document["detail"], (status, text)
            assert answer.status_code == (413 if status == 413 else 400)
        elif document["reason"] == "too_deep":
            assert depth(Body.of(sent.content, sent.encoding).text) > MAX_DEPTH
        else:
            assert (document["reason"], sent.operation.name) == ("ambiguous_key", "internalbatch")
        assert outcome.result == {200: "accepted"}.get(answer.status_code, "refused" if document.get("origin") == "gateway" else "rejected")

    check()


def directly(sandbox, sent):
    """What the sandbox answers to the same."""
    operation = sent.operation
    credential = (
        [WRITE_KEY]
        if operation.credential is Credential.WRITE_KEY
        else [("X-Rudder-Source-Id", "rep-1" if operation.needs_replay_source else "src-1")]
    )
    with connected(sandbox) as connection:
        encoding = [("Content-Encoding", sent.encoding)] if sent.encoding else []
        answer = send_on(connection, "POST", operation.upstream_path, [*credential, *encoding], sent.content)
    return answer.status, answer.body.decode().removesuffix("\n")
