"""Certificates that people bring, those that Mist signs itself, and what is really served."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.engine.certificates import KeyPair
from apps.engine.handshake import Trust
from apps.projects.fields import EncryptedTextField
from apps.projects.models import Project


class Certificate(models.Model):
    """One that somebody brought, for names of the project's apps."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="certificates")
    names = models.JSONField()
    """Host names that it is for, sorted; `*.example.com` for every name directly below."""
    issuer = models.CharField(max_length=100)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    fingerprint = models.CharField(max_length=64)
    """SHA-256, hexadecimal."""
    chain = models.TextField()
    key = EncryptedTextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return str(self.names[0]) if len(self.names) == 1 else f"{self.names[0]} and others"

    @property
    def pair(self) -> KeyPair:
        return KeyPair(self.chain, self.key)


class LocalAuthority(models.Model):
    """This Mist's own, which signs for names that nobody else would: one row."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    root = models.TextField()
    key = EncryptedTextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "local authorities"

    def __str__(self) -> str:
        return "Local authority"

    @property
    def pair(self) -> KeyPair:
        return KeyPair(self.root, self.key)


class LocalCertificate(models.Model):
    """One that the local authority has signed."""

    host = models.CharField(max_length=255, unique=True)
    not_after = models.DateTimeField()
    chain = models.TextField()
    key = EncryptedTextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("host",)

    def __str__(self) -> str:
        return self.host

    @property
    def pair(self) -> KeyPair:
        return KeyPair(self.chain, self.key)


WARNING = dt.timedelta(days=14)
"""So long before the end of a certificate people are told."""


class ServedQuerySet(models.QuerySet["ServedCertificate"]):
    def ending(self, now: dt.datetime) -> ServedQuerySet:
        """Those that end soon, or have ended; self-signed ones renew themselves."""
        local = ServedCertificate.Kind.LOCAL
        return self.filter(not_after__lt=now + WARNING).exclude(kind=local)


class ServedCertificate(models.Model):
    """What visitors of one name get as a certificate, when it was last looked at."""

    class Kind(models.TextChoices):
        UNKNOWN = "", "not looked at"
        NONE = "none", "none"
        """Traefik's own default one, or nothing."""
        PUBLIC = Trust.PUBLIC.value, "of an authority that browsers know"
        LOCAL = Trust.LOCAL.value, "of this Mist's own authority"
        GIVEN = "given", "the one that was uploaded"
        """And that no authority which this machine knows vouches for."""
        BAD = "bad", "one that browsers refuse"

    host = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=10, blank=True, choices=Kind.choices, default=Kind.UNKNOWN)
    names = models.JSONField(default=list)
    issuer = models.CharField(max_length=100, blank=True, default="")
    not_before = models.DateTimeField(null=True, blank=True)
    not_after = models.DateTimeField(null=True, blank=True, db_index=True)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    protocol = models.CharField(max_length=10, blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")
    """Why browsers refuse it, in words."""
    looked_at = models.DateTimeField(null=True, blank=True)
    next_look_at = models.DateTimeField(default=timezone.now, db_index=True)
    waits_since = models.DateTimeField(null=True, blank=True)
    """Since when a valid one is wanted and not served."""
    warned_of = models.CharField(max_length=64, blank=True, default="")
    """The fingerprint of the certificate whose end was told by mail."""

    objects = ServedQuerySet.as_manager()

    class Meta:
        ordering = ("host",)

    def __str__(self) -> str:
        return self.host

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether somebody whom this machine or the person trusts vouches for it, still."""
        good = self.kind in (self.Kind.PUBLIC, self.Kind.LOCAL, self.Kind.GIVEN)
        return bool(good and self.not_after and self.not_after > now)
