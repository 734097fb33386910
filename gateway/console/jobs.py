"""Jobs in the admin: the list, one job's page, and the addresses of what can be done with one."""

import uuid
from functools import partial
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import path, reverse
from unfold.decorators import display

from gateway.audit import view
from gateway.audit.models import Channel
from gateway.audit.texts import storable
from gateway.console import controls, failures, new_job, retry
from gateway.console.calls import ActorFilter, DeclaredFilter, LogAdmin, OperationFilter, SourceFilter
from gateway.console.charts import charts
from gateway.console.keyset import PER_PAGE, KeysetChangeList, as_uuid
from gateway.console.pace import Pace, duration, paces
from gateway.console.progress import WORDS, bar, tracker
from gateway.console.reports import report
from gateway.console.states import MOVING, TABS, look, webhook, why
from gateway.jobs.models import AT_WORK, Chunk, Job, State

LIVE: Final = ("state", "progress", "rate", "left", "duplicates")
"""The columns whose cells change while somebody looks."""
_SECTIONS: Final = {"": "Overview", "chunks": "Chunks", "history": "History", "input": "Input and settings"}
_LAST_CHUNKS: Final = 50


class StateFilter(DeclaredFilter):
    """By tab."""

    title, parameter_name = "state", "tab"
    choices_of = tuple((key, title) for key, (title, _, _) in TABS.items())


