"""A job's failures: by reason, row by row without the events, and as a file with them, which is recorded with a reason."""

import json
import uuid
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from gateway.audit import log
from gateway.audit.models import Action, Channel, Verb
from gateway.audit.texts import storable
from gateway.console.keyset import PER_PAGE
from gateway.jobs.models import Failure, Job

MOST_ROWS: Final = 10_000
MOST_CHARACTERS: Final = 64_000_000
"""Of events in one file."""
_FIELDS: Final = ("id", "file", "line", "reason", "pointer", "detail", "event")
_REASONS: Final = 100
_AT_A_TIME: Final = 200


class DownloadForm(forms.Form):
    """Why somebody wants the events, and which."""

    why = forms.CharField(max_length=500, label="Why do you need these events?", widget=UnfoldAdminTextInputWidget)
    reason = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    after = forms.IntegerField(min_value=0, max_value=2**62, required=False, widget=forms.HiddenInput)


def reasons(job: Job) -> list[Any]:
    """Each reason with its count, the most frequent first: one query over its index."""
    if not job.failed + job.faulty:
        return []
    return list(Failure.objects.filter(job=job).values("reason").annotate(count=Count("id")).order_by("-count", "reason")[:_REASONS])


def list_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """A page of failures, in the order of their ids."""
    job = admin.job(request, job_id)
    reason, after = storable(request.GET.get("reason", ""), 64), _number(request.GET.get("after", ""))
    rows = list(_found(job, reason, after).defer("event")[: PER_PAGE + 1])
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
    answer = HttpResponse("".join(_lines(job, reason, after)), content_type="application/x-ndjson")
    answer["Content-Disposition"] = f'attachment; filename="failures-{job.id}-{after}.ndjson"'
    return answer


def _lines(job: Job, reason: str, after: int) -> list[str]:
    """The failures as lines, up to the limits of one file."""
    lines: list[str] = []
    size = 0
    while size < MOST_CHARACTERS and (rows := list(_found(job, reason, after).values(*_FIELDS)[: min(_AT_A_TIME, MOST_ROWS - len(lines))])):
        lines += [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        size += sum(map(len, lines[-len(rows) :]))
        after = rows[-1]["id"]
    return lines


def _found(job: Job, reason: str, after: int) -> QuerySet[Failure]:
    found = Failure.objects.filter(job=job, id__gt=after).order_by("id")
    return found.filter(reason=reason) if reason else found


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
