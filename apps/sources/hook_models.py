"""What Git hosts tell Mist, and who else may have an app deployed. A secret is encrypted at rest,
or kept as a digest only."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.projects.fields import EncryptedTextField
from apps.projects.models import App, Project
from apps.sources.github_models import GitHubApp


class HostKind(models.TextChoices):
    """Whose words a webhook speaks."""

    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    GITEA = "gitea", "Gitea or Forgejo"
    BITBUCKET = "bitbucket", "Bitbucket"


class Webhook(models.Model):
    """Where one kind of Git host tells a project of pushes: `/hooks/<kind>/<public_id>`. It deploys
    the apps of its own project alone, so that its secret opens nothing elsewhere."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    kind = models.CharField(max_length=10, choices=HostKind.choices)
    public_id = models.CharField(max_length=40, unique=True, editable=False)
    """In its address; no secret."""
    secret = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("kind",)
        constraints = (
            models.UniqueConstraint(fields=("project", "kind"), name="webhook_once_per_kind"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} webhook of {self.project}"


class Delivery(models.Model):
    """One message of a Git host, kept for a week with what became of it."""

    class Outcome(models.TextChoices):
        DEPLOYED = "deployed", "Deployed"
        IGNORED = "ignored", "Ignored"
        REFUSED = "refused", "Refused"
        """Its signature was missing or wrong, or its words made no sense."""
        DONE = "done", "Done"
        """A ping, or news of an installation."""

    webhook = models.ForeignKey(
        Webhook, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    github_app = models.ForeignKey(
        GitHubApp, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    delivery_id = models.CharField(max_length=100, blank=True, default="")
    """The host's own name of it, the same at every redelivery; empty where it gives none."""
    event = models.CharField(max_length=100, blank=True, default="")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.IGNORED)
    words = models.TextField(blank=True, default="")
    """What became of it, in words, one app a line."""
    times = models.PositiveIntegerField(default=1)
    """How often the host has delivered it."""
    body = models.BinaryField(default=bytes, blank=True)
    """As it came, compressed; empty for what was refused."""
    replay_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    replayed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=("webhook", "-id"), name="delivery_of_webhook"),
            models.Index(fields=("received_at",), name="delivery_received"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("webhook", "delivery_id"),
                condition=~Q(delivery_id="") & Q(replay_of=None) & ~Q(outcome="refused"),
                name="delivery_once_per_webhook",
            ),
            models.UniqueConstraint(
                fields=("github_app", "delivery_id"),
                condition=~Q(delivery_id="") & Q(replay_of=None) & ~Q(outcome="refused"),
                name="delivery_once_per_github_app",
            ),
        )

    def __str__(self) -> str:
        return f"{self.event or 'message'} {self.delivery_id}".strip()

    @property
    def host(self) -> str:
        """What kind of Git host it came from."""
        return self.webhook.get_kind_display() if self.webhook else HostKind.GITHUB.label

    @property
    def shape(self) -> str:
        """The `data-state` of its outcome."""
        shapes = {self.Outcome.IGNORED: "stopped", self.Outcome.REFUSED: "failed"}
        return shapes.get(self.Outcome(self.outcome), "live")

    @property
    def summary(self) -> str:
        """What became of it, in one line."""
        lines = self.words.splitlines()
        more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
        return ", ".join(lines[:3]) + more


class DeployHook(models.Model):
    """An address whose POST deploys an app: for whatever is no Git host. The secret in it is kept
    as a digest."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="deploy_hooks")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
