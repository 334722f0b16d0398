"""People in the Django admin, which is entered through Mist's own log-in."""

from __future__ import annotations

from typing import Any

import django.contrib.auth.admin  # noqa: F401 - registers Group, which is taken out below
from allauth.account.admin import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.usersessions.admin import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.models import Allowance, Invitation, User
from apps.accounts.read_only import LookOnly, ReadOnly
from apps.projects.access import EVERYBODY, allow


@allow(EVERYBODY)
def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """One way in: Mist's. Who is logged in and still sent here is no administrator."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next", request.path))


admin.site.login = login  # type: ignore[method-assign]
admin.site.site_header = "Mist"
admin.site.site_title = "Mist"
admin.site.index_title = "All data"
admin.site.unregister(Group)
# Not used here, or shown below without what they hold.
admin.site.unregister([EmailAddress, Authenticator, UserSession])


@admin.register(User)
class PersonAdmin(LookOnly):
    """To look at: roles, accounts and passwords have rules (`apps.accounts.people_services`), so
    they are changed on their own pages."""

    ordering = ("email",)
    list_display = ("email", "name", "is_active", "role", "last_login", "deleted_at")
    list_filter = ("is_active", "role")
    search_fields = ("email", "name")
    fields = (
        ("email", "name"),
        ("is_active", "role"),
        ("last_login", "created_at", "deleted_at"),
        "page",
    )
    readonly_fields = ("page",)

    @admin.display(description="To change")
    def page(self, person: User) -> str:
        if person.deleted_at is not None:
            return "This account has been deleted."
        url = reverse("user", args=[person.pk])
        return format_html('<a href="{}">The page of {}</a>', url, person.email)


@admin.register(Invitation)
class InvitationAdmin(LookOnly):
    list_display = ("email", "role", "project", "project_role", "created_by", "state")
    list_select_related = ("project", "created_by")
    search_fields = ("email", "project__slug")
    exclude = ("token_digest",)


@admin.register(Authenticator)
class FactorAdmin(LookOnly):
    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(UserSession)
class SessionAdmin(LookOnly):
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    fields = ("user", "ip", "user_agent", "created_at", "last_seen_at")


@admin.register(Allowance)
class AllowanceAdmin(ReadOnly):
    list_display = ("key", "full_at")
