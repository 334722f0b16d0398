"""./mist soak"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete, deployment_request
from apps.engine.trials import Repository, served
from apps.projects.models import App
from apps.projects.services import app_create, project_create
from apps.system.management.base import MistCommand
from apps.system.management.bench_load import PAUSE as PAGE_PAUSE
from apps.system.management.bench_load import Load, visit
from apps.system.management.bench_world import log_in
from apps.system.management.own_instance import begin_anew, run_mist
from apps.system.management.soak_invariants import find_leaks
from apps.system.management.soak_prober import Prober
from apps.system.management.soak_world import SoakWorld

SETTINGS = {
    "MIST_HEALTH_TIMEOUT": "10",
    "MIST_DRAIN_SECONDS": "3",
    "MIST_STOP_TIMEOUT": "5",
    "MIST_LOG_LEVEL": "WARNING",
}
MEMORY_MB, REPLICAS = 64, 3
REST_EVERY = 120.0
"""Seconds after which everything comes to rest and is looked at."""


class Command(MistCommand):
    help = (
        "Do at random what people and bad luck do to Mist, with visitors asking all the time, and "
        "print one line of JSON: what was done, and what failed, broke or was left over. Uses an "
        "instance of its own with a temporary data directory and free ports. Exit code 1 when "
        "anything went wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--minutes", type=float, default=5.0, help="how long")
        parser.add_argument("--seed", type=int, help="of an earlier run, to do the same again")
        parser.add_argument("--apps", type=int, default=3, help="apps that are deployed")
        parser.add_argument("--readers", type=int, default=0, help="people who open pages")
        parser.add_argument(
            "--calm",
            action="store_true",
            help="deploy, roll back, stop, start; harm nothing",
        )
        parser.add_argument("--here", action="store_true", help="(used by the command itself)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["apps"] < 1 or options["readers"] < 0 or options["minutes"] <= 0:
            raise CommandError("--apps and --minutes are more than 0, --readers is 0 or more.")
        if not options["here"]:
            begin_anew("soak", SETTINGS)
        folder = Path(settings.MIST_DATA_DIR)
        seed = options["seed"] if options["seed"] is not None else secrets.randbelow(10**6)
        found: dict[str, object] = {"seed": seed, "minutes": options["minutes"]}
        try:
            repository = Repository(folder / "soak.git")
            for kind in ("good", "slow", "broken", "unwell"):
                repository.commit(kind)
            with served(repository) as url:
                run_mist("up", "--detach")
                found |= self._soak(url, repository, random.Random(seed), options)
            found["database_is_locked"] = _locked(folder / "mist.log")
        finally:
            run_mist("down", "--proxy")
            shutil.rmtree(folder, ignore_errors=True)
        self.say(json.dumps(found))
        wrong = ("failed_requests", "invariant_breaks", "leaked_objects", "database_is_locked")
        if any(found[name] for name in wrong):
            sys.exit(1)

    def _tell(self, text: str) -> None:
        self.stderr.write(f"{time.strftime('%H:%M:%S')} {text}")
        self.stderr.flush()

    def _soak(
        self, url: str, repository: Repository, chance: random.Random, options: dict[str, Any]
    ) -> dict[str, object]:
        apps = _make_apps(url, options["apps"])
        port = settings.MIST_HTTP_PORT
        probers = {app.pk: Prober(port=port, host=app.host) for app in apps}
        world = SoakWorld(chance, repository, apps, probers, self._tell)
        seconds = options["minutes"] * 60
        for prober in probers.values():
            prober.start()
        with readers(options["readers"], apps, seconds) as pages:
            until, looked = time.monotonic() + seconds, time.monotonic()
            while time.monotonic() < until:
                world.act(with_faults=not options["calm"])
                time.sleep(chance.uniform(0.05, 1.0))
                if time.monotonic() - looked > REST_EVERY:
                    world.rest()
                    looked = time.monotonic()
                    self._tell(f"{Deployment.objects.count()} deployments, {world.faults} faults")
            world.rest()
        for prober in probers.values():
            prober.stop()
            for failure in prober.failures[::10]:
                before = world.history_before(float(failure.partition(" ")[0]))
                self._tell(f"Failed: {prober.host} {failure} after {', '.join(before)}")
        deployments = Deployment.objects.exclude(started_at=None).count()
        _delete(world)
        return {
            "deployments": deployments,
            "faults": world.faults,
            "requests": sum(p.answered + len(p.failures) for p in probers.values()),
            "failed_requests": sum(len(p.failures) for p in probers.values()),
            "invariant_breaks": len(world.broken),
            "leaked_objects": len(world.leaked),
            "done": dict(sorted(world.done.items())),
            **({"pages": pages[0].as_dict()} if pages else {}),
        }


def _make_apps(url: str, count: int) -> list[App]:
    """All of them live, every second one of several containers. Raises `CommandError`."""
    project = project_create(slug="soak", created_by=None)
    apps = [
        app_create(
            project=project,
            slug=f"app-{number}",
            repository=url,
            branch="good",
            created_by=None,
            port=8000,
            health_path="/healthz",
            memory_mb=MEMORY_MB,
            replicas=REPLICAS if number % 2 else 1,
        )
        for number in range(count)
    ]
    for app in apps:
        deployment = deployment_request(app=app, requested_by=None)
        while deployment.is_unfinished:
            time.sleep(0.1)
            deployment.refresh_from_db()
        if deployment.status != Status.LIVE:
            raise CommandError(f"The first deployment failed: {deployment.failure}")
    return apps


def _delete(world: SoakWorld) -> None:
    """Delete the apps; whatever is still there then was left over."""
    for app in world.apps:
        app_delete(app=app)
    until = time.monotonic() + 60
    while App.objects.exists() and time.monotonic() < until:
        time.sleep(0.2)
    if App.objects.exists():
        world.note("apps were not deleted within a minute")
    world.leaked += [f"{leak}, after all apps were deleted" for leak in find_leaks()]


def _locked(log: Path) -> int:
    """How often Mist said that its database was locked."""
    return log.read_text(errors="replace").count("database is locked")


@contextmanager
def readers(count: int, apps: list[App], seconds: float) -> Iterator[list[Load]]:
    """So many people open pages of the dashboard and of the apps meanwhile; what that did to the
    answers is in the list afterwards."""
    found: list[Load] = []
    if not count:
        yield found
        return
    paths = [reverse("dashboard"), reverse("deployment_list")]
    for app in apps:
        words = [app.project.slug, app.slug]
        paths += [reverse(name, args=words) for name in ("app", "app_deployments")]
    cookies = log_in(count, "reader")

    def read() -> None:
        rate = count / PAGE_PAUSE
        found.append(
            asyncio.run(visit(settings.MIST_PORT, paths, cookies, rate=rate, seconds=seconds))
        )

    thread = threading.Thread(target=read, name="readers")
    thread.start()
    try:
        yield found
    finally:
        thread.join(seconds + 120)
