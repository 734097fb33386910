"""A job's failures: by reason, row by row without the events, and as a file with them, which is recorded with a reason."""

import uuid
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from gateway.audit import log
from gateway.audit.models import Action, Channel, Verb
from gateway.audit.texts import storable
from gateway.console.keyset import PER_PAGE
from gateway.jobs.failures import MOST_ROWS, by_reason, find, lines
from gateway.jobs.models import Job

_REASONS: Final = 100


class DownloadForm(forms.Form):
    """Why somebody wants the events, and which."""

    why = forms.CharField(max_length=500, label="Why do you need these events?", widget=UnfoldAdminTextInputWidget)
    reason = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    after = forms.IntegerField(min_value=0, max_value=2**62, required=False, widget=forms.HiddenInput)


def reasons(job: Job) -> list[Any]:
    """Each reason with its count, the most frequent first: one query over its index."""
    return by_reason(job)[:_REASONS] if job.failed + job.faulty else []


def list_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """A page of failures, in the order of their ids."""
    job = admin.job(request, job_id)
    reason, after = storable(request.GET.get("reason", ""), 64), _number(request.GET.get("after", ""))
    rows = list(find(job, reason, after).defer("event")[: PER_PAGE + 1])
    form = DownloadForm(initial={"reason": reason, "after": after}) if admin.may_read_events(request) else None
    answer: HttpResponse = admin.answer(
        request,
        "console/jobs/failures.html",
        f"Failures of job {job.id}",
        job=job,
        rows=rows[:PER_PAGE],
        reason=reason,
        after=after,
        more=rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None,
        form=form,
        most=MOST_ROWS,
        retriable=admin.may_control(request) and not job.dry_run,
    )
    return answer


def download_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """The failures with their events, as NDJSON. Nobody gets them who is not in the log."""
    job = admin.job(request, job_id)
    if not admin.may_read_events(request):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    form = DownloadForm(request.POST)
    back = redirect("admin:jobs_job_failures", job.id)
    if not form.is_valid():
        messages.error(request, "Say why you need these events: that is kept in the log.")
        return back
    reason, after = form.cleaned_data["reason"], form.cleaned_data["after"] or 0
    detail = log.as_json([{"of_reason": reason or "all", "after": str(after)}])
    action = Action(at=timezone.now(), actor=request.user.get_username(), channel=Channel.ADMIN, verb=Verb.JOB_FAILURES_READ, subject=str(job.id))
    action.reason, action.detail = form.cleaned_data["why"], detail
    try:
        log.act(action)
    except log.LogUnavailableError:
        messages.error(request, "The database cannot be used now, so nothing is given out.")
        return back
    answer = HttpResponse(lines(job, reason, after), content_type="application/x-ndjson")
    answer["Content-Disposition"] = f'attachment; filename="failures-{job.id}-{after}.ndjson"'
    return answer


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
