"""Who issues certificates, how names are proven, and what became of each that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.engine import acme
from apps.engine.acme_problems import Words, words_for
from apps.engine.dns_providers import PROVIDERS
from apps.engine.routes import WILD
from apps.projects.fields import EncryptedTextField


class AcmeSettings(models.Model):
    """Of the instance: one row at the most. Without it, everything is as a new one says."""

    class Challenge(models.TextChoices):
        HTTP = "http", "HTTP-01, over port 80"
        TLS = "tls", "TLS-ALPN-01, over port 443"

    ONLY = 1
    """Its primary key."""
    is_on = models.BooleanField("asks for certificates", default=True)
    directory = models.CharField(max_length=300, default=acme.LETS_ENCRYPT)
    email = models.CharField(max_length=254, blank=True, default="")
    eab_key_id = models.CharField(max_length=200, blank=True, default="")
    eab_key = EncryptedTextField(blank=True, default="", editable=False)
    challenge = models.CharField(max_length=4, choices=Challenge, default=Challenge.HTTP)
    lifetime_hours = models.PositiveIntegerField(default=acme.USUAL_HOURS)
    apply_asked_at = models.DateTimeField(null=True, editable=False)
    """Since when Traefik has yet to be told; None once it was."""
    apply_problem = models.CharField(max_length=500, blank=True, default="", editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name_plural = "ACME settings"

    def __str__(self) -> str:
        return self.directory


class DnsAccount(models.Model):
    """Credentials for one DNS provider, with which wildcards are proven."""

    provider = models.CharField(max_length=40, unique=True)
    """A key of `dns_providers.PROVIDERS`. One of each: Traefik has their variables in its
    environment, where a name is there once."""
    zones = models.CharField(max_length=1_000, blank=True, default="")
    """Domains that are with it, apart from each other by a space; empty for all."""
    variables = EncryptedTextField(editable=False)
    """A JSON object."""
    servers = models.CharField(max_length=300, blank=True, default="")
    wait_seconds = models.PositiveIntegerField(default=0)
    looks = models.BooleanField("looks for the record", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("provider",)

    def __str__(self) -> str:
        known = PROVIDERS.get(self.provider)
        return known.name if known else self.provider

    @property
    def values(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.variables)
        return found

    @values.setter
    def values(self, given: Mapping[str, str]) -> None:
        self.variables = json.dumps(dict(given), sort_keys=True)

    def has(self, host: str) -> bool:
        """Whether the name is in one of its zones."""
        name = host.removeprefix(WILD)
        zones = self.zones.split()
        return not zones or any(f".{name}".endswith(f".{zone}") for zone in zones)


class CertificateOrder(models.Model):
    """What became of asking for one name's certificate."""

    class State(models.TextChoices):
        QUEUED = "queued", "In line"
        WAITING = "waiting", "Being issued"
        ISSUED = "issued", "Issued"
        FAILED = "failed", "Not issued"
        COVERED = "covered", "Not needed"
        """Traefik has another certificate for it, and asks for none while it has. `detail` says
        which."""

    host = models.CharField(max_length=255, unique=True)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    failures = models.PositiveIntegerField(default=0)
    """In a row."""
    kind = models.CharField(max_length=30, blank=True, default="")
    """Of the last failure: a key of `acme_problems.WORDS`."""
    detail = models.CharField(max_length=600, blank=True, default="")
    """What was said of that failure, or what covers the name."""
    failed_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    """When it is asked for again, after a failure."""
    asked_at = models.DateTimeField(null=True)
    """Since when Traefik has been asking."""
    ends_at = models.DateTimeField(null=True)
    """When the certificate that Traefik holds is no longer valid."""
    led_here = models.BooleanField(null=True)
    """Whether the name led here at the last failure; None for not known."""
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("host",)

    def __str__(self) -> str:
        return self.host

    @property
    def words(self) -> Words:
        return words_for(self.kind)

    @property
    def is_asked(self) -> bool:
        """Whether routes of the name ask for it."""
        return self.state in (self.State.WAITING, self.State.ISSUED)

    @property
    def is_overdue(self) -> bool:
        """Whether its time has come and something else is in the way: its DNS, or another name."""
        return self.next_at is not None and self.next_at <= timezone.now()

    @property
    def is_in_trouble(self) -> bool:
        """Whether it was refused, or is there and its renewal fails."""
        is_there = self.state == self.State.ISSUED
        return self.state == self.State.FAILED or (is_there and bool(self.kind))
