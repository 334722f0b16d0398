"""What Mist keeps of its talk with GitHub: Apps that are being made, and reports that are due."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.deployments.models import Deployment


class ManifestRequest(models.Model):
    """A GitHub App that somebody has begun to make. Who comes back from GitHub takes the row away,
    so each way back leads here once."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    """Of the secret in the address that GitHub sends the browser back to."""
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    html_url = models.CharField(max_length=300)
    api_url = models.CharField(max_length=300)
    public_id = models.CharField(max_length=40, editable=False)
    """What the new app's webhook will be called."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"GitHub App at {self.html_url}"


class GitHubReport(models.Model):
    """How far GitHub knows of a deployment. What it is to know is the deployment's own status, so
    that nothing old can be sent after something new, however long GitHub does not answer."""

    deployment = models.OneToOneField(
        Deployment, on_delete=models.CASCADE, related_name="github_report"
    )
    github_id = models.BigIntegerField(null=True, blank=True)
    """GitHub's own number of it."""
    sent_status = models.CharField(max_length=10, blank=True, default="")
    """The status that GitHub knows; empty for none."""
    sent_at = models.DateTimeField(null=True, blank=True)
    is_settled = models.BooleanField(default=False)
    """Whether nothing more will be sent."""
    attempts = models.PositiveIntegerField(default=0)
    """That failed since the last one that did not."""
    failing_since = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    busy_until = models.DateTimeField(null=True, blank=True)
    """Until then it is somebody's who sends it."""
    problem = models.CharField(max_length=500, blank=True, default="")
    """Why the last attempt failed."""

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("due_at",), condition=Q(is_settled=False), name="github_report_due"
            ),
        )

    def __str__(self) -> str:
        return f"{self.deployment} on GitHub"
