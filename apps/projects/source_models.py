"""Where an app's code comes from, and which news of it deploy it."""

from __future__ import annotations

from django.db import models

from apps.engine.image_names import parse_image_name
from apps.engine.sources import display_url


class SourceKind(models.TextChoices):
    """Where an app comes from."""

    GIT = "git", "A Git repository"
    """By its address; public, or with a token or a deploy key (`apps.sources`)."""
    GITHUB = "github", "GitHub, through a GitHub App"
    MIST = "mist", "Pushed or uploaded to this Mist"
    """Mist keeps the repository itself: `git push`, or an archive that becomes a commit there."""
    IMAGE = "image", "A ready image"


class OnPush(models.TextChoices):
    """What becomes of the deployment at work when a newer commit comes."""

    FINISH = "finish", "It goes on; the newest commit is next"
    CANCEL = "cancel", "It is cancelled; the newest commit is deployed at once"


class PullPolicy(models.TextChoices):
    """When a ready image is asked for at its registry."""

    ALWAYS = "always", "At every deployment"
    MISSING = "missing", "Only when the server does not have it"


class SourceSettings(models.Model):
    """The part of an app's settings that says what is built."""

    source_kind = models.CharField(
        "source", max_length=10, choices=SourceKind.choices, default=SourceKind.GIT
    )
    repository = models.CharField(max_length=2000, blank=True, default="")
    """Empty for an app that has none: pushed, or a ready image."""
    repository_id = models.CharField(max_length=100, blank=True, default="", editable=False)
    """What the Git host calls the repository, where it was told: it outlives a new name."""
    branch = models.CharField(max_length=250, default="main")
    root_directory = models.CharField(max_length=250, blank=True, default="")
    dockerfile = models.CharField(max_length=250, default="Dockerfile")
    has_submodules = models.BooleanField("submodules", default=False)
    has_lfs = models.BooleanField("Git LFS", default=False)

    auto_deploy = models.BooleanField("deploy at every push", default=True)
    on_push = models.CharField(
        "while a deployment is at work",
        max_length=10,
        choices=OnPush.choices,
        default=OnPush.FINISH,
    )
    watch_paths = models.TextField(blank=True, default="")
    """Patterns of paths, one a line: a push that touches none of them deploys nothing. Empty: its
    root directory, and everything where that is the repository itself."""
    tag_pattern = models.CharField(max_length=100, blank=True, default="")
    """Of tags that deploy when they are pushed, as `v*`; empty for none."""

    image_name = models.CharField("image", max_length=500, blank=True, default="")
    """`registry/name:tag` or with a digest, of an app that is a ready image."""
    pull_policy = models.CharField(
        max_length=10, choices=PullPolicy.choices, default=PullPolicy.ALWAYS
    )

    class Meta:
        abstract = True

    @property
    def has_code(self) -> bool:
        """Whether Mist builds it: not a ready image."""
        return self.source_kind != SourceKind.IMAGE

    @property
    def default_version(self) -> str:
        """What is deployed where nothing else is named: the branch, or the image's tag or digest;
        empty where there is no name of an image yet."""
        if self.has_code:
            return self.branch
        return parse_image_name(self.image_name).version if self.image_name else ""

    @property
    def source_words(self) -> str:
        """Where it comes from, in a few words."""
        if self.source_kind == SourceKind.IMAGE:
            return self.image_name
        if self.source_kind == SourceKind.MIST:
            return "Pushed to Mist"
        return display_url(self.repository)
