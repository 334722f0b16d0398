"""Host names in the Django admin: to look at and to take away; they are added on an app's page.
Certificates are there to look at, without their keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.accounts.read_only import LookOnly
from apps.domains.models import (
    AcmeSettings,
    Certificate,
    CertificateOrder,
    DnsAccount,
    Domain,
    LocalAuthority,
    LocalCertificate,
    NameCheck,
    ServedCertificate,
    TrafficRules,
    TrafficUser,
)
from apps.domains.services import domain_remove


@admin.register(Domain)
class DomainAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    actions = None
    list_display = ("host", "app", "created_at", "created_by")
    list_select_related = ("app__project", "created_by")
    search_fields = ("host", "app__slug", "app__project__slug")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Domain) -> None:
        domain_remove(domain=obj)


@admin.register(TrafficRules)
class TrafficRulesAdmin(LookOnly):
    list_display = ("app", "domain", "maintenance", "body_limit_mb", "compresses")
    list_select_related = ("app__project", "domain")
    search_fields = ("app__slug", "domain__host")


@admin.register(TrafficUser)
class TrafficUserAdmin(LookOnly):
    list_display = ("name", "rules", "created_at", "created_by")
    list_select_related = ("rules__app__project", "rules__domain", "created_by")
    exclude = ("password_hash",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("password_hash")


@admin.register(NameCheck)
class NameCheckAdmin(LookOnly):
    list_display = ("host", "state", "checked_at", "next_at")
    search_fields = ("host",)


@admin.register(Certificate)
class CertificateAdmin(LookOnly):
    list_display = ("__str__", "project", "issuer", "not_after", "created_at", "created_by")
    list_select_related = ("project", "created_by")
    exclude = ("key",)


@admin.register(LocalAuthority)
class LocalAuthorityAdmin(LookOnly):
    list_display = ("__str__", "created_at")
    exclude = ("key",)


@admin.register(LocalCertificate)
class LocalCertificateAdmin(LookOnly):
    list_display = ("host", "not_after", "created_at")
    exclude = ("key",)


@admin.register(ServedCertificate)
class ServedCertificateAdmin(LookOnly):
    list_display = ("host", "kind", "issuer", "not_after", "looked_at", "waits_since")
    search_fields = ("host",)


@admin.register(AcmeSettings)
class AcmeSettingsAdmin(LookOnly):
    list_display = ("directory", "is_on", "challenge", "changed_at", "changed_by")
    list_select_related = ("changed_by",)
    exclude = ("eab_key",)


@admin.register(DnsAccount)
class DnsAccountAdmin(LookOnly):
    list_display = ("provider", "zones", "created_at", "created_by")
    list_select_related = ("created_by",)
    exclude = ("variables",)


@admin.register(CertificateOrder)
class CertificateOrderAdmin(LookOnly):
    list_display = ("host", "state", "kind", "failures", "next_at", "ends_at")
    list_filter = ("state", "kind")
    search_fields = ("host",)
