"""A new job in three screens: what and how, the result of its dry run, and the start of the real one from the same input."""

import json
import uuid
from dataclasses import asdict, replace
from datetime import datetime, time
from typing import Any, BinaryIO, Final, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
    UnfoldBooleanWidget,
)

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Result
from gateway.console import failures
from gateway.console.person import said, submission_of
from gateway.console.reports import report
from gateway.forwarding.admission import DESTINATION, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import making
from gateway.jobs.earlier import ANY, RESULTS, Filter
from gateway.jobs.formats import InputError, detect
from gateway.jobs.making import Wishes
from gateway.jobs.models import AT_WORK, BOUNDS, Format, Job, State
from gateway.jobs.tasks import wake
from gateway.operations import OPERATIONS

_WISHES: Final = "jobs_prepared"
"""In the session: what was wished for the job whose dry run is this one."""
_KEPT: Final = 20


def _moment(label: str, help_text: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label, required=False, help_text=help_text, widget=UnfoldAdminTextInputWidget({"type": "datetime-local", "step": "1"})
    )


def _of_day(label: str, help_text: str) -> forms.TimeField:
    return forms.TimeField(label=label, required=False, help_text=help_text, widget=UnfoldAdminTextInputWidget({"type": "time"}))


def _whole(name: str, label: str, help_text: str, initial: int | None = None) -> forms.IntegerField:
    low, high = BOUNDS[name]
    return forms.IntegerField(
        label=label,
        min_value=low,
        max_value=high,
        initial=initial,
        required=initial is not None,
        help_text=help_text,
        widget=UnfoldAdminIntegerFieldWidget,
    )


class JobForm(forms.Form):
    """What is to be sent, where to, and how."""

    file = forms.FileField(
        label="A file",
        required=False,
        allow_empty_file=False,
        help_text='One event a line (NDJSON), a JSON array, or an object with "batch"; gzip too.',
        widget=UnfoldAdminFileFieldWidget,
    )
    archive = forms.CharField(
        label="Or RudderStack's archive",
        max_length=1000,
        required=False,
        help_text="A directory that the gateway's machine can read, or s3://bucket/prefix.",
        widget=UnfoldAdminTextInputWidget,
    )
    calls = forms.ChoiceField(
        label="Or earlier calls",
        required=False,
        choices=[("", "none"), *((result, Result(result).label) for result in RESULTS), (ANY, "With any result")],
        help_text="Of the same operation and source, as far as their bodies are kept: today those of jobs.",
        widget=UnfoldAdminSelectWidget,
    )
    of_job = forms.UUIDField(label="Of the job", required=False, help_text="Its id; empty: of all jobs.", widget=UnfoldAdminTextInputWidget)
    since = _moment("From (UTC)", "Events of an archive, or calls, from this time on.")
    until = _moment("Before (UTC)", "Events of an archive, or calls, before this time.")
    operation = forms.ChoiceField(
        choices=[(o.name, f"{o.name}: {o.description}") for o in OPERATIONS.values()], initial="replay", widget=UnfoldAdminSelectWidget
    )
    source = forms.CharField(
        max_length=1000, required=False, help_text="Empty: the operation's default source.", widget=UnfoldAdminTextInputWidget
    )  # fmt: skip
    destination = forms.CharField(max_length=200, required=False, help_text="Of retl.", widget=UnfoldAdminTextInputWidget)
    ordered = forms.BooleanField(
        label="In order", required=False, initial=True, help_text="One chunk at a time; else up to 16 at once.", widget=UnfoldBooleanWidget
    )
    rate = _whole("rate", "Events a second, at most", "Empty: as many as go.")
    priority = _whole("priority", "Priority", "Of the jobs that wait the highest goes first.", 0)
    chunk_events = _whole("chunk_events", "Events in one call", "At most.", 500)
    not_before = _moment("Not before (UTC)", "Empty: at once.")
    window_from = _of_day("Each day from (UTC)", "With the next: it sends in this part of each day only.")
    window_to = _of_day("Each day to (UTC)", "May be the next day's.")
    webhook = forms.URLField(
        max_length=500, required=False, assume_scheme="https", help_text="Is told when the job is over.", widget=UnfoldAdminURLInputWidget
    )
    job_run_id = forms.CharField(
        label="Job run id",
        max_length=200,
        required=False,
        help_text='RudderStack\'s job run. Empty: one of its own; the word "none": no job run.',
        widget=UnfoldAdminTextInputWidget,
    )

    def clean(self) -> dict[str, Any]:
        """One input; a window has two ends, and a stretch of time an order."""
        given: dict[str, Any] = super().clean() or {}
        inputs = [given[name] for name in ("file", "archive", "calls") if name in given]
        if len(inputs) == 3 and sum(map(bool, inputs)) != 1:
            self.add_error("file", "Choose one: a file, an archive, or earlier calls.")
        if bool(given.get("window_from") is None) != bool(given.get("window_to") is None):
            self.add_error("window_to", "Give both ends of the part of the day, or none.")
        elif given.get("window_from") is not None and given["window_from"] == given["window_to"]:
            self.add_error("window_to", "The ends must differ; for the whole day give none.")
        if given.get("since") and given.get("until") and given["since"] >= given["until"]:
            self.add_error("until", "This must be after the time before it.")
        return given

    @property
    def wishes(self) -> Wishes:
        """How it is to be done."""
        given = {name: self.cleaned_data[name] for name in Wishes.__dataclass_fields__ if name in self.cleaned_data}
        return Wishes(**{**given, "job_run_id": given["job_run_id"] or None})


