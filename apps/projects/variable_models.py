"""Values for apps: an app's own, and those that the apps of a project share."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.projects.fields import EncryptedTextField
from apps.projects.references import references


class EnvironmentVariable(models.Model):
    """A value the app's container, its build, or both get. The value is encrypted at rest."""

    app = models.ForeignKey("projects.App", on_delete=models.CASCADE, related_name="variables")
    name = models.CharField(max_length=200)
    value = EncryptedTextField(blank=True, default="")
    at_runtime = models.BooleanField("run time", default=True)
    at_build = models.BooleanField("build time", default=False)
    is_locked = models.BooleanField("locked", default=False, editable=False)
    """Nobody is shown the value again; it can be replaced or deleted."""
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("app", "name"), name="variable_name_once_per_app"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> str:
        if self.at_runtime and self.at_build:
            return "Build and runtime"
        return "Build" if self.at_build else "Runtime"

    @property
    def references(self) -> list[str]:
        """Names of shared variables that its value refers to."""
        return references(self.value)


class SharedVariable(models.Model):
    """A value that the project's apps refer to in values of their own, `${{ project.NAME }}`. It is
    literal: it refers to nothing itself. Encrypted at rest."""

    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, related_name="variables"
    )
    name = models.CharField(max_length=200)
    value = EncryptedTextField(blank=True, default="")
    is_locked = models.BooleanField("locked", default=False, editable=False)
    """As of an app's own variable."""
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("project", "name"), name="shared_variable_once_per_project"
            ),
        )

    def __str__(self) -> str:
        return self.name
