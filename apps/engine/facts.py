"""What the Docker engine tells of containers, as Mist's own data."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from apps.engine.data import Container, ContainerEvent, ContainerStatus


def read_container(attrs: Mapping[str, Any]) -> Container:
    """What an inspection says."""
    state = attrs["State"]
    running = state["Status"] == "running"
    attached = attrs.get("NetworkSettings", {}).get("Networks") or {}
    return Container(
        id=attrs["Id"],
        name=attrs["Name"].lstrip("/"),
        status=ContainerStatus(state["Status"]),
        labels=attrs["Config"].get("Labels") or {},
        image=attrs["Config"]["Image"],
        exit_code=None if running or state["Status"] == "created" else state.get("ExitCode"),
        out_of_memory=bool(state.get("OOMKilled")),
        restarts=int(attrs.get("RestartCount", 0)),
        restart=str((attrs.get("HostConfig", {}).get("RestartPolicy") or {}).get("Name", "")),
        health=str((state.get("Health") or {}).get("Status", "")),
        created_at=_time(attrs.get("Created", "")),
        started_at=_time(state.get("StartedAt", "")),
        addresses={name: net.get("IPAddress", "") for name, net in attached.items()},
    )


def read_event(event: Mapping[str, Any]) -> ContainerEvent:
    """One event of the engine's stream."""
    facts = event.get("Actor", {}).get("Attributes", {})
    code = facts.get("exitCode")
    return ContainerEvent(
        action=str(event.get("Action", "")).partition(":")[0],
        container_id=str(event.get("id", "")),
        labels=facts,
        time=dt.datetime.fromtimestamp(event.get("time", 0), dt.UTC),
        exit_code=int(code) if code is not None else None,
    )


def _time(text: str) -> dt.datetime | None:
    if not text or text.startswith("0001"):
        return None
    whole = re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00"))
    return dt.datetime.fromisoformat(whole)
