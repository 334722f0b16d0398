"""What a deployment was made from, and what has changed since.

The record says enough to name a difference and nothing that a secret could be read from: of a
variable's value it holds a keyed fingerprint only. `difference` is pure: two records in, a list
out.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.crypto import salted_hmac

from apps.deployments.holdings import NOTHING_HELD, Holdings, differing
from apps.projects.models import App, EnvironmentVariable

Record = Mapping[str, Any]
"""settings: name → value; environment: when variables, volumes or ports last changed; volumes and
ports: see `holdings`; key: which key made the fingerprints; variables: name → [fingerprint,
scope]."""

LABELS = {
    "source_kind": "Source",
    "repository": "Repository",
    "image_name": "Image",
    "branch": "Branch",
    "root_directory": "Root directory",
    "dockerfile": "Dockerfile",
    "has_submodules": "Submodules",
    "has_lfs": "Git LFS",
    "port": "Port",
    "health_check": "Health check",
    "health_path": "Health check path",
    "health_status": "Expected status",
    "health_up_seconds": "Stays up for",
    "health_start_seconds": "Start time",
    "health_attempts": "Attempts",
    "health_interval": "Interval",
    "health_timeout": "Answer time",
    "release_command": "Release command",
    "post_deploy_command": "Post-deploy command",
    "command_seconds": "Command time limit",
    "drain_seconds": "Drain time",
    "stop_signal": "Stop signal",
    "stop_seconds": "Grace time",
    "restart_policy": "Restart policy",
    "replicas": "Containers",
    "protocol": "Protocol",
    "sticky_sessions": "Sticky sessions",
    "memory_mb": "Memory limit",
    "cpus": "CPU limit",
}
"""The settings that a deployment is made from, as the settings page calls them."""
UNITS = {
    "memory_mb": " MB",
    "cpus": " CPU",
    **dict.fromkeys((name for name in LABELS if name.endswith("_seconds")), " s"),
    **dict.fromkeys(("health_interval", "health_timeout"), " s"),
}
NOTHING = {
    "port": "automatic",
    "root_directory": "top",
    "health_interval": "automatic",
    "stop_signal": "the image's own",
    **dict.fromkeys(("health_start_seconds", "drain_seconds", "stop_seconds"), "Mist's own"),
}
"""What an empty setting means."""
SOURCE = ("source_kind", "repository", "image_name", "branch")
"""Where these are others, the commit that is live says nothing about what to deploy."""
WORDS: dict[str, dict[Any, str]] = {
    "source_kind": {
        "git": "Git repository",
        "github": "GitHub",
        "mist": "pushed to Mist",
        "image": "ready image",
    },
    "has_submodules": {True: "fetched", False: "left out"},
    "has_lfs": {True: "fetched", False: "left out"},
    "protocol": {"http": "HTTP/1.1", "h2c": "h2c"},
    "sticky_sessions": {True: "on", False: "off"},
    "health_check": {"http": "HTTP", "tcp": "TCP", "up": "stays up"},
    "restart_policy": {
        "unless-stopped": "always",
        "on-failure": "only after a failure",
        "no": "never",
    },
}
"""What people call the values of a choice."""
BUILT_IN = (*SOURCE, "root_directory", "dockerfile", "has_submodules", "has_lfs")
"""The settings that only a build takes up."""
SCOPES = {"r": "run time", "b": "build time", "rb": "run and build time"}
_SALT = "mist.variable-fingerprint"
_DIGITS = 24


@dataclass(frozen=True)
class Change:
    """One difference between what is live and what is set."""

    name: str
    what: str
    is_variable: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.what}" if self.is_variable else f"{self.name}, {self.what}"


def settings_of(app: App) -> dict[str, Any]:
    """The app's settings that a deployment is made from, as JSON holds them."""
    values = {name: getattr(app, name) for name in LABELS}
    return values | {"cpus": _number(app.cpus)}


def app_as_of(app: App, made_from: Record | None) -> App:
    """The app with the settings that a deployment was made with, not to be saved: it runs again as
    it ran, whatever was set since."""
    then = copy.copy(app)
    for name, value in (made_from or {}).get("settings", {}).items():
        if name in LABELS:
            setattr(then, name, value)
    return then


