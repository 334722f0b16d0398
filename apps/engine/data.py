"""What goes into the engine and what comes out of it, as data."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from apps.engine.holdings import PublishedPort, VolumeMount

WEB_HOST = "mist-web"
"""What `compose.yaml` calls the containers of the pages, in the network that only parts are in."""
LineSink = Callable[[str], None]
"""Takes one line of output, without its newline, as soon as it is there."""


@dataclass(frozen=True)
class EngineConfig:
    """Where things are and which ports they use; made once from the settings."""

    instance: str
    """Short id of this Mist: labels carry it, so that two Mists on one engine never meet."""
    data_dir: Path
    docker_host: str = ""
    """Socket of the engine, empty for the usual one (DOCKER_HOST, else /var/run/docker.sock)."""
    bind: str = "0.0.0.0"
    """Address that the public entry points listen on."""
    http_port: int = 80
    https_port: int = 443
    probe_port: int = 8081
    """Internal entry point for health checks, on 127.0.0.1 only."""
    proxy_api_port: int = 8082
    """Traefik's own API, on 127.0.0.1 only."""
    proxy_host: str = ""
    """Where a Traefik answers that runs as a container of its own, which compose starts; empty for
    one that Mist starts on this machine."""
    acme_ca_file: str = ""
    """Certificates (PEM) by which an ACME issuer's own address is known, beside the machine's."""
    dashboard_port: int = 8080
    """Where Mist's own pages are, to which Traefik leads, too."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies in front of Traefik, whose word about a visitor's address counts."""
    network_pool: str = "10.192.0.0/12"
    """Each project's network takes a free /24 of this."""
    git_localhost: bool = False
    """Whether repositories and registries may be at a loopback address of this machine."""
    build_cgroup: str = ""
    """A control group of the operator's own for builds, instead of the one that Mist makes."""
    build_memory_mb: int = 0
    """What all builds together may eat; 0 for three quarters of the machine's memory."""
    build_cpus: float = 0
    """Processors for all builds together; 0 for all but half a one."""

    @property
    def pages_url(self) -> str:
        """Where Traefik reaches Mist's own web servers."""
        host = "127.0.0.1" if self.bind in ("", "0.0.0.0", "::") else self.bind
        if self.proxy_host:
            host = WEB_HOST
        return (
            f"http://[{host}]:{self.dashboard_port}"
            if ":" in host
            else (f"http://{host}:{self.dashboard_port}")
        )

    @property
    def keys_room(self) -> Path:
        """Where private keys lie while a program needs them."""
        return self.data_dir / "keys"


@dataclass(frozen=True)
class Commit:
    sha: str
    message: str
    """First line of the message."""
    author: str
    committed_at: dt.datetime


@dataclass(frozen=True)
class GitAccess:
    """What opens a repository, and what is fetched besides its own files.

    Credentials are for the repository's own host alone, also where it redirects or has submodules.
    """

    username: str = ""
    """Beside the password; hosts that take a token want some name, and most take any."""
    password: str = field(default="", repr=False)
    """A password or token for HTTPS."""
    ssh_key: str = field(default="", repr=False)
    """A private key as OpenSSH writes it."""
    known_hosts: tuple[str, ...] = ()
    """Lines as a known_hosts file has them. For a host that none of them names, the keys of the
    large forges count that come with Mist."""
    submodules: bool = False
    lfs: bool = False
    """Whether files that Git LFS keeps are fetched, instead of their pointers."""


@dataclass(frozen=True)
class BuildSpec:
    context: Path
    """The app's root directory inside the checkout (already resolved and checked)."""
    dockerfile: Path
    """Absolute path of the Dockerfile (already resolved and checked to lie in the checkout)."""
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Build arguments. Values reach the build through the environment, never a command line."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """BuildKit secrets, id → value, mounted with RUN --mount=type=secret,id=…"""
    no_cache: bool = False


@dataclass(frozen=True)
class RegistryLogin:
    """Opens one registry, and is shown to no other."""

    registry: str
    """As `image_names.ImageName` has it."""
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class ContainerSpec:
    name: str
    image: str
    network: str
    env: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 512
    cpus: float = 1.0
    pids: int = 512
    restart: str = "unless-stopped"
    """`unless-stopped`, `on-failure` or `no`."""
    stop_signal: str = ""
    """Asks it to end; empty for the image's own, which is SIGTERM where it names none."""
    stop_timeout: int = 10
    """Seconds between the stop signal and SIGKILL."""
    command: tuple[str, ...] = ()
    """Empty for the image's own."""
    argv: tuple[str, ...] = ()
    """What runs in place of the image's ENTRYPOINT and CMD together; empty for those."""
    volumes: tuple[VolumeMount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    """No two running containers have the same one."""


class ContainerStatus(enum.StrEnum):
    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"
    REMOVING = "removing"


@dataclass(frozen=True)
class Container:
    """A container as the engine sees it now."""

    id: str
    name: str
    status: ContainerStatus
    labels: Mapping[str, str]
    image: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    restarts: int = 0
    restart: str = ""
    """Its restart policy, as `ContainerSpec` has it."""
    health: str = ""
    """What the image's own HEALTHCHECK says: healthy, unhealthy, starting; empty without one."""
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Network name → IP address."""


class Outcome(NamedTuple):
    """How a command ended."""

    exit_code: int
    out_of_memory: bool = False


@dataclass(frozen=True)
class ContainerEvent:
    action: str
    """start, die, oom, stop, destroy, restart, health_status…"""
    container_id: str
    labels: Mapping[str, str]
    time: dt.datetime
    exit_code: int | None = None


class OutputLine(NamedTuple):
    """Something that a container wrote."""

    stamp: str
    """When, as the engine notes it: UTC with nine digits, `2026-01-31T12:00:00.000000000Z`."""
    stream: str
    """`out` or `err`"""
    text: str
    """Without its newline. The engine itself cuts lines after 16 KB: the rest is a line of its
    own."""


@dataclass(frozen=True)
class EngineInfo:
    version: str
    api_version: str
    """The newest version of its API that it speaks."""
    oldest_api: str = ""
    """The oldest one; empty where it does not say."""


@dataclass(frozen=True)
class ProbeResult:
    status: int | None
    """HTTP status that the app answered, None when nothing answered."""
    milliseconds: float
    reason: str = ""
    """Why there was no good answer, in words."""
