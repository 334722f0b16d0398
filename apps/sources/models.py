"""Credentials for Git hosts and registries. Every secret is encrypted at rest."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.projects.fields import EncryptedTextField
from apps.projects.models import App, Project
from apps.sources.github_models import (
    GitHubApp,
    GitHubLink,
    GitHubReport,
    Installation,
    ManifestRequest,
)
from apps.sources.hook_models import Delivery, DeployHook, HostKind, Webhook

__all__ = [
    "Delivery",
    "DeployHook",
    "GitCredential",
    "GitHubApp",
    "GitHubLink",
    "GitHubReport",
    "HostKind",
    "Installation",
    "KnownHost",
    "ManifestRequest",
    "RegistryCredential",
    "Webhook",
]


class GitCredential(models.Model):
    """What opens an app's private repository: a token over HTTPS, or a deploy key over SSH."""

    class Kind(models.TextChoices):
        TOKEN = "token", "Access token (HTTPS)"
        KEY = "key", "Deploy key (SSH)"

    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="git_credential")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    username = models.CharField(max_length=200, blank=True, default="")
    """Beside a token, where the host wants one."""
    secret = EncryptedTextField(editable=False)
    """The token, or the private half of the key."""
    public_key = models.TextField(blank=True, default="", editable=False)
    """As `authorized_keys` has it; empty for a token."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.app}"


class KnownHost(models.Model):
    """A key of an SSH server that somebody has confirmed for a project. The large forges' keys come
    with Mist (`apps.engine`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="known_hosts")
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=22)
    key_type = models.CharField(max_length=50)
    key = models.TextField()
    """Base64, as `known_hosts` has it."""
    confirmed_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("host", "port", "key_type")
        constraints = (
            models.UniqueConstraint(
                fields=("project", "host", "port", "key_type"), name="host_key_once_per_project"
            ),
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port} {self.key_type}"


class RegistryCredential(models.Model):
    """What opens a private registry for the apps of a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="registries")
    registry = models.CharField(max_length=260)
    """Host, with its port where it has one; `docker.io` for Docker Hub."""
    username = models.CharField(max_length=200)
    secret = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    """When it was written last."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    test_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    """While the registry is asked whether it takes the login."""
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    test_problem = models.CharField(max_length=500, blank=True, default="", editable=False)
    """Why it did not; empty when it did."""

    class Meta:
        ordering = ("registry",)
        constraints = (
            models.UniqueConstraint(
                fields=("project", "registry"), name="registry_once_per_project"
            ),
        )

    def __str__(self) -> str:
        return f"{self.registry} in {self.project}"


class ImageCheck(models.Model):
    """The last look at what a registry has by now for an app's image."""

    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="image_check")
    image = models.CharField(max_length=700, blank=True, default="")
    """What was looked for."""
    asked_at = models.DateTimeField(null=True, blank=True)
    """While the registry is asked."""
    checked_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=100, blank=True, default="")
    problem = models.CharField(max_length=500, blank=True, default="")
    """Why it is not known; empty when it is."""

    def __str__(self) -> str:
        return f"{self.image} of {self.app}"
