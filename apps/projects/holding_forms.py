"""What people type to give an app a volume or a port of the server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from apps.engine import process, sources
from apps.engine.holdings import EVERYWHERE, LOCAL, check_mount_path
from apps.projects.models import App, HostPort, Volume
from apps.projects.services import LOWEST_PORT
from apps.projects.settings_forms import PLAIN, checked

PORT = {**PLAIN, "inputmode": "numeric"}


class VolumeForm(forms.Form):
    """One more volume of `app`."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Name the volume, for example data."},
        help_text="A name that the app had before brings its data back.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "data"}),
    )
    path = forms.CharField(
        label="Path in the container",
        error_messages={"required": "Say where the app finds it, for example /data."},
        help_text="What the image has there is copied into a new volume.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "/data"}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, app: App) -> None:
        super().__init__(data, auto_id="volume_%s")
        self.app = app

    def clean_name(self) -> str:
        name: str = checked(sources.check_name, self.cleaned_data["name"])
        if Volume.objects.filter(app=self.app, name=name).exists():
            raise ValidationError(f"There is a volume {name} already. Choose another name.")
        return name

    def clean_path(self) -> str:
        path: str = checked(check_mount_path, self.cleaned_data["path"])
        other = Volume.objects.filter(app=self.app, path=path).first()
        if other is not None:
            raise ValidationError(f"The volume {other} is at {path} already.")
        return path


class HostPortForm(forms.Form):
    """One more port of the server that leads to `app`. `held` are those, as `5432/tcp`, that its
    running version has now: the next one gets them from it. `low`: also ports below 1024, which are
    the server's own (RFC 6335, section 6: system ports)."""

    port = forms.CharField(
        label="Server port",
        error_messages={"required": "Name a port of the server, for example 5432."},
        widget=forms.TextInput(attrs={**PORT, "placeholder": "5432"}),
    )
    protocol = forms.ChoiceField(label="Protocol", choices=HostPort.Protocol.choices)
    container_port = forms.CharField(
        label="Container port",
        error_messages={"required": "Say where the app listens, for example 5432."},
        widget=forms.TextInput(attrs={**PORT, "placeholder": "5432"}),
    )
    reach = forms.ChoiceField(
        label="Who can reach it",
        choices=HostPort.Reach.choices,
        help_text="Docker opens a port to everyone past the server's firewall.",
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        app: App,
        held: Collection[str] = (),
        low: bool = False,
    ) -> None:
        super().__init__(data, auto_id="host_port_%s")
        self.app, self.held, self.low = app, held, low

    def clean_port(self) -> int:
        port: int = checked(sources.check_port, self.cleaned_data["port"])
        if port in own_ports():
            raise ValidationError(f"Mist itself uses port {port}. Choose another one.")
        if port < LOWEST_PORT and not self.low:
            raise ValidationError(
                f"Ports below {LOWEST_PORT} are the server's own. An owner of this Mist can give "
                "one where MIST_HOST_PORTS_BELOW_1024 allows it."
            )
        return port

    def clean_container_port(self) -> int:
        return int(checked(sources.check_port, self.cleaned_data["container_port"]))

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if self.app.release_mode == App.ReleaseMode.NO_GAP:
            self.add_error(
                "port",
                "Two versions cannot have one port at once, and the release mode is without a "
                "gap. Choose another release mode first.",
            )
        if {"port", "protocol", "reach"} <= given.keys():
            self._check_free(given["port"], given["protocol"], given["reach"])
        return given

    def _check_free(self, port: int, protocol: str, reach: str) -> None:
        taken = HostPort.objects.filter(port=port, protocol=protocol)
        if (other := taken.select_related("app__project").first()) is not None:
            holder = "This app" if other.app_id == self.app.pk else str(other.app)
            self.add_error("port", f"{holder} has port {other} already.")
            return
        if f"{port}/{protocol}" in self.held:
            return
        address = LOCAL if reach == HostPort.Reach.LOCAL else EVERYWHERE
        if holder := process.who_holds(port, protocol=protocol, address=address):
            self.add_error(
                "port",
                f"Port {port}/{protocol} of the server is held by {holder}. "
                "Stop that program or choose another port.",
            )


def own_ports() -> set[int]:
    """Where Mist and its proxy listen."""
    config = settings.MIST_ENGINE_CONFIG
    return {
        settings.MIST_PORT,
        config.http_port,
        config.https_port,
        config.probe_port,
        config.proxy_api_port,
    }
