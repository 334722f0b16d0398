"""A real engine, a real Traefik and a real Git host, with Mist's pipeline run by the test."""

from __future__ import annotations

import http.client
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from apps.deployments import pipeline
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_request, deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.base import Engine
from apps.engine.data import Container
from apps.projects.models import App, Project
from apps.projects.services import app_create
from tests.engine.git_host import GitHost, Origin

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


@dataclass
class World:
    engine: Engine
    git: GitHost
    project: Project

    @property
    def instance(self) -> str:
        return self.engine.config.instance

    def repository(self, sample: str) -> Origin:
        """A new repository with the sample's files as its first commit."""
        origin = self.git.create(f"samples/{sample}")
        shutil.copytree(SAMPLES / sample, origin.path, dirs_exist_ok=True)
        origin.commit({}, "First version")
        return origin

    def app(self, sample: str, *, health_path: str = "/", **settings: Any) -> tuple[App, Origin]:
        """An app of that sample, not deployed yet."""
        origin = self.repository(sample)
        app = app_create(
            project=self.project,
            slug=sample,
            repository=origin.url,
            created_by=None,
            health_path=health_path,
            **settings,
        )
        return app, origin

    def deploy(self, app: App, ref: str = "") -> Deployment:
        """Request, claim and run; the row as it is afterwards."""
        deployment_request(app=app, requested_by=None, ref=ref)
        return _run_next()

    def roll_back(self, to: Deployment, *, old_variables: bool = False) -> Deployment:
        """As `deploy`, to the image of an earlier one."""
        deployment_rollback(to=to, requested_by=None, old_variables=old_variables)
        return _run_next()

    def run(self, claimed: Deployment) -> Deployment:
        """Carry a claimed deployment to its end."""
        pipeline.run(claimed)
        return Deployment.objects.get(pk=claimed.pk)

    def get(self, host: str, path: str = "/") -> tuple[int, str]:
        """What a visitor gets through Traefik's public entry point."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.engine.config.http_port, timeout=60
        )
        try:
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    def containers(self) -> list[Container]:
        return self.engine.containers.list(labels={"mist.instance": self.instance})

    def images(self) -> list[str]:
        client = docker.from_env()
        try:
            found = client.images.list(filters={"label": f"mist.instance={self.instance}"})
            names = {tag for image in found for tag in image.tags}
            return sorted(names | set(_names_of(client, self.instance)))
        finally:
            client.close()

    def networks(self) -> list[str]:
        client = docker.from_env()
        try:
            found = client.networks.list(filters={"label": f"mist.instance={self.instance}"})
            return sorted(str(network.name) for network in found)
        finally:
            client.close()

    def sweep(self) -> None:
        sweep(self.instance)


def _run_next() -> Deployment:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


@dataclass
class Visitors:
    """What steady visitors saw."""

    answers: list[tuple[float, str]] = field(default_factory=list)
    """(when, body) of good answers."""
    failures: list[str] = field(default_factory=list)

    def bodies(self) -> list[str]:
        """Different answers in the order they were first seen."""
        return list(dict.fromkeys(body for _, body in sorted(self.answers)))


def steady_visitors(
    world: World, host: str, *, kept: int = 3, fresh: int = 2
) -> AbstractContextManager[Visitors]:
    return visitors(world.engine.config.http_port, host, kept=kept, fresh=fresh)


@contextmanager
def visitors(
    port: int, host: str, *, kept: int = 3, fresh: int = 2, most: int = 50_000
) -> Iterator[Visitors]:
    """Visitors who ask without a pause worth naming: `kept` on connections that stay open,
    `fresh` with a new connection each time. They stop after `most` requests in any case."""
    seen = Visitors()
    over = threading.Event()

    def visit(keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not over.is_set() and len(seen.answers) < most:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", "/", headers={"Host": host})
                response = connection.getresponse()
                body = response.read().decode()
                if response.status == 200:
                    seen.answers.append((time.monotonic(), body))
                else:
                    seen.failures.append(f"HTTP {response.status} {body[:80]}")
            except (OSError, http.client.HTTPException) as error:
                seen.failures.append(repr(error))
                keep_open = False
            else:
                keep_open = keep
            if not keep_open and connection is not None:
                connection.close()
                connection = None
            time.sleep(0.01)
        if connection is not None:
            connection.close()

    threads = [
        threading.Thread(target=visit, args=(number < kept,)) for number in range(kept + fresh)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def wait_until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Return once it is so. Raises `AssertionError` when it never is: machines may be slow."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what} never happened"
        time.sleep(0.05)


def sweep(instance: str) -> None:
    """Afterwards nothing with this instance's label is in the engine."""
    client = docker.from_env()
    mine: dict[str, Any] = {"label": f"mist.instance={instance}"}
    try:
        for container in client.containers.list(all=True, filters=mine, ignore_removed=True):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=mine):
            network.remove()
        for image in client.images.list(filters=mine):
            client.images.remove(str(image.id), force=True)
        for name in _names_of(client, instance):
            client.images.remove(name)
    finally:
        client.close()


def _names_of(client: docker.DockerClient, instance: str) -> list[str]:
    """What the instance called images; those that it pulled have no label."""
    found = client.images.list(filters={"reference": f"mist/*-{instance}"})
    return [tag for image in found for tag in image.tags if f"-{instance}:" in tag]


def unique_instance() -> str:
    return os.urandom(4).hex()
