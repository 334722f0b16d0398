"""The seam between Mist and the outside: who acts. `data` holds what goes in and comes out.

Three actors make an `Engine`: `Git` brings code, `Containers` (Docker) builds and runs it, `Proxy`
(Traefik) sends traffic to it. All calls block; long ones take a `Deadline` and a `LineSink` and end
what they started (process, build, container) when the deadline says so.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from apps.engine.data import (
    BuildSpec,
    Commit,
    Container,
    ContainerEvent,
    ContainerSpec,
    EngineConfig,
    EngineInfo,
    GitAccess,
    LineSink,
    Outcome,
    OutputLine,
    RegistryLogin,
)
from apps.engine.deadline import Deadline
from apps.engine.disk import EngineDisk, StoredNetwork
from apps.engine.image_names import ImageName
from apps.engine.known_hosts import HostKey
from apps.engine.proxy import Proxy
from apps.engine.usage import Usage

# ------------------------------------------------------------------------------------------- git


class Git(Protocol):
    def fetch(
        self,
        *,
        url: str,
        mirror: Path,
        ref: str,
        log: LineSink,
        deadline: Deadline,
        access: GitAccess | None = None,
    ) -> Commit:
        """Bring the commit that `ref` (a branch, tag or 40-digit SHA) means now into the bare
        `mirror`, shallow. An interrupted or broken mirror is made anew. Raises `InvalidSource`,
        `BranchNotFound`, `HostKeyRefused`, `CloneFailed`, `OutOfDisk`, `TimedOut`, `Cancelled`."""
        ...

    def checkout(
        self,
        *,
        mirror: Path,
        sha: str,
        target: Path,
        deadline: Deadline,
        url: str = "",
        log: LineSink | None = None,
        access: GitAccess | None = None,
    ) -> None:
        """Write the commit's files to `target`, which must not exist yet. No hooks or filters run.

        Submodules and files of Git LFS come along where `access` says so: they are fetched as
        `fetch` does, and `url` is what relative addresses are relative to. Raises as `fetch`."""
        ...

    def branches(
        self, *, url: str, deadline: Deadline, access: GitAccess | None = None
    ) -> tuple[str, ...]:
        """Names of the repository's branches, main and master first. Raises as `fetch`."""
        ...

    def host_keys(self, *, host: str, port: int, deadline: Deadline) -> tuple[HostKey, ...]:
        """What an SSH server shows as its keys: for a person to compare. Raises `CloneFailed` when
        it shows none, `TimedOut`, `Cancelled`."""
        ...

    def find_kept(self, *, repository: Path, branch: str, ref: str, deadline: Deadline) -> Commit:
        """The commit that `ref` means in a repository that Mist keeps itself (`engine.kept`), of
        an app whose branch is `branch`. Raises `BranchNotFound`, also while nothing was pushed."""
        ...

    def checkout_kept(
        self, *, repository: Path, branch: str, sha: str, target: Path, deadline: Deadline
    ) -> None:
        """As `checkout`, from a repository that Mist keeps itself."""
        ...

    def advance_kept(self, *, repository: Path, branch: str, sha: str, deadline: Deadline) -> None:
        """The commit is live: from now on it is what whoever fetches the branch gets."""
        ...


# ------------------------------------------------------------------------------------ containers


class Output(Protocol):
    """What a container wrote, in batches as they come."""

    def __iter__(self) -> Iterator[Sequence[OutputLine]]: ...

    def close(self) -> None:
        """End it, from any thread: whoever iterates gets no more."""
        ...


