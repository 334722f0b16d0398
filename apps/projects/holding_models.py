"""What an app holds beside its container: folders that outlive it, and ports of the server."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from apps.engine.holdings import MAX_MOUNT_PATH


class Volume(models.Model):
    """A folder of the app's container that outlives it. Without the row the data stays: only a
    person removes it, by hand."""

    app = models.ForeignKey("projects.App", on_delete=models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=40)
    path = models.CharField(max_length=MAX_MOUNT_PATH)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("app", "name"), name="volume_name_once_per_app"),
            models.UniqueConstraint(fields=("app", "path"), name="volume_path_once_per_app"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def volume_name(self) -> str:
        """What the engine calls it. An app's key is never used again, nor is the data of one that
        was deleted."""
        return volume_name(self.app_id, self.name)


def volume_name(app_id: int, name: str) -> str:
    return f"mist-{settings.MIST_ENGINE_CONFIG.instance}-{app_id}-{name}"


class HostPort(models.Model):
    """A port of the server that leads to the app's container, past the proxy."""

    class Protocol(models.TextChoices):
        TCP = "tcp", "TCP"
        UDP = "udp", "UDP"

    class Reach(models.TextChoices):
        """Who can come to it. What is meant for everybody is said: a database that nobody guards
        is found within minutes, and the engine opens its ports past the server's firewall."""

        LOCAL = "local", "This server only (127.0.0.1)"
        EVERYWHERE = "everywhere", "Everyone who reaches this server"

    app = models.ForeignKey("projects.App", on_delete=models.CASCADE, related_name="host_ports")
    port = models.PositiveIntegerField(
        "server port", validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    protocol = models.CharField(max_length=3, choices=Protocol.choices, default=Protocol.TCP)
    container_port = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    reach = models.CharField(max_length=10, choices=Reach.choices, default=Reach.LOCAL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("port", "protocol")
        constraints = (models.UniqueConstraint(fields=("port", "protocol"), name="host_port_once"),)

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"
