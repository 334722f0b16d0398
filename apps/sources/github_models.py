"""GitHub Apps of this Mist, where they are installed, and reports that are due."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.projects.fields import EncryptedTextField
from apps.projects.models import App, Project


class GitHubApp(models.Model):
    """A GitHub App that was made for this Mist by the manifest flow."""

    name = models.CharField(max_length=100)
    app_id = models.BigIntegerField()
    slug = models.CharField(max_length=100)
    html_url = models.CharField(max_length=300, default="https://github.com")
    """Of GitHub itself, or of a GitHub Enterprise Server."""
    api_url = models.CharField(max_length=300, default="https://api.github.com")
    public_id = models.CharField(max_length=40, unique=True, editable=False)
    """In the address of its webhook, `/hooks/github-app/<public_id>`."""
    client_id = models.CharField(max_length=100, blank=True, default="")
    client_secret = EncryptedTextField(editable=False)
    private_key = EncryptedTextField(editable=False)
    webhook_secret = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("html_url", "app_id"), name="github_app_once"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_heard(self) -> bool:
        """Whether GitHub tells this Mist of pushes: one without a secret has no webhook."""
        return bool(self.webhook_secret)


class Installation(models.Model):
    """A GitHub App in one account. Projects that may take repositories from it are named: whoever
    makes an app in another one sees nothing of it."""

    github_app = models.ForeignKey(
        GitHubApp, on_delete=models.CASCADE, related_name="installations"
    )
    installation_id = models.BigIntegerField()
    account = models.CharField(max_length=100)
    account_type = models.CharField(max_length=20, blank=True, default="")
    suspended_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    """Since when the account has it no more. The row stays: who installs it again finds apps and
    projects as they were."""
    projects = models.ManyToManyField(Project, blank=True, related_name="installations")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("account",)
        constraints = (
            models.UniqueConstraint(
                fields=("github_app", "installation_id"), name="installation_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.account} ({self.github_app})"


class GitHubLink(models.Model):
    """Which repository of which installation an app is, by GitHub's own number of it."""

    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="github")
    installation = models.ForeignKey(Installation, on_delete=models.CASCADE, related_name="links")
    repository_id = models.BigIntegerField()
    full_name = models.CharField(max_length=250)
    """As it was last heard: `owner/name`."""

    def __str__(self) -> str:
        return f"{self.full_name} for {self.app}"


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
