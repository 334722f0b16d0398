"""Sources in the Django admin: to look at. They are changed on Mist's own pages."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.read_only import LookOnly
from apps.sources.models import (
    Delivery,
    DeployHook,
    GitCredential,
    GitHubApp,
    GitHubLink,
    GitHubReport,
    ImageCheck,
    Installation,
    KnownHost,
    ManifestRequest,
    RegistryCredential,
    Webhook,
)


@admin.register(GitCredential)
class GitCredentialAdmin(LookOnly):
    list_display = ("app", "kind", "username", "created_at", "created_by")
    list_select_related = ("app__project", "created_by")
    exclude = ("secret",)


@admin.register(KnownHost)
class KnownHostAdmin(LookOnly):
    list_display = ("host", "port", "key_type", "project", "confirmed_at", "confirmed_by")
    list_select_related = ("project", "confirmed_by")


@admin.register(RegistryCredential)
class RegistryCredentialAdmin(LookOnly):
    list_display = ("registry", "project", "username", "created_at", "created_by")
    list_select_related = ("project", "created_by")
    exclude = ("secret",)


@admin.register(ImageCheck)
class ImageCheckAdmin(LookOnly):
    list_display = ("app", "image", "digest", "checked_at")
    list_select_related = ("app__project",)


@admin.register(Webhook)
class WebhookAdmin(LookOnly):
    list_display = ("project", "kind", "public_id", "created_at", "created_by")
    list_select_related = ("project", "created_by")
    exclude = ("secret",)


@admin.register(GitHubApp)
class GitHubAppAdmin(LookOnly):
    list_display = ("name", "app_id", "html_url", "created_at", "created_by")
    list_select_related = ("created_by",)
    exclude = ("client_secret", "private_key", "webhook_secret")


@admin.register(Installation)
class InstallationAdmin(LookOnly):
    list_display = ("account", "github_app", "installation_id", "suspended_at", "removed_at")
    list_select_related = ("github_app",)


@admin.register(GitHubLink)
class GitHubLinkAdmin(LookOnly):
    list_display = ("full_name", "app", "installation")
    list_select_related = ("app__project", "installation__github_app")


@admin.register(GitHubReport)
class GitHubReportAdmin(LookOnly):
    list_display = ("deployment", "sent_status", "sent_at", "is_settled", "attempts", "problem")
    list_filter = ("is_settled",)
    list_select_related = ("deployment__app__project",)


@admin.register(ManifestRequest)
class ManifestRequestAdmin(LookOnly):
    list_display = ("html_url", "user", "created_at")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(Delivery)
class DeliveryAdmin(LookOnly):
    list_display = ("event", "delivery_id", "outcome", "times", "received_at")
    list_filter = ("outcome",)
    exclude = ("body",)


@admin.register(DeployHook)
class DeployHookAdmin(LookOnly):
    list_display = ("name", "prefix", "app", "created_at", "last_used_at")
    list_select_related = ("app__project",)
