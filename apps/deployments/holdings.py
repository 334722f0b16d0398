"""What an app holds that two containers cannot have at once, and whether its running version has to
stop before a new one starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.engine.holdings import EVERYWHERE, LOCAL, PublishedPort, VolumeMount
from apps.projects.models import App, HostPort, volume_name


@dataclass(frozen=True)
class Holdings:
    """Volumes and ports, as an app has them now or as a deployment was made with."""

    volumes: Mapping[str, str] = field(default_factory=dict)
    """Name → path in the container."""
    ports: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """`5432/tcp` → (port in the container, who reaches it)."""

    def mounts(self, app: App, labels: Mapping[str, str]) -> tuple[VolumeMount, ...]:
        return tuple(
            VolumeMount(volume_name(app.pk, name), path, labels)
            for name, path in sorted(self.volumes.items())
        )

    def published(self) -> tuple[PublishedPort, ...]:
        found = []
        for key, (container_port, reach) in sorted(self.ports.items()):
            port, _, protocol = key.partition("/")
            address = LOCAL if reach == HostPort.Reach.LOCAL else EVERYWHERE
            found.append(PublishedPort(int(port), container_port, protocol, address))
        return tuple(found)

    def as_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        ports = {key: list(where) for key, where in self.ports.items()}
        return {"volumes": dict(self.volumes), "ports": ports}


NOTHING_HELD = Holdings()


def holdings_of(app: App) -> Holdings:
    """What the app's next deployment gets. Asks only where `with_state` has not said already that
    there is nothing."""
    if not getattr(app, "holds_something", True):
        return NOTHING_HELD
    return Holdings(
        {one.name: one.path for one in app.volumes.all()},
        {str(one): (one.container_port, one.reach) for one in app.host_ports.all()},
    )


def holdings_then(record: Mapping[str, Any]) -> Holdings:
    """What a deployment was made with: nothing, where it is older than this."""
    ports = {key: (where[0], where[1]) for key, where in record.get("ports", {}).items()}
    return Holdings(dict(record.get("volumes", {})), ports)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What changed from one record to another: (name, what)."""
    old, new = holdings_then(before), holdings_then(now)
    found = []
    for name in sorted(old.volumes.keys() | new.volumes.keys()):
        was, shall = old.volumes.get(name), new.volumes.get(name)
        if was != shall:
            what = f"added at {shall}" if was is None else f"moved from {was} to {shall}"
            found.append((f"Volume {name}", "removed" if shall is None else what))
    for key in sorted(old.ports.keys() | new.ports.keys()):
        led, leads = old.ports.get(key), new.ports.get(key)
        if led != leads:
            what = "added" if led is None else "removed" if leads is None else "changed"
            found.append((f"Port {key}", what))
    return found


def stops_first(app: App) -> str:
    """Why a new version may start only after the running one has ended; empty where it need not.

    A port of the server always is a reason: two containers cannot listen there.
    """
    if app.release_mode == App.ReleaseMode.STOP:
        return "its release mode says so"
    held = holdings_of(app)
    words = [f"port {key}" for key in held.ports]
    volumes = list(held.volumes) if app.release_mode == App.ReleaseMode.AUTOMATIC else []
    if volumes:
        named = "the volumes" if len(volumes) > 1 else "the volume"
        words = [f"{named} {_listed(volumes)}", *words]
    return f"it holds {_listed(words)}" if words else ""


def _listed(words: list[str]) -> str:
    """`a, b and c`"""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
