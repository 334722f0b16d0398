"""People in the Django admin, which is entered through Mist's own log-in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User
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


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "role", "last_login")
    list_filter = ("is_active", "role")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "created_at")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Rights", {"fields": ("is_active", "role")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),
    )
