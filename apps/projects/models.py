"""Projects, their apps and the apps' environment variables."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from apps.projects.holding_models import HostPort as HostPort
from apps.projects.holding_models import Volume as Volume
from apps.projects.holding_models import volume_name as volume_name
from apps.projects.https_models import HttpsSettings, origin
from apps.projects.source_models import SourceSettings
from apps.projects.variable_models import EnvironmentVariable as EnvironmentVariable
from apps.projects.variable_models import SharedVariable as SharedVariable
from apps.system.names import base_domain

DNS_LABEL_MAX = 63  # RFC 1035, section 2.3.4
MOST_REPLICAS = 20


def address_label(project: str, app: str, *, salt: str = "") -> str:
    """The first part of an app's own host name: `<app>-<project>`.

    Cut to a DNS label with a short hash where it is too long, or where `salt` says that the plain
    one is taken (`a-b` in `c` and `a` in `b-c` give the same).
    """
    label = f"{app}-{project}"
    if len(label) <= DNS_LABEL_MAX and not salt:
        return label
    digest = hashlib.sha256(f"{app}/{project}/{salt}".encode()).hexdigest()[:6]
    return f"{label[: DNS_LABEL_MAX - 7].rstrip('-')}-{digest}"


class ProjectRole(models.TextChoices):
    """What a person may do with one project, the least first."""

    VIEWER = "viewer", "Viewer"
    """See what runs; no logs, no secrets, no actions."""
    DEVELOPER = "developer", "Developer"
    """Apps, variables, deployments, logs."""
    ADMIN = "admin", "Admin"
    """Members, settings, and deleting as well."""


class Project(models.Model):
    """Apps that belong together; they share a Docker network that nobody else is on."""

    slug = models.SlugField("name", max_length=40, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="owned_projects",
    )
    """Who is responsible: an admin of the project, or of the instance, that nobody can take out
    of it before it has another owner."""

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """What one person may do with one project. Owners and admins of the instance need none."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=ProjectRole.choices, default=ProjectRole.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("project", "user")
        constraints = (
            models.UniqueConstraint(fields=("user", "project"), name="membership_once_per_project"),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"


class App(SourceSettings, HttpsSettings):
    """One program: where it comes from, how to build it and how to run it."""

    class Wanted(models.TextChoices):
        """What a person asked for."""

        RUNNING = "running"
        STOPPED = "stopped"

    class Observed(models.TextChoices):
        """What the engine was last seen to do."""

        NONE = "none", "No deployment"
        RUNNING = "running", "Running"
        UNHEALTHY = "unhealthy", "Unhealthy"
        RESTARTING = "restarting", "Restarting"
        CRASHED = "crashed", "Crashed"
        ENDED = "ended", "Ended"
        """By itself and well, and its restart policy leaves it there."""
        STOPPED = "stopped", "Stopped"

    class HealthCheck(models.TextChoices):
        """How Mist knows that a new version works."""

        HTTP = "http", "A path answers (HTTP)"
        TCP = "tcp", "The port accepts connections (TCP)"
        UP = "up", "It stays up: a worker without a port"

    class Protocol(models.TextChoices):
        """What the app speaks at its port."""

        HTTP = "http", "HTTP/1.1"
        H2C = "h2c", "HTTP/2 without TLS (h2c), for gRPC"

    class StopSignal(models.TextChoices):
        """What asks the container to end."""

        IMAGE = "", "The image's own, else SIGTERM"
        TERM = "SIGTERM", "SIGTERM"
        INT = "SIGINT", "SIGINT"
        QUIT = "SIGQUIT", "SIGQUIT"
        HUP = "SIGHUP", "SIGHUP"
        USR1 = "SIGUSR1", "SIGUSR1"
        USR2 = "SIGUSR2", "SIGUSR2"
        WINCH = "SIGWINCH", "SIGWINCH"

    class RestartPolicy(models.TextChoices):
        """When the engine starts a container again that ended; its own words for that."""

        ALWAYS = "unless-stopped", "Always"
        ON_FAILURE = "on-failure", "Only after a failure"
        NEVER = "no", "Never"

    class ReleaseMode(models.TextChoices):
        """Whether the running version ends before a new one starts."""

        AUTOMATIC = "automatic", "Automatic: stop first if it has a volume or a server port"
        NO_GAP = "no-gap", "Without a gap: the new version starts beside the old one"
        STOP = "stop", "Stop first: the old version ends before the new one starts"

    class Replacing(models.TextChoices):
        """How a new version takes the place of several containers."""

        ONE_BY_ONE = "one-by-one", "One by one"
        AT_ONCE = "at-once", "All at once"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="apps")
    slug = models.SlugField("name", max_length=40)
    label = models.CharField(max_length=DNS_LABEL_MAX, unique=True, editable=False)
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    health_check = models.CharField(
        max_length=10, choices=HealthCheck.choices, default=HealthCheck.HTTP
    )
    health_path = models.CharField(max_length=250, default="/")
    health_status = models.CharField("expected status", max_length=100, default="200-399")
    health_up_seconds = models.PositiveIntegerField("stays up for", default=10)
    health_start_seconds = models.PositiveIntegerField("start time", null=True, blank=True)
    """None for MIST_HEALTH_TIMEOUT."""
    health_interval = models.PositiveIntegerField("interval", null=True, blank=True)
    """Seconds between two tries; None for often at first and then each 2 s."""
    health_timeout = models.PositiveIntegerField("answer time", default=5)
    health_attempts = models.PositiveIntegerField("attempts", default=3)
    release_command = models.CharField(max_length=1000, blank=True, default="")
    post_deploy_command = models.CharField(max_length=1000, blank=True, default="")
    command_seconds = models.PositiveIntegerField("command time limit", default=600)
    drain_seconds = models.PositiveIntegerField("drain time", null=True, blank=True)
    """None for MIST_DRAIN_SECONDS."""
    release_mode = models.CharField(
        max_length=10, choices=ReleaseMode.choices, default=ReleaseMode.AUTOMATIC
    )
    stop_signal = models.CharField(
        max_length=10, blank=True, choices=StopSignal.choices, default=StopSignal.IMAGE
    )
    stop_seconds = models.PositiveIntegerField("grace time", null=True, blank=True)
    """None for MIST_STOP_TIMEOUT."""
    restart_policy = models.CharField(
        max_length=20, choices=RestartPolicy.choices, default=RestartPolicy.ALWAYS
    )
    replicas = models.PositiveSmallIntegerField(
        "containers", default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_REPLICAS)]
    )
    replacing = models.CharField(
        max_length=10, choices=Replacing.choices, default=Replacing.ONE_BY_ONE
    )
    protocol = models.CharField(max_length=10, choices=Protocol.choices, default=Protocol.HTTP)
    sticky_sessions = models.BooleanField("sticky sessions", default=False)
    memory_mb = models.PositiveIntegerField(default=512, validators=[MinValueValidator(16)])
    cpus = models.DecimalField(
        max_digits=5, decimal_places=2, default=1, validators=[MinValueValidator(0.1)]
    )
    wanted = models.CharField(max_length=10, choices=Wanted.choices, default=Wanted.RUNNING)
    observed = models.CharField(max_length=10, choices=Observed.choices, default=Observed.NONE)
    observed_detail = models.CharField(max_length=200, blank=True, default="")
    deaths = models.JSONField(default=list, blank=True, editable=False)
    """The last times that its container ended by itself (see `apps.deployments.observation`)."""
    last_number = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    environment_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    needs_apply = models.BooleanField(default=False, db_index=True, editable=False)
    start_requested = models.BooleanField(default=False, editable=False)
    """Containers that have ended are to run again, whatever their restart policy says."""
    restart_requested = models.BooleanField(default=False, editable=False)
    """As above, and those that run are to end before."""
    wishes = models.PositiveIntegerField(default=0, editable=False)
    """Counts what people asked for: a wish that came while another was carried out is seen."""
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("slug",)
        constraints = (
            models.UniqueConstraint(fields=("project", "slug"), name="app_name_once_per_project"),
        )

    def __str__(self) -> str:
        return f"{self.project.slug}/{self.slug}"

    @property
    def has_address(self) -> bool:
        """Whether visitors can come: not to a worker. What is live counts where that is known
        (`with_records`), else what is set."""
        record = getattr(self, "live_record", None)
        kind = record["settings"].get("health_check", "") if record else self.health_check
        return bool(kind != self.HealthCheck.UP)

    @property
    def host(self) -> str:
        """The address every app but a worker has without any DNS work."""
        return f"{self.label}.{base_domain()}"

    @property
    def url(self) -> str:
        """Where the app answers, as a browser on this network reaches it; empty for a worker."""
        return origin(self.host, https=self.sends_on) if self.has_address else ""