class JobList(KeysetChangeList):
    """Jobs, newest first; each with its pace."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = "Jobs"

    def rows(self, before: uuid.UUID | None) -> tuple[list[Any], bool]:
        """One page."""
        given = {name: storable(self.params.get(name, ""), 1000) for name in ("operation", "source", "actor")}
        jobs = self.root_queryset.filter(**{name: value for name, value in given.items() if value})
        if tab := TABS.get(self.params.get("tab", "")):
            jobs = jobs.filter(state__in=tab[1])
        found = list(self._older(jobs, before).order_by("-id")[: PER_PAGE + 1])
        return with_paces(found[:PER_PAGE]), len(found) > PER_PAGE

    @property
    def tabs(self) -> list[tuple[str, str, bool]]:
        """Title, address, and whether it is the one that is shown."""
        shown = self.params.get("tab", "")
        all_ = ("All", self.get_query_string(remove=["tab", "p"]), shown not in TABS)
        return [all_, *((title, self.get_query_string({"tab": key}, ["p"]), key == shown) for key, (title, _, _) in TABS.items())]

    @property
    def moving(self) -> list[str]:
        """The rows that change."""
        return [str(job.id) for job in self.result_list if job.state in MOVING]

    @property
    def nothing(self) -> str:
        """What is said of a list without rows."""
        tab = TABS.get(self.params.get("tab", ""))
        if any(self.params.get(name) for name in ("operation", "source", "actor")):
            return "No job matches these filters."
        return tab[2] if tab else "There is no job yet. A job sends what is too long for one call, piece by piece."


@admin.register(Job)
class JobAdmin(LogAdmin):
    """Jobs. What changes one goes through `gateway.jobs.control`, never through Django's forms."""

    change_list_template = "console/jobs/list.html"
    list_display = (
        "state_cell", "what", "who", "progress_cell", "rate_cell", "left_cell", "duplicates_cell", "started"
    )  # fmt: skip
    list_display_links = ("what",)
    list_filter = (StateFilter, OperationFilter, SourceFilter, ActorFilter)
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the three screens of a new job."""
        allowed: bool = request.user.has_perm("jobs.add_job")
        return allowed

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may control jobs may look at them."""
        return bool(request.user.has_perm("jobs.view_job") or request.user.has_perm("jobs.change_job"))

    @staticmethod
    def may_control(request: HttpRequest) -> bool:
        """Whether this person may pause, resume, cancel, slow down and retry."""
        allowed: bool = request.user.has_perm("jobs.change_job")
        return allowed

    @staticmethod
    def may_read_events(request: HttpRequest) -> bool:
        """Whether this person may have the events that failed: personal data."""
        allowed: bool = request.user.has_perm("jobs.view_failure")
        return allowed

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[JobList]:
        """By keyset."""
        return JobList

    def get_urls(self) -> list[Any]:
        """Django's, of which a job's are the list, the page and the new job; and ours."""
        ways = {
            "live/": (self.live_rows, "rows"),
            "<uuid:job_id>/live/": (self.live, "live"),
            "<uuid:job_id>/check/": (partial(new_job.check_view, self), "check"),
            "<uuid:job_id>/start/": (partial(new_job.start_view, self), "start"),
            "<uuid:job_id>/failures/": (partial(failures.list_view, self), "failures"),
            "<uuid:job_id>/failures/download/": (partial(failures.download_view, self), "download"),
            "<uuid:job_id>/retry/": (partial(retry.retry_view, self), "retry"),
            "<uuid:job_id>/<str:verb>/": (partial(controls.view, self), "control"),
        }
        own = [path(route, self.admin_site.admin_view(shown), name=f"jobs_job_{name}") for route, (shown, name) in ways.items()]
        theirs = super().get_urls()
        # Django's addresses come first: "<uuid>/change/" is no verb.
        return [*theirs[:-1], *own, theirs[-1]]

    # the list

    @display(description="State")
    def state_cell(self, job: Job) -> str:
        """A word, an icon, a colour."""
        return cell("state", job)

    @display(description="Operation → source")
    def what(self, job: Job) -> str:
        """What it does, and to which source."""
        return f"{job.operation}{' (dry run)' if job.dry_run else ''} → {job.source or 'the sources of its messages'}"

    @display(description="Who")
    def who(self, job: Job) -> str:
        """And through which door."""
        return f"{job.actor} · {Channel(job.channel).label}"

    @display(description="Progress")
    def progress_cell(self, job: Job) -> str:
        """Accepted, refused, left."""
        return cell("progress", job)

    @display(description="Events/s now")
    def rate_cell(self, job: Job) -> str:
        """Over the last seconds."""
        return cell("rate", job)

    @display(description="Time left")
    def left_cell(self, job: Job) -> str:
        """At this pace."""
        return cell("left", job)

    @display(description="Possible duplicates")
    def duplicates_cell(self, job: Job) -> str:
        """Events that may have been sent twice."""
        return cell("duplicates", job)

    @display(description="Started (UTC)")
    def started(self, job: Job) -> str:
        """To the second."""
        return f"{job.started_at:%Y-%m-%d %H:%M:%S}" if job.started_at else "–"

    def live_rows(self, request: HttpRequest) -> HttpResponse:
        """The changed cells of rows that are shown and move; empty where none does any more."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        ids = [identity for text in request.GET.getlist("id")[:PER_PAGE] if (identity := as_uuid(text))]
        jobs = with_paces(list(Job.objects.filter(id__in=ids)))
        moving = [str(job.id) for job in jobs if job.state in MOVING]
        return render(request, "console/jobs/rows.html", {"jobs": [shown(job) for job in jobs], "names": LIVE, "moving": moving})

    # one job

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """All about one job."""
        job = self.job(request, as_uuid(object_id))
        if request.method not in ("GET", "HEAD"):
            return HttpResponse("Use the buttons of the job's page.", status=405, content_type="text/plain")
        section = request.GET.get("section", "")
        section = section if section in _SECTIONS else ""
        context: dict[str, Any] = {"section": section, "sections": _SECTIONS.items()}
        match section:
            case "chunks":
                context["chunks"] = list(Chunk.objects.filter(job=job).order_by("-number")[:_LAST_CHUNKS])
            case "history":
                context["actions"] = view.actions(str(job.id))
            case "":
                context |= {**figures(job), "reasons": failures.reasons(job), "report": report(job), **controls.offered(self, request, job)}
                context["checkable"] = job.dry_run and self.has_add_permission(request)
        return self.answer(request, "console/jobs/page.html", f"Job {job.id}", job=shown(job), **context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The first screen of a new job."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return new_job.first_view(self, request)

    def live(self, request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
        """The part of the page that changes; the buttons with it where the state is not what the page shows."""
        job = self.job(request, job_id)
        moved = request.GET.get("state") != job.state
        context = {"job": shown(job), **figures(job), "moved": moved, **(controls.offered(self, request, job) if moved else {})}
        return render(request, "console/jobs/live.html", context)

    # what every view of a job needs

    def job(self, request: HttpRequest, job_id: uuid.UUID | None) -> Job:
        """The job, for who may see it. Raises PermissionDenied, Http404."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = Job.objects.filter(id=job_id).first() if job_id else None
        if job is None:
            raise Http404
        return job

    def answer(self, request: HttpRequest, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """A page of the admin."""
        return render(request, template, {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}, status=status)


def with_paces(jobs: list[Job]) -> list[Job]:
    """The jobs, each with its pace as `pace`: one query."""
    found = paces(jobs)
    for job in jobs:
        job.pace = found.get(job.id)  # type: ignore[attr-defined]
    return jobs


def shown(job: Job) -> dict[str, Any]:
    """The job with what templates say of it."""
    pace: Pace | None = getattr(job, "pace", None)
    return {
        "row": job,
        "look": look(job),
        "why": why(job),
        "webhook": webhook(job),
        "bar": bar(job),
        "pace": pace,
        "page": reverse("admin:jobs_job_change", args=[job.id]),
    }


def cell(name: str, job: Job) -> str:
    """One cell of the list."""
    return render_to_string("console/jobs/cell.html", {"job": shown(job), "name": name})


def figures(job: Job) -> dict[str, Any]:
    """What the page shows of how it goes."""
    [job] = with_paces([job])
    drawn = None if job.dry_run else charts(job)
    cells = tracker(job)
    pace: Pace | None = job.pace  # type: ignore[attr-defined]
    span = None
    if pace and pace.rate and pace.left is not None and drawn and drawn.range:
        rest = job.events - job.next_event
        span = (duration(rest / max(pace.rate, drawn.range[1])), duration(rest / min(pace.rate, drawn.range[0])))
    return {
        "pace": pace,
        "span": span,
        "charts": drawn,
        "cells": cells,
        "kinds": [(WORDS[kind], sum(one.kind == kind for one in cells)) for kind in WORDS],
        "polls": job.state in AT_WORK,
        "waits": job.state == State.QUEUED,
    }
