"""API tokens: what a program shows instead of a person who logs in."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.projects.models import Project


class Scope(models.TextChoices):
    """What a token may be used for. Every token reads: who may do something may see what became of
    it. Beyond that no scope includes another one."""

    READ = "read", "Read"
    """Every GET."""
    DEPLOY = "deploy", "Deploy"
    """Deploy, roll back, cancel, restart."""
    WRITE = "write", "Write"
    """Change apps and their settings."""
    ADMIN = "admin", "Admin"
    """Delete apps, change members and tokens."""


class TokenState(models.TextChoices):
    LIVE = "live", "Works"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class ApiToken(models.Model):
    """Lets a program do some of what its person may do, never more: each request asks anew what
    that is. The secret itself is nowhere kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20, editable=False)
    """How the secret begins, so that people know which one it is."""
    digest = models.CharField(max_length=64, unique=True, editable=False)
    """SHA-256 of the secret, see `apps.api.secrets`."""
    scopes = models.JSONField(default=list)
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    """The only one it sees; None for all of the person's. It goes with the project: without one it
    would see all of them."""
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    busy_until = models.FloatField(default=0.0, editable=False)
    """Seconds since the epoch until which its requests so far would last, one after the other at
    the allowed rate, see `apps.api.limits`."""

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("user", "-id"), name="api_token_of_user"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> TokenState:
        if self.revoked_at is not None:
            return TokenState.REVOKED
        return TokenState.EXPIRED if self.is_expired_at(timezone.now()) else TokenState.LIVE

    def is_expired_at(self, moment: dt.datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= moment

    @property
    def scope_labels(self) -> list[str]:
        """In their own order."""
        return [scope.label for scope in Scope if scope in self.scopes]

    def may(self, scope: Scope) -> bool:
        return scope.value in self.scopes


class KeptAnswer(models.Model):
    """What a request with an `Idempotency-Key` was answered, for a retry of it. It holds what the
    API sends and so no secret."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    """SHA-256 of the key."""
    fingerprint = models.CharField(max_length=64)
    """SHA-256 of method, address and body."""
    status = models.PositiveSmallIntegerField()
    location = models.CharField(max_length=300, blank=True, default="")
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("token", "key"), name="api_answer_once_per_key"),
        )

    def __str__(self) -> str:
        return f"{self.status} for {self.token}"