def environment_of(app: App) -> str:
    """When variables, volumes or ports last changed: the same text means the same ones."""
    changed: dt.datetime | None = app.environment_changed_at
    return changed.isoformat() if changed else ""


def record(
    app: App, variables: Iterable[EnvironmentVariable], held: Holdings = NOTHING_HELD
) -> dict[str, Any]:
    """What a deployment of the app is made from. `variables` and what is `held` must have been
    read after `app`: then a change in between is seen as one later."""
    return {
        "settings": settings_of(app),
        "environment": environment_of(app),
        **held.as_record(),
        "key": _fingerprint(app, "", ""),
        "variables": {v.name: [_fingerprint(app, v.name, v.value), _scope(v)] for v in variables},
    }


def record_of_rollback(now: Record, then: Record | None) -> dict[str, Any]:
    """As `record`, of a deployment that runs the image of an earlier one: what made the image is
    as it was then, everything else as it is `now`."""
    if then is None:
        return dict(now)
    kept = {name: then["settings"][name] for name in BUILT_IN if name in then["settings"]}
    return {**now, "settings": {**now["settings"], **kept}}


def pack_variables(variables: Iterable[EnvironmentVariable]) -> str:
    """The variables as a text, values and all: to be kept encrypted."""
    return json.dumps([[v.name, v.value, v.at_runtime, v.at_build] for v in variables])


def unpack_variables(text: str) -> list[EnvironmentVariable]:
    """What `pack_variables` was given, as rows that are not in the database."""
    return [
        EnvironmentVariable(name=name, value=value, at_runtime=at_runtime, at_build=at_build)
        for name, value, at_runtime, at_build in json.loads(text or "[]")
    ]


def difference(before: Record, now: Record) -> list[Change]:
    """What changed from the one record to the other: settings first, volumes and ports, then
    variables by name."""
    return [
        *_settings(before["settings"], now["settings"]),
        *(Change(name, what) for name, what in differing(before, now)),
        *_variables(before, now),
    ]


def same_source(before: Record, app: App) -> bool:
    """Whether the app's code still comes from where it came from then."""
    then = before["settings"]
    return all(then.get(name, _default(name)) == getattr(app, name) for name in SOURCE)


def _settings(before: Record, now: Record) -> list[Change]:
    return [
        Change(label, f"{_shown(name, was)} → {_shown(name, now[name], unit=True)}")
        for name, label in LABELS.items()
        if (was := before.get(name, _default(name))) != now[name]
    ]


def _default(name: str) -> Any:
    """What a setting was for a deployment from before there was that setting."""
    return getattr(App(), name)


def _variables(before: Record, now: Record) -> list[Change]:
    old, new = before["variables"], now["variables"]
    # With another secret key every fingerprint is another one: then values cannot be compared.
    comparable = before["key"] == now["key"]
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            what = "added"
        elif name not in new:
            what = "removed"
        elif comparable and old[name][0] != new[name][0]:
            what = "changed"
        elif old[name][1] != new[name][1]:
            what = f"moved from {SCOPES[old[name][1]]} to {SCOPES[new[name][1]]}"
        else:
            continue
        found.append(Change(name, what, is_variable=True))
    return found


def _shown(name: str, value: Any, *, unit: bool = False) -> str:
    if value in (None, ""):
        return NOTHING.get(name, "none")
    value = WORDS.get(name, {}).get(value, value)
    return f"{value}{UNITS.get(name, '') if unit else ''}"


def _number(value: Decimal | float | int) -> str:
    """`1` and `0.5`, whatever the column's digits."""
    return f"{Decimal(str(value)).normalize():f}"


def _scope(variable: EnvironmentVariable) -> str:
    return ("r" if variable.at_runtime else "") + ("b" if variable.at_build else "")


def _fingerprint(app: App, name: str, value: str) -> str:
    # The app and the name are part of it, so that equal values cannot be told by their prints.
    message = f"{app.pk}\0{name}\0{value}"
    return salted_hmac(_SALT, message, algorithm="sha256").hexdigest()[:_DIGITS]
