"""What was found on the disk, and what clean-ups did about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Survey(models.Model):
    """The last look at the disk: one row. Looking takes seconds, so pages show what was seen."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    taken_at = models.DateTimeField(default=timezone.now)
    data = models.JSONField(default=dict)
    """As `report.report` writes it; empty when nothing was ever seen."""
    problem = models.CharField(max_length=500, blank=True, default="")
    """Why the last look saw nothing; `data` is older then."""

    def __str__(self) -> str:
        return f"{self.taken_at:%Y-%m-%d %H:%M}"


class CleanUp(models.Model):
    """One clean-up, waiting, at work or done."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Cleaning up"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "on schedule"
        BUTTON = "button", "by hand"
        COMMAND = "command", "on the command line"

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    total = models.PositiveIntegerField(default=0)
    """Things to remove."""
    done = models.PositiveIntegerField(default=0)
    """Of these, how many it has seen to."""
    removed = models.JSONField(default=dict)
    """Kind → how many are gone."""
    freed = models.PositiveBigIntegerField(default=0)
    """Bytes that are free now and were not before."""
    problem = models.TextField(blank=True, default="")
    """Why it failed, or what it could not remove, a line each."""

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Clean-up {self.pk}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.RUNNING)