class Containers(Protocol):
    """The Docker engine. Every method raises `EngineUnavailable` when it does not answer."""

    def info(self) -> EngineInfo: ...

    def live_restore(self) -> bool | None:
        """Whether containers run on while the engine itself restarts. None for one that is part of
        a swarm, which excludes that."""
        ...

    def ensure_network(self, name: str, *, labels: Mapping[str, str]) -> None:
        """Make the bridge network with a free /24 of the pool unless it is there. Safe when two
        callers race."""
        ...

    def remove_network(self, name: str) -> None:
        """Gone or absent afterwards."""
        ...

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        """Build and tag; returns the image id. Raises `BuildFailed` (sentence names the step),
        `OutOfDisk`, `TimedOut`, `Cancelled`; the build itself is stopped in the engine then."""
        ...

    def pull(
        self,
        image: ImageName,
        *,
        name: str,
        login: RegistryLogin | None,
        log: LineSink,
        deadline: Deadline,
    ) -> str:
        """Bring the image from its registry and call it `name` here, and nothing else that it was
        not called before. Returns its digest there, `sha256:…`; a line of progress goes to `log`
        about once a second. Raises `PullFailed` of several kinds, `OutOfDisk`, `TimedOut`,
        `Cancelled`; the pull itself is stopped in the engine then."""
        ...

    def name_image(self, image: str, *, name: str) -> bool:
        """Call an image that is here `name` too. False when it is not here."""
        ...

    def published_digest(
        self, image: ImageName, *, login: RegistryLogin | None, deadline: Deadline
    ) -> str:
        """What a pull would bring now, without bringing it. Raises `PullFailed` of several kinds,
        `TimedOut`, `Cancelled`."""
        ...

    def check_login(self, login: RegistryLogin, *, deadline: Deadline) -> None:
        """Whether the registry takes it. Raises `RegistryDenied` when it does not, else as
        `published_digest`. A registry that asks nobody takes every one."""
        ...

    def image_exists(self, image: str) -> bool: ...

    def exposed_ports(self, image: str) -> tuple[int, ...]:
        """TCP ports that the image EXPOSEs, ascending."""
        ...

    def remove_image(self, image: str) -> None:
        """Its name (or, of an image without one, its id) is gone, was absent or is still in use
        (then left alone) afterwards."""
        ...

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start. A container of the same name is replaced. Nothing is left behind
        when it fails: raises `StartFailed`, also for an image with labels for the proxy."""
        ...

    def run_once(self, spec: ContainerSpec, *, log: LineSink, deadline: Deadline) -> Outcome:
        """Run a container to its end and remove it; `log` gets its lines as they come. When the
        deadline ends it is stopped within 2 s, SIGKILL included. A container of the same name is
        replaced. Raises `StartFailed`, `TimedOut`, `Cancelled`."""
        ...

    def resume(self, container_id: str) -> None:
        """Start a stopped container again. Raises `StartFailed`."""
        ...

    def stop(self, container_id: str, *, timeout: int = 10) -> None:
        """The container's stop signal, then SIGKILL after its own grace time, or after `timeout`
        seconds where it was started without one. Absent or stopped is fine."""
        ...

    def remove(self, container_id: str) -> None:
        """Kill and remove with its anonymous volumes, absent is fine. Named volumes stay."""
        ...

    def inspect(self, container_id: str) -> Container | None: ...

    def usage(self, container_ids: Iterable[str]) -> Mapping[str, Usage]:
        """Container id → what it has used. Containers that do not run are left out. Costs little:
        may be asked each second."""
        ...

    def storage(self) -> Path:
        """The folder where the engine keeps images and containers."""
        ...

    def disk(self) -> EngineDisk:
        """Everything in the engine, whoever made it. May take many seconds."""
        ...

    def prune_cache(self, *, keep: int) -> int:
        """Remove the build cache that was used longest ago until `keep` bytes are left, and say
        how many bytes that freed. All that build on this engine share it."""
        ...

    def list_networks(self, *, labels: Mapping[str, str]) -> builtins.list[StoredNetwork]:
        """Networks that carry every given label."""
        ...

    def list(self, *, labels: Mapping[str, str]) -> list[Container]:
        """All containers, stopped ones too, that carry every given label."""
        ...

    def logs(
        self, container_id: str, *, tail: int = 200, timestamps: bool = False
    ) -> builtins.list[str]:
        """Last lines, stdout and stderr together, decoded with replacement."""
        ...

    def follow_logs(
        self, container_id: str, *, tail: int = 200, deadline: Deadline
    ) -> Iterator[str]:
        """Last lines, then new ones as they come, until the container or the deadline ends."""
        ...

    def output(
        self, container_id: str, *, since: str = "", tail: int | None = None, follow: bool = False
    ) -> Output:
        """Lines with a stamp of `since` or later, of those the last `tail`, then with `follow`
        new ones until the container ends or the output is closed. Of a container that is gone:
        nothing. The caller closes it."""
        ...

    def events(self, *, labels: Mapping[str, str], deadline: Deadline) -> Iterator[ContainerEvent]:
        """Events of containers that carry the labels, from the moment of the call on, until the
        deadline ends or the engine goes away (`EngineUnavailable`)."""
        ...


@dataclass(frozen=True)
class Engine:
    git: Git
    containers: Containers
    proxy: Proxy
    config: EngineConfig
