"""How an app's names are answered over HTTPS."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class HttpsBy(models.TextChoices):
    """Where the certificate of a name comes from."""

    AUTOMATIC = "automatic", "Automatic: Mist gets a certificate and renews it"
    OWN = "own", "Own certificate, uploaded to this project"
    SELF = "self", "Self-signed, by this Mist's own authority"
    OFF = "off", "Off: plain HTTP only"


class OwnHttpsBy(models.TextChoices):
    """As `HttpsBy`, for the name that Mist gives an app."""

    INSTANCE = "", "As this Mist: automatic where its base domain is public, else off"
    AUTOMATIC = HttpsBy.AUTOMATIC.value, HttpsBy.AUTOMATIC.label
    OWN = HttpsBy.OWN.value, HttpsBy.OWN.label
    SELF = HttpsBy.SELF.value, HttpsBy.SELF.label
    OFF = HttpsBy.OFF.value, HttpsBy.OFF.label


class Redirect(models.TextChoices):
    """Whether visitors who come by plain HTTP are sent on to HTTPS."""

    ON = "on", "Yes, where the certificate is valid"
    ALWAYS = "always", "Yes, also where it is self-signed"
    OFF = "off", "No: both are answered"


class Hsts(models.IntegerChoices):
    """For how long browsers are told to come by HTTPS only, in seconds."""

    OFF = 0, "Off"
    DAY = 86_400, "1 day"
    MONTH = 30 * 86_400, "30 days"
    YEAR = 365 * 86_400, "1 year"


class TlsMinimum(models.TextChoices):
    TLS12 = "1.2", "TLS 1.2"
    TLS13 = "1.3", "TLS 1.3: older programs cannot connect"


class HttpsSettings(models.Model):
    """The part of an app's settings that counts for all its names. A change is live at once."""

    own_https = models.CharField(
        "HTTPS", max_length=10, blank=True, choices=OwnHttpsBy.choices, default=OwnHttpsBy.INSTANCE
    )
    https_redirect = models.CharField(
        "redirect to HTTPS", max_length=10, choices=Redirect.choices, default=Redirect.ON
    )
    hsts_seconds = models.PositiveIntegerField("HSTS", choices=Hsts.choices, default=Hsts.OFF)
    tls_minimum = models.CharField(
        "minimum TLS version", max_length=3, choices=TlsMinimum.choices, default=TlsMinimum.TLS12
    )
    sends_on = models.BooleanField(default=False, editable=False)
    """Whether visitors of its own name are sent on to HTTPS now (see `apps.domains.serving`)."""

    class Meta:
        abstract = True


def origin(host: str, *, https: bool = False) -> str:
    """How a browser begins the address of something at that name."""
    port = settings.MIST_ENGINE_CONFIG.https_port if https else settings.MIST_HTTP_PORT
    scheme, usual = ("https", 443) if https else ("http", 80)
    return f"{scheme}://{host}" + ("" if port == usual else f":{port}")
