"""Who changed or revealed what, and when."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils import timezone


class ActorKind(models.TextChoices):
    """What acted."""

    USER = "user", "User"
    TOKEN = "token", "API token"
    WEBHOOK = "webhook", "Webhook"
    SYSTEM = "system", "Mist"
    VISITOR = "visitor", "Not logged in"


class OnlyAdded(Exception):
    """An event was about to be changed or deleted."""

    def __init__(self) -> None:
        super().__init__("The audit trail is only added to; see apps.audit.retention.")


class EventQuerySet(models.QuerySet["AuditEvent"]):
    """Reads, and adds. The database refuses the rest as well (migration 0002)."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise OnlyAdded

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OnlyAdded

    def delete(self) -> NoReturn:
        raise OnlyAdded


class AuditEvent(models.Model):
    """One deed. It names people and things by number and by text and never by foreign key: it
    stays what it was, readable, when they are gone. Rows are only ever added, and go when they
    are old (`apps.audit.retention`)."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.PositiveBigIntegerField(null=True, blank=True)
    """Of the user; also when a token of theirs acted."""
    actor_name = models.CharField(max_length=254)
    via = models.CharField(max_length=200, blank=True, default="")
    """The token's name, the webhook's, or the command; empty for a page."""
    action = models.CharField(max_length=60)
    """Thing and verb: `variable.reveal`."""
    thing_type = models.CharField(max_length=60, blank=True, default="")
    thing_id = models.PositiveBigIntegerField(null=True, blank=True)
    thing_name = models.CharField(max_length=300, blank=True, default="")
    project_id = models.PositiveBigIntegerField(null=True, blank=True)
    """None for what concerns the instance."""
    project_name = models.CharField(max_length=100, blank=True, default="")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    """What is another now, without secrets."""
    address = models.GenericIPAddressField(null=True, blank=True)
    agent = models.CharField(max_length=300, blank=True, default="")
    request_id = models.CharField(max_length=36, blank=True, default="")

    objects: ClassVar[models.Manager[AuditEvent]] = EventQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-id")
        # Each ends in the order of the page, so a page of one filter and any span of time is read
        # from one index, without a sort.
        indexes = (
            models.Index(fields=("-at", "-id"), name="audit_by_time"),
            models.Index(fields=("project_id", "-at", "-id"), name="audit_by_project"),
            models.Index(fields=("actor_id", "-at", "-id"), name="audit_by_actor"),
            models.Index(fields=("actor_kind", "-at", "-id"), name="audit_by_kind"),
            models.Index(fields=("action", "-at", "-id"), name="audit_by_action"),
            models.Index(fields=("thing_type", "thing_id", "-at", "-id"), name="audit_by_thing"),
        )

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.thing_name}".rstrip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise OnlyAdded
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OnlyAdded
