"""How a container is made: what it may do, what it may use, and why it could not be."""

from __future__ import annotations

import re
from typing import Any

import docker
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import LogConfig

from apps.engine.data import ContainerSpec
from apps.engine.errors import EngineError, StartFailed
from apps.engine.labels import foreign_labels
from apps.engine.volumes import bindings, ensure_volumes, exposed, mounts, port_taken

CAPABILITIES = (
    # What usual images need between their first process and the user they drop to (nginx,
    # postgres, gunicorn): own files, change user, bind a low port. Everything else is dropped.
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
)
LOG_CONFIG = LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"})


def create_container(client: docker.DockerClient, spec: ContainerSpec) -> Container:
    """Create, with the volumes that are not there yet; not start. Raises what the SDK raises, and
    `StartFailed` for an image that would tell the proxy where to lead visitors."""
    ensure_volumes(client, spec.volumes)
    # The SDK's plain `containers.create` knows no grace time.
    api = client.api
    networks: Any = {spec.network: api.create_endpoint_config()}
    made = api.create_container(
        spec.image,
        list(spec.command) or None,
        name=spec.name,
        entrypoint=list(spec.argv) or None,
        environment=dict(spec.env),
        labels=dict(spec.labels),
        stop_signal=spec.stop_signal or None,
        stop_timeout=spec.stop_timeout,
        ports=exposed(spec.ports) or None,
        networking_config=api.create_networking_config(networks),
        host_config=api.create_host_config(
            network_mode=spec.network,
            init=True,
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges:true"],
            pids_limit=spec.pids,
            mem_limit=spec.memory_mb * 1024 * 1024,
            memswap_limit=spec.memory_mb * 1024 * 1024,
            nano_cpus=int(spec.cpus * 1_000_000_000),
            restart_policy={"Name": spec.restart},
            log_config=LOG_CONFIG,
            mounts=mounts(spec.volumes),
            port_bindings=bindings(spec.ports),
        ),
    )
    container = client.containers.get(made["Id"])
    # A container has the labels of its image, too, and nothing takes one away.
    if foreign := foreign_labels(container.labels, spec.labels):
        container.remove(v=True)
        raise StartFailed(
            f"The image has labels for the proxy: {', '.join(foreign[:3])}.",
            hint="Take out the Dockerfile's LABEL lines that begin with traefik. and set under "
            "Domains what leads to the app. Of a ready image, choose one without them.",
        )
    return container


def image_gone(spec: ContainerSpec) -> StartFailed:
    return StartFailed(f"The image {spec.image} is gone.", hint="Deploy again.")


def is_in_between(detail: str) -> bool:
    """Whether the engine refused since it is still busy with another container of that name."""
    words = (
        "is already in use by container",
        "already exists in network",
        "is already in progress",
        "is marked for removal",
    )
    return any(text in detail for text in words)


def start_failed(error: APIError) -> EngineError:
    """Why the engine refused to create or start a container, in words."""
    text = re.sub(r"\s+", " ", str(error.explanation or error))
    if machine := machine_lacks(text):
        return machine
    if "executable file not found" in text or "no such file or directory" in text:
        return StartFailed(
            "The container's start command does not exist in the image.",
            hint="Check CMD and ENTRYPOINT in the Dockerfile.",
            detail=text,
        )
    if port := port_taken(text):
        return StartFailed(
            f"Port {port} of the server is taken by another program.",
            hint="Stop that program, or publish the app on another port in its settings.",
            detail=text,
        )
    return StartFailed("The engine could not start the container.", detail=text)


def machine_lacks(text: str) -> StartFailed | None:
    """What keeps the engine from starting any container, by its own words; None where it is the
    image or its command that is at fault."""
    if "apparmor_parser" not in text:
        return None
    return StartFailed(
        "The engine can start no container: AppArmor's parser is missing on the server.",
        hint="Install the package apparmor, run systemctl restart docker, and deploy again.",
        detail=text,
    )
