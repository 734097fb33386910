"""API clients and keys in the admin: a key is made, shown once, and revoked. Rights are never edited: a new key has new ones."""

import uuid
from contextlib import nullcontext
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from gateway.access import keys
from gateway.access.models import ALL, ApiKey, Client
from gateway.audit import log
from gateway.audit.models import Action as LogAction
from gateway.audit.models import Channel, Verb


class NewKeyForm(forms.Form):
    """Whose key, and what it may do."""

    once = forms.CharField(max_length=36, required=False, widget=forms.HiddenInput)  # a page that is loaded again makes no second key
    client = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="A client's name; a new name makes a new client.")
    operations = forms.CharField(
        max_length=200, initial=ALL, widget=UnfoldAdminTextInputWidget, help_text=ApiKey._meta.get_field("operations").help_text
    )
    sources = forms.CharField(initial=ALL, widget=UnfoldAdminTextInputWidget, help_text=ApiKey._meta.get_field("sources").help_text)
    scopes = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget, help_text=ApiKey._meta.get_field("scopes").help_text)


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys: by prefix, as the log names them."""

    list_display = ("prefix", "client", "operations", "sources", "scopes", "state", "created_at")
    list_select_related = ("client",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("revoke",)
    list_fullwidth = True
    readonly_fields = ("client", "prefix", "operations", "sources", "scopes", "created_at", "revoked_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Revoking is an action; nothing else of a key changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: the log's prefixes keep their meaning."""
        return False

    @display(description="State", label={"In force": "success", "Revoked": "danger", "Client disabled": "warning"})
    def state(self, key: ApiKey) -> str:
        """Whether it is accepted."""
        return "Revoked" if key.revoked_at else "Client disabled" if key.client.disabled else "In force"

    @admin.action(description="Revoke the marked keys", permissions=["add"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Refused everywhere within 5 seconds."""
        revoked = sum(keys.revoke(key.prefix, actor=request.user.get_username(), channel=Channel.ADMIN) for key in queryset)
        messages.success(request, f"Revoked {revoked}. Refused everywhere within 5 seconds.")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Make a key and show it on the page that answers: it is kept nowhere, not even for a redirect."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewKeyForm(request.POST or None, initial={"once": str(uuid.uuid4())})
        made = None
        if request.method == "POST" and form.is_valid():
            given = dict(form.cleaned_data)
            name, once = given.pop("client"), given.pop("once")
            shown = request.session.get("keys_shown", [])
            try:
                if once and once in shown:
                    raise ValidationError("This form has made its key already, and the key was shown then. Open a new form for another.")
                request.session["keys_shown"] = [*shown[-20:], once]
                made = keys.create(name, **given, actor=request.user.get_username(), channel=Channel.ADMIN)
            except ValidationError as error:
                faults = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
                for field, texts in faults.items():
                    form.add_error(field if field in form.fields else None, texts)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "New API key", "form": form, "made": made}
        return render(request, "console/new_key.html", context)


@admin.register(Client)
class ClientAdmin(ModelAdmin):
    """Clients: disabling one stops all its keys."""

    list_display = ("name", "disabled", "created_at")
    ordering = ("name",)
    show_full_result_count = False
    fields = ("name", "disabled", "created_at")
    readonly_fields = ("name", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A client is made with its first key."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a disabled one stays."""
        return False

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """A change waits its turn at the log before Django opens its transaction, or both would wait for each other."""
        with log.together() if request.method == "POST" else nullcontext():
            return super().changeform_view(request, *args, **options)

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        """With the action that says who did it."""
        super().save_model(request, obj, form, change)
        if "disabled" in form.changed_data:
            verb = Verb.CLIENT_DISABLED if obj.disabled else Verb.CLIENT_ENABLED
            actor = request.user.get_username()
            log.act(LogAction(at=timezone.now(), actor=actor, channel=Channel.ADMIN, verb=verb, subject=obj.name))
        keys.forget()
