"""Host names that people add to apps."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.projects.models import App


class Domain(models.Model):
    """One more host name of an app, beside the address that Mist gives it."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="domains")
    host = models.CharField(max_length=253, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("host",)

    def __str__(self) -> str:
        return self.host

    @property
    def url(self) -> str:
        port = settings.MIST_HTTP_PORT
        return f"http://{self.host}" + ("" if port == 80 else f":{port}")
