"""Deployments: one attempt to bring one commit of one app live."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.engine.image_names import parse_image_name
from apps.projects.fields import EncryptedTextField
from apps.projects.models import App


class Status(models.TextChoices):
    """Where a deployment stands. `lifecycle` holds the legal moves."""

    QUEUED = "queued", "Queued"
    CLONING = "cloning", "Cloning"
    BUILDING = "building", "Building"
    PULLING = "pulling", "Pulling"
    """In place of cloning and building, for a ready image."""
    RELEASING = "releasing", "Releasing"
    STARTING = "starting", "Starting"
    CHECKING = "checking", "Checking"
    SWITCHING = "switching", "Switching"
    LIVE = "live", "Live"
    RETIRED = "retired", "Replaced"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SKIPPED = "skipped", "Skipped"


RUNNING = (
    Status.CLONING,
    Status.BUILDING,
    Status.PULLING,
    Status.RELEASING,
    Status.STARTING,
    Status.CHECKING,
    Status.SWITCHING,
)
"""A worker is at it."""

UNFINISHED = (Status.QUEUED, *RUNNING)

WITH_ROLL = Q(status__in=(Status.SWITCHING, Status.FAILED, Status.CANCELLED), roll__isnull=False)
"""All that have a `roll`: they alone may. There is an index of those few."""
SHARING = WITH_ROLL & Q(roll__has_key="serving")
"""Its containers and those of what is live share the visitors."""
AT_HOME = Q(status__in=(*UNFINISHED, Status.LIVE)) | WITH_ROLL
"""Its containers are somebody's who is at work, or are what is live."""


class PostDeploy(models.TextChoices):
    """What became of the command that runs after going live."""

    NONE = "", "none"
    WAITING = "waiting", "waiting"
    """For the old version to end."""
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


POST_DEPLOY_OPEN = (PostDeploy.WAITING, PostDeploy.RUNNING)
"""It has yet to end."""