def first_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """The form; sent, it makes the dry run."""
    form = JobForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given, wishes = form.cleaned_data, form.wishes
        headers = {SOURCE: given["source"], DESTINATION: given["destination"]}
        submission = submission_of(request, given["operation"], headers, None, dry_run=True)
        # A dry run is now, whatever was wished for the job.
        now = replace(wishes, not_before=None, webhook="")
        try:
            making.check_webhook(wishes.webhook)
            if given["archive"]:
                job = making.from_archive(submission, given["archive"], given["since"], given["until"], now)
            elif given["calls"]:
                result = None if given["calls"] == ANY else given["calls"]
                job = making.from_calls(submission, Filter(given["since"], given["until"], result, job=str(given["of_job"] or "")), now)
            else:
                # The open file itself: from the path that is its name storage moves it.
                file = cast(BinaryIO, given["file"].file)
                job = making.from_upload(submission, file, detect(file, settings.GATEWAY_MAX_BODY_BYTES), now)
        except (Refusal, InputError, LogUnavailableError, OSError) as error:
            form.add_error(None, said(error))
        else:
            kept = request.session.get(_WISHES, {})
            kept[str(job.id)] = _packed(wishes)
            request.session[_WISHES] = dict(list(kept.items())[-_KEPT:])
            wake()
            return redirect("admin:jobs_job_check", job.id)
    answer: HttpResponse = admin.answer(request, "console/jobs/new.html", "New job", form=form, most=settings.GATEWAY_MAX_UPLOAD_BYTES)
    return answer


def check_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """The dry run's result; while there is none, a page that looks again."""
    job = _dry_run(admin, request, job_id)
    part = bool(request.headers.get("HX-Request"))
    answer: HttpResponse = admin.answer(
        request,
        "console/jobs/checked.html" if part else "console/jobs/check.html",
        "Dry run",
        job=job,
        polls=job.state in AT_WORK,
        good=job.state == State.SUCCEEDED and job.events > 0,
        report=report(job),
        reasons=failures.reasons(job),
        prepared=str(job.id) in request.session.get(_WISHES, {}),
    )
    return answer


def start_view(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Make the real job of the same input. However often it is asked for, one is made."""
    dry = _dry_run(admin, request, job_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    check = redirect("admin:jobs_job_check", dry.id)
    packed = request.session.get(_WISHES, {}).get(str(dry.id))
    if packed is None:
        messages.error(request, "This was prepared by somebody else, or too long ago: make a new job.")
        return check
    if dry.state != State.SUCCEEDED:
        messages.error(request, "The dry run has not come to a good end: nothing was started.")
        return check
    submission = submission_of(request, dry.operation, {SOURCE: dry.source, DESTINATION: dry.destination}, f"start {dry.id}", dry_run=False)
    try:
        job = _started(dry, submission, _unpacked(packed))
    except FileNotFoundError:
        messages.error(request, "The input is not kept any more: give it again.")
        return check
    except (Refusal, LogUnavailableError, OSError) as error:
        messages.error(request, said(error))
        return check
    wake()
    messages.success(request, "The job is made.")
    return redirect("admin:jobs_job_change", job.id)


def _started(dry: Job, submission: Submission, wishes: Wishes) -> Job:
    if dry.format == Format.ARCHIVE:
        return making.from_archive(submission, dry.input, dry.since, dry.until, wishes)
    if dry.format == Format.CALLS:
        return making.from_calls(submission, Filter.of(dry.input), wishes)
    # A copy: what is kept of the dry run ends at a time of its own.
    with default_storage.open(dry.input) as file:
        return making.from_upload(submission, cast(BinaryIO, file), Format(dry.format), wishes)


def _dry_run(admin: Any, request: HttpRequest, job_id: uuid.UUID) -> Job:
    """Raises PermissionDenied, Http404."""
    job: Job = admin.job(request, job_id)
    if not admin.has_add_permission(request):
        raise PermissionDenied
    if not job.dry_run:
        raise Http404
    return job


def _packed(wishes: Wishes) -> str:
    return json.dumps(asdict(wishes), default=str)


def _unpacked(packed: str) -> Wishes:
    given = json.loads(packed)
    for name, kind in (("not_before", datetime), ("window_from", time), ("window_to", time)):
        if given[name]:
            given[name] = kind.fromisoformat(given[name])
    not_before = given["not_before"]
    if not_before and not_before <= timezone.now():
        given["not_before"] = None
    return Wishes(**given)
