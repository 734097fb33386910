"""Lists of the log in the admin, by keyset pages: no COUNT, no OFFSET, the last page as quick as the first."""

import uuid
from typing import Any, Final

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

PER_PAGE: Final = 50


class OnePage(Paginator):  # type: ignore[type-arg]
    """The rows that are shown, as far as the admin's templates ask a paginator."""

    template_name = "console/pagination.html"

    @property
    def count(self) -> int:
        """Of this page."""
        return len(self.object_list)


class KeysetChangeList(ChangeList):
    """A list whose page is named by the last id of the page before."""

    older: str | None = None
    newest: str | None = None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Lets Django read the filters; the rows come from `rows`."""
        self.filter_specs, self.has_filters, _, _, self.has_active_filters = self.get_filters(request)
        self.clear_all_filters_qs = self.get_query_string(remove=self.get_filters_params())
        rows: QuerySet[Any] = self.root_queryset.none()
        return rows

    def get_results(self, request: HttpRequest) -> None:
        """One page."""
        before = as_uuid(request.GET.get(PAGE_VAR, ""))
        rows, more = self.rows(before)
        self.older = self.get_query_string({PAGE_VAR: str(rows[-1].pk)}) if more else None
        self.newest = self.get_query_string(remove=[PAGE_VAR]) if before else None
        self.result_list = rows
        self.paginator = OnePage(rows, PER_PAGE)
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = self.multi_page = False

    def rows(self, before: uuid.UUID | None) -> tuple[list[Any], bool]:
        """Up to PER_PAGE rows older than `before`, newest first, and whether there are more."""
        found = list(self._older(self.root_queryset, before).order_by("-id")[: PER_PAGE + 1])
        return found[:PER_PAGE], len(found) > PER_PAGE

    @staticmethod
    def _older(rows: QuerySet[Any], before: uuid.UUID | None) -> QuerySet[Any]:
        return rows.filter(id__lt=before) if before else rows


def as_uuid(text: str) -> uuid.UUID | None:
    """The UUID that a text is, or None."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
