"""A job's failures, sent again: first what that would be, then a new job of them, as they were or corrected."""

import uuid
from typing import Any, BinaryIO, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminFileFieldWidget

from gateway.audit.log import LogUnavailableError
from gateway.audit.texts import storable
from gateway.console.person import said, submission_of
from gateway.forwarding.answer import Refusal
from gateway.jobs.models import Failure
from gateway.jobs.retrying import retry_failed
from gateway.jobs.tasks import wake


class OnceForm(forms.Form):
    """A form that is sent again makes no second job."""

    once = forms.CharField(max_length=36, widget=forms.HiddenInput)


class RetryForm(OnceForm):
    """Which failures, as they were."""

    reason = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)


class CorrectionForm(OnceForm):
    """A file with events as they should be."""

    corrected = forms.FileField(
        label="The corrected events",
        help_text='NDJSON as it was downloaded: each line with its "id", and "event" as it should be. Lines of failures to leave alone are left out.',
        widget=UnfoldAdminFileFieldWidget,
    )


def retry_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """By GET what there is to send again; by POST the new job."""
    job = admin.job(request, job_id)
    if not admin.may_control(request):
        raise PermissionDenied
    reason = storable(request.GET.get("reason", ""), 64)
    once = {"once": str(uuid.uuid4()), "reason": reason}
    by_file = "corrected" in request.FILES or "by_file" in request.POST
    shown: list[OnceForm] = [RetryForm(initial=once), CorrectionForm(initial={"once": str(uuid.uuid4())})]
    if request.method == "POST":
        form = shown[by_file] = CorrectionForm(request.POST, request.FILES) if by_file else RetryForm(request.POST)
        if form.is_valid():
            given = form.cleaned_data
            submission = submission_of(request, job.operation, {}, given["once"], dry_run=False)
            corrected = cast(BinaryIO, given["corrected"].file) if by_file else None
            try:
                made = retry_failed(job, submission, reason=given.get("reason") or "", corrected=corrected)
            except (Refusal, LogUnavailableError, OSError) as error:
                form.add_error(None, said(error))
            else:
                wake()
                messages.success(request, "The failures are sent again by this job.")
                return redirect("admin:jobs_job_change", made.id)
    left = Failure.objects.filter(job=job, retried_by=None, **({"reason": reason} if reason else {})).count()
    answer: HttpResponse = admin.answer(
        request, "console/jobs/retry.html", "Send failures again", job=job, reason=reason, left=left, retry=shown[0], correction=shown[1],
        most=settings.GATEWAY_MAX_UPLOAD_BYTES,
    )  # fmt: skip
    return answer
