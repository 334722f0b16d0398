"""What is always true of a Mist at rest, whatever happened to it before.

The fault suite and `./mist soak` ask for the same. Everything is compared with the engine and the
disk as they are, nothing with what Mist remembers of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from apps.deployments.logs import log_path
from apps.deployments.models import RUNNING, UNFINISHED, Deployment, Status
from apps.deployments.planning import instance_labels, network_name, owner_facts
from apps.domains.planning import router_name
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus
from apps.engine.leftovers import helpers_of, things_of
from apps.projects.models import App, Project


def is_at_rest() -> bool:
    """Whether nothing is waiting, at work, or yet to be taken away."""
    return not (
        Deployment.objects.filter(status__in=UNFINISHED).exists()
        or Deployment.objects.exclude(owner="", roll__isnull=True).exists()
        or App.objects.filter(needs_apply=True).exists()
    )


def find_broken() -> list[str]:
    """Sentences about what is not as it has to be: states, containers, routes, logs. Ask when it
    is at rest. Raises `EngineUnavailable`."""
    containers = get_engine().containers.list(labels=instance_labels())
    return [*_rows(), *_containers(containers), *_routes(containers), *_logs()]


def find_leaks() -> list[str]:
    """Sentences about what is left over: containers, networks, images, checkouts, processes,
    routes. Ask when it is at rest. Raises `EngineUnavailable`."""
    return [*_engine_leaks(), *_disk_leaks()]


def _rows() -> Iterator[str]:
    for status, what in ((("live",), "live"), (RUNNING, "unfinished")):
        rows = Deployment.objects.filter(status__in=status).values_list("app_id", flat=True)
        for app_id, count in Counter(rows).items():
            if count > 1:
                yield f"app {app_id} has {count} {what} deployments"
    for row in Deployment.objects.exclude(owner=""):
        yield f"{row} is {row.status} and held by {row.owner}"
    for row in Deployment.objects.filter(roll__isnull=False):
        yield f"{row} is {row.status} and has yet to give its place back"
    for row in Deployment.objects.filter(status=Status.FAILED, failure=""):
        yield f"{row} failed without a reason"


def _containers(containers: list[Container]) -> Iterator[str]:
    by_deployment: dict[int, list[Container]] = {}
    for container in containers:
        facts = owner_facts(container.labels)
        by_deployment.setdefault(facts[1] if facts else 0, []).append(container)
    for live in Deployment.objects.filter(status=Status.LIVE).select_related("app"):
        states = [c.status for c in by_deployment.get(live.pk, [])]
        wanted = max(1, len(live.container_ids))
        if live.app.wanted == App.Wanted.RUNNING and states != [ContainerStatus.RUNNING] * wanted:
            yield f"{live} is live with containers that are {states}, {wanted} have to run"


def _routes(containers: list[Container]) -> Iterator[str]:
    running = {
        facts[1]
        for container in containers
        if container.status is ContainerStatus.RUNNING and (facts := owner_facts(container.labels))
    }
    proxy = get_engine().proxy
    for app in App.objects.filter(deleted_at=None).select_related("project"):
        live = Deployment.objects.filter(app=app, status=Status.LIVE).first()
        routes = (proxy.read_routes(str(app.pk)) or {}).get("http", {}).get("routers", {})
        service = routes.get(router_name(app), {}).get("service")
        wanted = f"{live.service}@docker" if live else None
        if service != wanted:
            yield f"the route of {app} leads to {service} instead of {wanted}"
        elif live and app.wanted == App.Wanted.RUNNING and live.pk not in running:
            yield f"the route of {app} leads to no running container"


def _logs() -> Iterator[str]:
    for row in Deployment.objects.exclude(started_at=None):
        path = log_path(row.pk)
        if not path.is_file():
            yield f"{row} has no log"
            continue
        raw = path.read_bytes()
        if raw and not raw.endswith(b"\n"):
            yield f"the log of {row} ends within a line"
        for line in raw.splitlines():
            if not line.split(b" ", 1)[0].isdigit():
                yield f"the log of {row} has a broken line: {line[:80]!r}"
                break
        if row.status in (Status.LIVE, Status.RETIRED) and raw.count("» Live at".encode()) != 1:
            yield f"the log of {row} says {raw.count('» Live at'.encode())} times that it is live"


def _engine_leaks() -> Iterator[str]:
    known = Deployment.objects.filter(status__in=(*UNFINISHED, Status.LIVE))
    wanted = set(known.values_list("pk", flat=True))
    for container in get_engine().containers.list(labels=instance_labels()):
        facts = owner_facts(container.labels)
        if facts is None or facts[1] not in wanted:
            yield f"container {container.name}"
    things = things_of(settings.MIST_ENGINE_CONFIG)
    networks = {network_name(project) for project in Project.objects.all()}
    yield from (f"network {name}" for name in sorted(things.networks - networks))
    images = set(Deployment.objects.exclude(image="").values_list("image", flat=True))
    yield from (f"image {name}" for name in sorted(things.images - images))


def _disk_leaks() -> Iterator[str]:
    folder = Path(settings.MIST_DATA_DIR)
    unfinished = set(Deployment.objects.filter(status__in=UNFINISHED).values_list("pk", flat=True))
    apps = {str(pk) for pk in App.objects.values_list("pk", flat=True)}
    for checkout in (folder / "builds").glob("*"):
        if not checkout.name.isdigit() or int(checkout.name) not in unfinished:
            yield f"checkout {checkout.name}"
    for mirror in (folder / "repos").glob("*"):
        if mirror.name not in apps:
            yield f"mirror {mirror.name}"
    for routes in (folder / "traefik" / "dynamic").glob("*"):
        is_shared = routes.stem == "mist" or routes.stem.startswith("mist-")
        if not is_shared and routes.stem.removeprefix("app-") not in apps:
            yield f"route file {routes.name}"
    for passwords in (folder / "traefik" / "passwords").glob("*"):
        if passwords.name.partition("-")[0] not in apps:
            yield f"passwords {passwords.name}"
    for scratch in (folder / "traefik" / "new").glob("*"):
        yield f"unfinished route file {scratch.name}"
    yield from (f"process {words}" for words in helpers_of(folder))
