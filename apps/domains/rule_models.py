"""What the proxy does with the visitors of an app, or of one of its domains."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.engine.traffic_rules import (
    MAINTENANCE_SECONDS,
    Maintenance,
    RateLimit,
)
from apps.engine.traffic_rules import (
    TrafficRules as EngineRules,
)
from apps.projects.fields import EncryptedTextField
from apps.projects.models import App

MB = 1024 * 1024


class TrafficRules(models.Model):
    """Those of an app for all its names, or those that one domain has of its own instead."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="+")
    domain = models.OneToOneField(
        "domains.Domain", null=True, blank=True, on_delete=models.CASCADE, related_name="rules"
    )
    """None for the app's."""
    allowed_networks = models.JSONField(default=list, blank=True)
    """Who may come, as `203.0.113.0/24`; empty for everybody."""
    rate_average = models.PositiveIntegerField(null=True, blank=True)
    """Requests of one address in `rate_period_seconds`; None for as many as it likes."""
    rate_period_seconds = models.PositiveIntegerField(default=1)
    rate_burst = models.PositiveIntegerField(default=1)
    body_limit_mb = models.PositiveIntegerField("largest body", null=True, blank=True)
    """None for no limit."""
    headers = models.JSONField("response headers", default=list, blank=True)
    """Pairs of name and value; without a value the app's own header is taken away."""
    compresses = models.BooleanField("compression", default=False)
    maintenance = models.BooleanField(default=False)
    maintenance_page = models.TextField(blank=True, default="")
    """HTML; empty for Mist's own page."""
    maintenance_networks = models.JSONField(default=list, blank=True)
    """Who is let in all the same."""
    maintenance_seconds = models.PositiveIntegerField(default=MAINTENANCE_SECONDS)
    """After which visitors are told to come again."""

    class Meta:
        verbose_name_plural = "traffic rules"
        constraints = (
            models.UniqueConstraint(
                fields=("app",), condition=Q(domain=None), name="one_set_of_rules_per_app"
            ),
        )

    def __str__(self) -> str:
        return f"{self.app} {self.domain}" if self.domain_id else str(self.app)

    def for_engine(self) -> EngineRules:
        """With the users, which reads their hashes. Raises `SecretsUnreadable`."""
        pause = Maintenance(
            page=self.pk,
            allowed=tuple(self.maintenance_networks),
            retry_seconds=self.maintenance_seconds,
        )
        rate = None
        if self.rate_average is not None:
            rate = RateLimit(self.rate_average, self.rate_period_seconds, self.rate_burst)
        return EngineRules(
            users=tuple((user.name, user.password_hash) for user in self.users.all()),
            allowed=tuple(self.allowed_networks),
            rate=rate,
            body_bytes=None if self.body_limit_mb is None else self.body_limit_mb * MB,
            headers=tuple((name, value) for name, value in self.headers),
            compresses=self.compresses,
            maintenance=pause if self.maintenance else None,
            trusted=tuple(settings.MIST_TRUSTED_PROXIES),
            has_streams=self.app.protocol == App.Protocol.H2C,
        )


class TrafficUser(models.Model):
    """Who may come in with a password, where there are any."""

    rules = models.ForeignKey(TrafficRules, on_delete=models.CASCADE, related_name="users")
    name = models.CharField(max_length=64)
    password_hash = EncryptedTextField()
    """bcrypt. It is as secret as a password: a short one can be guessed from it."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("rules", "name"), name="traffic_user_once"),)

    def __str__(self) -> str:
        return self.name
