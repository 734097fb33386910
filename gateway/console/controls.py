"""What people do with a job: pause, resume, cancel, another rate. The job's own rules decide whether that is possible."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel
from gateway.jobs import control
from gateway.jobs.models import BOUNDS, Job, State
from gateway.jobs.tasks import wake


class RateForm(forms.Form):
    """Another rate."""

    rate = forms.IntegerField(
        min_value=BOUNDS["rate"][0],
        max_value=BOUNDS["rate"][1],
        required=False,
        label="Events a second, at most",
        help_text="Empty: as many as go. In force within a second.",
        widget=UnfoldAdminIntegerFieldWidget,
    )


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(max_length=300, required=False, label="Reason, for the log", widget=UnfoldAdminTextInputWidget)


_DONE: Final = {"pause": "Paused.", "resume": "It goes on.", "cancel": "It is being cancelled.", "rate": "The rate is changed."}


def offered(admin: Any, request: HttpRequest, job: Job) -> dict[str, Any]:
    """What the page offers of it."""
    if not admin.may_control(request):
        return {"verbs": []}
    verbs: list[tuple[str, str, str]] = []
    if job.state in (State.QUEUED, State.RUNNING):
        verbs.append(("pause", "Pause", "pause"))
    if job.state == State.PAUSED:
        verbs.append(("resume", "Resume", "play_arrow"))
    steerable = not job.is_over and job.state != State.CANCELLING
    return {
        "verbs": verbs,
        "retriable": not job.dry_run and job.failed + job.faulty > 0,
        "cancellable": steerable,
        "rate_form": RateForm(initial={"rate": job.rate}) if steerable and not job.dry_run else None,
    }


def view(admin: Any, request: HttpRequest, job_id: uuid.UUID, verb: str) -> HttpResponse:
    """Do it, by POST; cancelling asks first, by GET."""
    if verb not in _DONE:
        raise Http404
    job = admin.job(request, job_id)
    if not admin.may_control(request):
        raise PermissionDenied
    page = redirect("admin:jobs_job_change", job.id)
    if request.method == "GET" and verb == "cancel":
        answer: HttpResponse = admin.answer(request, "console/jobs/cancel.html", "Cancel this job?", job=job, form=ReasonForm())
        return answer
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    form = RateForm(request.POST) if verb == "rate" else ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return page
    try:
        _act(verb, job, request.user.get_username(), form.cleaned_data)
    except control.TransitionError as error:
        messages.error(request, str(error))
    except LogUnavailableError:
        messages.error(request, "The database cannot be used now: nothing was changed.")
    else:
        messages.success(request, _DONE[verb])
        wake()
    return page


def _act(verb: str, job: Job, actor: str, given: dict[str, Any]) -> None:
    if verb == "rate":
        control.set_rate(job.id, given["rate"], actor=actor, channel=Channel.ADMIN)
    else:
        _VERBS[verb](job.id, actor=actor, channel=Channel.ADMIN, reason=given["reason"])


_VERBS: Final[dict[str, Callable[..., Job]]] = {"pause": control.pause, "resume": control.resume, "cancel": control.cancel}
