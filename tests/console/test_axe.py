"""Jobs' pages as axe-core judges them: contrast, names, focus. What unfold's own frame lacks (a main landmark) it calls moderate, and is left."""

from pathlib import Path

import pytest

from tests.audit.rows import new_call, new_outcome
from tests.console.browsing import log_in
from tests.console.pages import JOBS, a_failure, a_job
from tests.processes import missing

AXE = Path(".venv/node-mcp/node_modules/axe-core/axe.min.js")
pytestmark = pytest.mark.chromium


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")])
def test_no_page_of_jobs_has_a_serious_fault(open_page, width, scheme):
    if not AXE.exists():
        missing("npm", str(AXE))
    usual = {"taken_in": True, "events": 2000, "next_event": 500, "accepted": 500, "faulty": 3}
    job = a_job(state="paused", reason="paused: Paused by ann.", **usual)
    for number in range(20):
        call = new_call(job=job.id, chunk=number, channel="job", events=25)
        call.save()
        new_outcome("accepted", call=call, upstream_ms=number * 3).save()
    a_failure(job, 1)
    for state in ("queued", "running", "succeeded", "failed"):
        a_job(state=state)
    dry = a_job(dry_run=True, state="succeeded", **usual)
    page = open_page(width, scheme)
    log_in(page)
    ways = ["", "?actor=nobody", "add/", f"{dry.id}/check/"]
    ways += [f"{job.id}/{way}" for way in ("change/", "change/?section=history", "change/?section=input", "cancel/", "failures/", "retry/")]
    found = []
    for way in ways:
        page.goto(JOBS + way)
        page.evaluate("document.fonts.ready")
        page.evaluate(AXE.read_text())
        for fault in page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found.append((way, fault["id"], [node["html"][:150] for node in fault["nodes"][:3]]))
    assert found == []
