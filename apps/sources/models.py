"""Credentials for Git hosts and registries, and what hosts tell Mist. Every secret is encrypted at
rest, or kept as a digest only."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.projects.fields import EncryptedTextField
from apps.projects.models import App, Project
from apps.sources.github_models import GitHubReport, ManifestRequest

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

    @property
    def is_usable(self) -> bool:
        return self.suspended_at is None and self.removed_at is None


class GitHubLink(models.Model):
    """Which repository of which installation an app is, by GitHub's own number of it."""

    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="github")
    installation = models.ForeignKey(Installation, on_delete=models.CASCADE, related_name="links")
    repository_id = models.BigIntegerField()
    full_name = models.CharField(max_length=250)
    """As it was last heard: `owner/name`."""

    def __str__(self) -> str:
        return f"{self.full_name} for {self.app}"


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
