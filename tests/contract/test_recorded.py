"""The checks against every recorded answer that the body decided."""

import json
from functools import lru_cache

from gateway.contract.body import Body, BrokenGzipError
from gateway.contract.faults import MAX_FAULTS
from gateway.operations import OPERATIONS
from tests.contract.unseen import DOUBLED_KEY, EXCUSES, unseen
from tests.recorded import recorded


@lru_cache(maxsize=1)
def judged():
    """(recorded, body, exact verdict), of all that are about the body."""
    rows = [(row, Body.of(row.body, row.headers.get("Content-Encoding", ""), cap=None)) for row in recorded() if row.is_about_the_body]
    return [(row, body, body.exact(OPERATIONS[row.operation], max_depth=None)) for row, body in rows]


def test_the_exact_check_gives_every_recorded_answer():
    wrong = [row.name for row, _, verdict in judged() if (verdict.status, verdict.text) != (row.status, row.answer.removesuffix("\n"))]
    assert wrong == []
    assert len(judged()) == 3224


def test_a_quick_yes_is_wrong_only_for_doubled_keys_numbers_beyond_a_double_and_escaped_times():
    compared = 0
    for row, body, verdict in judged():
        if verdict.accepted or body.quick(OPERATIONS[row.operation]) is None:
            continue
        assert unseen(body.text) & EXCUSES.get(verdict.reason, {DOUBLED_KEY}), row.name
        compared += 1
    assert compared > 50


def test_the_quick_and_the_exact_check_read_the_same():
    compared = 0
    for row, body, verdict in judged():
        quick = body.quick(OPERATIONS[row.operation])
        if quick is not None and verdict.accepted:
            exact = verdict.reading
            ours = (quick.events, quick.job_run_id, quick.task_run_id, dict(quick.sources))
            assert ours == (exact.events, exact.job_run_id, exact.task_run_id, dict(exact.sources)), row.name
            compared += 1
    assert compared > 1500


def test_the_quick_check_says_yes_to_nearly_all_that_is_accepted():
    accepted = [(row, body) for row, body, verdict in judged() if verdict.accepted]
    quick = [row for row, body in accepted if body.quick(OPERATIONS[row.operation]) is not None]
    assert len(quick) > 0.85 * len(accepted)


def test_every_refusal_names_its_faults():
    refused = [(row, verdict) for row, _, verdict in judged() if not verdict.accepted]
    for row, verdict in refused:
        assert 1 <= len(verdict.faults) <= MAX_FAULTS, row.name
        assert all(fault.detail and fault.cure and fault.reason for fault in verdict.faults), row.name
    assert len(refused) > 1400


def test_the_reason_is_that_of_one_of_the_faults():
    for row, _, verdict in judged():
        assert verdict.accepted or verdict.reason in {fault.reason for fault in verdict.faults}, row.name


def test_every_pointer_leads_to_a_value_or_to_where_one_is_missing():
    dangling = []
    for row, body, verdict in judged():
        value = _parsed(body)
        for fault in (*verdict.faults, *verdict.own):
            steps = [step.replace("~1", "/").replace("~0", "~") for step in fault.pointer.split("/")[1:]]
            missing = 2 if fault.reason == "missing_field" else 1  # a whole payload may be missing
            if not any(_leads_somewhere(value, steps[: len(steps) - cut]) for cut in range(missing + 1) if cut <= len(steps)):
                dangling.append((row.name, fault.pointer))
            assert fault.pointer == "" or fault.pointer.startswith("/")
    assert dangling == []


class _Pairs(tuple):
    pass


def _parsed(body):
    try:
        return json.loads(body.text.decode("utf-8", "surrogateescape"), object_pairs_hook=_Pairs)
    except (BrokenGzipError, ValueError, RecursionError):
        return None


def _leads_somewhere(value, steps):
    """Follows every one of doubled keys."""
    if not steps:
        return True
    if isinstance(value, _Pairs):
        return any(_leads_somewhere(item, steps[1:]) for key, item in value if key == steps[0])
    if isinstance(value, list):
        return steps[0].isdigit() and int(steps[0]) < len(value) and _leads_somewhere(value[int(steps[0])], steps[1:])
    return False
