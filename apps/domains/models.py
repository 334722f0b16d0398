"""Host names that people add to apps."""

from __future__ import annotations

import datetime as dt

import idna
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.domains.acme_models import AcmeSettings as AcmeSettings
from apps.domains.acme_models import CertificateOrder as CertificateOrder
from apps.domains.acme_models import DnsAccount as DnsAccount
from apps.domains.certificate_models import Certificate as Certificate
from apps.domains.certificate_models import LocalAuthority as LocalAuthority
from apps.domains.certificate_models import LocalCertificate as LocalCertificate
from apps.domains.certificate_models import ServedCertificate as ServedCertificate
from apps.domains.rule_models import TrafficRules as TrafficRules
from apps.domains.rule_models import TrafficUser as TrafficUser
from apps.engine.name_facts import Outcome
from apps.engine.name_state import CaaState, NameState
from apps.engine.routes import MAX_PATH, WILD
from apps.projects.https_models import HttpsBy, origin
from apps.projects.models import App


class Domain(models.Model):
    """One more host name of an app, or one path of it, beside the address that Mist gives it."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="domains")
    host = models.CharField(max_length=255)
    """In ASCII; `*.example.com` for every name directly below."""
    path = models.CharField(max_length=MAX_PATH, blank=True, default="")
    strips_path = models.BooleanField("without the path", default=False)
    port = models.PositiveIntegerField(null=True, blank=True)
    """None for the app's own."""
    is_primary = models.BooleanField("primary", default=False)
    """The one that visitors of the redirecting ones are sent on to."""
    redirects = models.BooleanField("redirects to the primary name", default=False)
    https = models.CharField(
        "HTTPS", max_length=10, choices=HttpsBy.choices, default=HttpsBy.AUTOMATIC
    )
    """Of the name: the same for all its paths."""
    sends_on = models.BooleanField(default=False, editable=False)
    """Whether visitors are sent on to HTTPS now (see `apps.domains.serving`)."""
    moved_from = models.ForeignKey(
        App, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    """It leads there as well until its new app's routes are written."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("host", "path")
        constraints = (
            models.UniqueConstraint(fields=("host", "path"), name="domain_once"),
            models.UniqueConstraint(
                fields=("app",), condition=Q(is_primary=True), name="one_primary_domain_per_app"
            ),
        )

    def __str__(self) -> str:
        return f"{self.host}{self.path}"

    @property
    def is_wild(self) -> bool:
        return self.host.startswith(WILD)

    @property
    def shown(self) -> str:
        """As people write it: `bücher.example/shop`."""
        wild, name = (WILD, self.host.removeprefix(WILD)) if self.is_wild else ("", self.host)
        try:
            name = idna.decode(name)
        except idna.IDNAError:
            pass
        return f"{wild}{name}{self.path}"

    @property
    def url(self) -> str:
        """Empty for a wildcard, which is no one address."""
        return "" if self.is_wild else f"{origin(self.host, https=self.sends_on)}{self.path}"


FORGOTTEN = dt.timedelta(seconds=60)
"""Who asked that long ago without an answer may ask again: Mist was stopped meanwhile."""


class NameCheck(models.Model):
    """What the DNS said of one host name when it was asked last. Of a name, not of a `Domain`:
    paths share it, and names that Mist gives out have one too."""

    host = models.CharField(max_length=255, unique=True)
    state = models.CharField(
        max_length=10, blank=True, default="", choices=[(one.value, one.value) for one in NameState]
    )
    """Empty until it was asked for once."""
    addresses = models.JSONField(default=list, blank=True)
    wrong = models.JSONField("addresses that lead elsewhere", default=list, blank=True)
    chain = models.JSONField("names that CNAME records lead through", default=list, blank=True)
    zone = models.CharField(max_length=255, blank=True, default="")
    expected = models.JSONField("public addresses of the server then", default=list, blank=True)
    own = models.JSONField("its private addresses", default=list, blank=True)
    reason = models.CharField(
        max_length=10, blank=True, default="", choices=[(one.value, one.value) for one in Outcome]
    )
    error = models.CharField(max_length=300, blank=True, default="")
    ttl = models.PositiveIntegerField(default=0)
    """Seconds for which DNS servers may repeat that answer."""
    caa = models.CharField(
        max_length=12, blank=True, default="", choices=[(one.value, one.value) for one in CaaState]
    )
    caa_at = models.CharField(max_length=255, blank=True, default="")
    asked_at = models.DateTimeField(null=True, blank=True)
    """When a person, or the adding of the name, last asked for a check."""
    checked_at = models.DateTimeField(null=True, blank=True)
    wrong_since = models.DateTimeField(null=True, blank=True)
    """Since when it is looked at often; None while all is well."""
    next_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("host",)

    def __str__(self) -> str:
        return self.host

    @property
    def is_asking(self) -> bool:
        """Whether an answer is to come within a moment."""
        if self.asked_at is None or timezone.now() - self.asked_at > FORGOTTEN:
            return False
        return self.checked_at is None or self.checked_at < self.asked_at