class Deployment(models.Model):
    """The row is the truth about the work; only `lifecycle` writes `status`."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", "started by hand"
        COMMAND = "command", "started on the command line"
        DEMO = "demo", "demo"
        ROLLBACK = "rollback", "rolled back"
        REPAIR = "repair", "built again by Mist"
        WEBHOOK = "webhook", "pushed to the Git host"
        PUSH = "push", "pushed to Mist"
        UPLOAD = "upload", "uploaded"
        HOOK = "hook", "deploy hook"
        API = "api", "started over the API"

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="deployments")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.MANUAL)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    ref = models.CharField(max_length=250)
    no_cache = models.BooleanField(default=False)
    source = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    """The deployment whose image this one runs again; None for one that is built."""
    takes_old_variables = models.BooleanField(default=False, editable=False)
    """Whether it runs with the variables of `source` instead of those of now."""
    is_pinned = models.BooleanField(default=False, editable=False)
    """Its image is kept however many come after it."""
    starts_app = models.BooleanField(default=False, editable=False)
    """Whether the app was stopped when it was asked for, and nobody has stopped it again since: it
    runs once this is live."""
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    commit = models.CharField(max_length=40, blank=True, default="")
    commit_message = models.CharField(max_length=500, blank=True, default="")
    commit_author = models.CharField(max_length=200, blank=True, default="")
    commit_url = models.CharField(max_length=500, blank=True, default="")
    """Where the Git host shows the commit."""
    wanted_image = models.CharField(max_length=700, blank=True, default="", editable=False)
    """Of a ready image, what was asked for, in full: `registry/name:tag`, with `@sha256:…` behind
    it where it must be that very one. Empty for one that is built."""
    pulled_image = models.CharField(max_length=700, blank=True, default="", editable=False)
    """Of a ready image, `registry/name@sha256:…`: exactly what ran."""
    committed_at = models.DateTimeField(null=True, blank=True)

    image = models.CharField(max_length=200, blank=True, default="")
    container_id = models.CharField(max_length=64, blank=True, default="")
    replica_ids = models.JSONField(default=list, blank=True, editable=False)
    """The containers beside the first, where the app has several."""
    more_ports = models.JSONField(default=list, blank=True, editable=False)
    """Ports of its containers that an address may lead to, beside `port`."""
    port = models.PositiveIntegerField(null=True, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    """How long the last good health check took."""

    made_from = models.JSONField(null=True, blank=True, editable=False)
    """Settings and fingerprints of variables, see `changes`. None before the work began, when the
    deployment failed or its image is no longer kept, and for those older than this record. It may
    be some KB: lists do without it."""
    variables = EncryptedTextField(blank=True, default="", editable=False)
    """What it was made with, see `changes.pack_variables`: kept and dropped with `made_from`."""

    stages = models.JSONField(default=dict, blank=True)
    """Status → [begin, end or null], in seconds since the epoch."""
    failed_stage = models.CharField(max_length=10, blank=True, default="")
    failure = models.CharField(max_length=500, blank=True, default="")
    failure_hint = models.TextField(blank=True, default="")
    failure_detail = models.TextField(blank=True, default="")

    gap_began_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When it stopped the running version to make way; that one comes back if this fails."""
    gap_seconds = models.FloatField(null=True, blank=True, editable=False)
    """From then until its own version took over."""

    roll = models.JSONField(null=True, blank=True, editable=False)
    """While its containers take the place of the old ones one by one, see `rolling`: `serving`, the
    ids of all containers that visitors reach, old ones too; `of`, how many it will have. Where it
    does not go live, it is kept until all of the old ones serve again, see `going_back`, and then
    without `serving` until its own are gone. None for any other."""

    post_deploy = models.CharField(
        max_length=10, choices=PostDeploy.choices, blank=True, default=PostDeploy.NONE
    )
    post_deploy_failure = models.CharField(max_length=500, blank=True, default="")

    owner = models.CharField(max_length=64, blank=True, default="")
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("status", "id"), name="deployment_queue"),
            models.Index(fields=("app", "-id"), name="deployment_of_app"),
            models.Index(fields=("commit",), name="deployment_of_commit"),
            models.Index(fields=("number", "-id"), name="deployment_of_number"),
            models.Index(
                fields=("status", "app"),
                condition=Q(roll__isnull=False),
                name="deployment_that_rolls",
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=("app", "number"), name="deployment_number_per_app"),
            models.UniqueConstraint(
                fields=("app",), condition=Q(status=Status.LIVE), name="one_live_per_app"
            ),
            models.UniqueConstraint(
                fields=("app",),
                condition=Q(status__in=[str(s) for s in RUNNING]),
                name="one_running_per_app",
            ),
        )

    def __str__(self) -> str:
        return f"{self.app} #{self.number}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    @property
    def is_at_work(self) -> bool:
        """Unfinished, or live while its post-deploy command has yet to end."""
        return self.is_unfinished or self.post_deploy in POST_DEPLOY_OPEN

    @property
    def is_told_on(self) -> bool:
        """Whether its log may still grow. Who carries it to its end goes on writing once it is
        live, while the version before it finishes its requests too, and lets go of it last; so does
        who takes back what one had begun that did not go live."""
        return self.is_at_work or bool(self.owner) or self.roll is not None

    @property
    def is_draining(self) -> bool:
        """Whether it is live while the version before it still finishes its requests."""
        return self.status == Status.LIVE and bool(self.owner)

    @property
    def is_rolling(self) -> bool:
        """Whether its containers and the old ones share the visitors, or are about to."""
        return self.roll is not None and self.is_unfinished

    @property
    def is_going_back(self) -> bool:
        """Whether it has ended, and what it had replaced is brought back."""
        return not self.is_unfinished and self.roll is not None and "serving" in self.roll

    @property
    def is_leaving(self) -> bool:
        """Whether it has gone back, and its own containers finish what they have."""
        return self.roll is not None and "serving" not in self.roll

    @property
    def serving(self) -> list[str]:
        """Containers that visitors reach while it takes over one by one."""
        return list(self.roll.get("serving", ())) if self.roll else []

    @property
    def replaced(self) -> int:
        """How many of its own are among them."""
        return len(set(self.serving).intersection(self.container_ids))

    @property
    def can_be_rolled_back_to(self) -> bool:
        """Whether it was live once and its image is kept."""
        return self.status == Status.RETIRED and bool(self.image)

    @property
    def can_be_asked_again(self) -> bool:
        """Whether its ref still means something to its app: code and images have none in common."""
        return bool(self.wanted_image) != self.app.has_code

    @property
    def short_commit(self) -> str:
        return self.commit[:7]

    @property
    def short_digest(self) -> str:
        """Of a ready image, once it is known."""
        return self.pulled_image.rpartition("@sha256:")[2][:12]

    @property
    def pinned_image(self) -> str:
        """The ready image that it ran, with tag and digest; what was asked for before it is known.
        Empty for one that is built."""
        _, at, digest = self.pulled_image.rpartition("@")
        return f"{self.wanted_image.partition('@')[0]}@{digest}" if at else self.wanted_image

    @property
    def title(self) -> str:
        """What lists call it."""
        if self.wanted_image:
            return parse_image_name(self.wanted_image).title
        return self.commit_message or f"Deploy {self.ref}"

    @property
    def container_name(self) -> str:
        """One of a kind on the engine, where another Mist may have an app of the same name."""
        return f"mist-{self.app.label}-{settings.MIST_ENGINE_CONFIG.instance}-{self.pk}"

    @property
    def container_ids(self) -> list[str]:
        """Its containers as far as they were started, the first one first."""
        return [one for one in (self.container_id, *self.replica_ids) if one]

    def name_of(self, replica: int) -> str:
        """The name of its container number `replica`, from 1."""
        return self.container_name if replica == 1 else f"{self.container_name}-{replica}"

    @property
    def has_address(self) -> bool:
        """Whether visitors can come to its container: not to a worker, which has no port."""
        return self.port is not None

    @property
    def replicas(self) -> int:
        """How many containers it is made of, once all are started."""
        return max(1, len(self.container_ids))

    @property
    def service(self) -> str:
        """Traefik's name for this deployment's container."""
        return f"mist-{self.app_id}-{self.pk}"


PUSHED = (Deployment.Trigger.WEBHOOK, Deployment.Trigger.PUSH)
"""Asked for by a push: the newest one counts."""


class EngineState(models.Model):
    """Whether the Docker engine answers: one row, or none while it always did."""

    problem = models.CharField(max_length=200, blank=True, default="")
    """What is wrong, in words; empty while it answers."""
    since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.problem or "It answers"
