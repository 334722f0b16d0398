"""What a thousand apps with three host names each cost the proxy, for `./mist bench`."""

from __future__ import annotations

import http.client
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection, transaction

from apps.deployments import reconciliation
from apps.deployments.models import Deployment, Status
from apps.domains.models import Domain
from apps.domains.services import domain_add, domain_remove
from apps.engine import process
from apps.engine.bench import cpu_seconds, resident_mb
from apps.engine.connect import get_engine
from apps.engine.routes import Route, app_routes
from apps.projects.models import App, Project, address_label
from apps.system.management.own_instance import run_mist

APPS = 1_000
APPS_A_PROJECT = 20
ROUNDS = 40
COMPARISONS = 3
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.01


def measure_routes(deployment: Deployment, apps: int = APPS) -> dict[str, object]:
    """How soon visitors find a new name, from the call that saves it, and what taking it up costs
    Traefik: with one app, then beside `apps` more. Mist itself is down meanwhile, so that nobody
    tidies away the routes of apps that never were; a worker's part is done here."""
    run_mist("down")
    names = map("n{}.example.com".format, itertools.count())
    alone = _rounds(deployment.app, _traefik(), names)
    _fill(apps)
    # Of a Traefik that runs, each file that is written makes it read all of them again.
    run_mist("down", "--proxy")
    written = _write_files(deployment, apps)
    began = time.perf_counter()
    get_engine().proxy.ensure_running()
    _wait_for(partial(_leads, f"{apps - 1}-b.example.net"))
    started = time.perf_counter() - began
    _wait_until_idle(_traefik())
    filled = _rounds(deployment.app, _traefik(), names)
    run_mist("down", "--proxy")
    return {
        "apps": apps,
        "names": Domain.objects.count() + apps,
        "files_mb": round(written / 1024**2, 2),
        "start_to_routed_s": round(started, 1),
        "with_1_app": alone,
        f"with_{apps}_apps": filled,
        "comparison": measure_comparison(),
    }


def measure_comparison() -> dict[str, float]:
    """What it costs Mist to see that every route file is as the database says, which it does each
    30 s. All apps are given a live version for it."""
    apps = App.objects.exclude(deployments__status=Status.LIVE)
    Deployment.objects.bulk_create(
        Deployment(app=app, number=1, ref="main", status=Status.LIVE, port=8000) for app in apps
    )
    # The first one writes them; from then on nothing differs.
    reconciliation.restore_routes()
    queries = itertools.count()

    def count(execute: Any, *words: Any) -> Any:
        next(queries)
        return execute(*words)

    used, began = time.process_time(), time.perf_counter()
    with connection.execute_wrapper(count):
        for _ in range(COMPARISONS):
            reconciliation.restore_routes()
    return {
        "cpu_s": round((time.process_time() - used) / COMPARISONS, 2),
        "seconds": round((time.perf_counter() - began) / COMPARISONS, 2),
        "queries": next(queries) // COMPARISONS,
    }


def _traefik() -> int:
    pid = process.living_pid(Path(settings.MIST_DATA_DIR) / "traefik" / "traefik.pid")
    if pid is None:
        raise CommandError("Traefik stopped while it was measured.")
    return pid


def _rounds(app: App, pid: int, names: Iterator[str]) -> dict[str, float]:
    """One name after the other."""
    saved, reloads = [], []
    used = cpu_seconds(pid)
    for _ in range(ROUNDS):
        name = next(names)
        began = time.perf_counter()
        domain = domain_add(app=app, host=name, created_by=None)
        reconciliation.apply_wishes()
        written = time.perf_counter()
        _wait_for(partial(_leads, name))
        saved.append((time.perf_counter() - began) * 1000)
        reloads.append((time.perf_counter() - written) * 1000)
        domain_remove(domain=domain)
        reconciliation.apply_wishes()
        _wait_for(lambda gone=name: not _leads(gone))  # type: ignore[misc]
    ordered = sorted(saved)
    return {
        "saved_to_routed_p50_ms": round(statistics.median(ordered)),
        "saved_to_routed_p95_ms": round(ordered[int(len(ordered) * 0.95)]),
        "saved_to_routed_max_ms": round(ordered[-1]),
        "reload_p50_ms": round(statistics.median(reloads)),
        # A name was added and removed.
        "reload_cpu_ms": round((cpu_seconds(pid) - used) / ROUNDS / 2 * 1000),
        "traefik_rss_mb": round(resident_mb(pid)),
    }


def _fill(apps: int) -> None:
    """Projects and apps with two names of their own each, so that each new one is compared with
    as many as there would be."""
    with transaction.atomic():
        projects = Project.objects.bulk_create(
            Project(slug=f"routes-{n:03}") for n in range(-(-apps // APPS_A_PROJECT))
        )
        made = App.objects.bulk_create(
            App(
                project=projects[n // APPS_A_PROJECT],
                slug=f"app-{n:04}",
                label=address_label(projects[n // APPS_A_PROJECT].slug, f"app-{n:04}"),
                repository=f"https://git.example.com/routes/app-{n:04}.git",
            )
            for n in range(apps)
        )
        Domain.objects.bulk_create(
            Domain(app=app, host=f"{n}-{letter}.example.net")
            for n, app in enumerate(made)
            for letter in "ab"
        )


def _write_files(deployment: Deployment, apps: int) -> int:
    """All lead to the one app that runs. Returns how many bytes they are together."""
    proxy = get_engine().proxy
    folder = Path(settings.MIST_DATA_DIR) / "traefik" / "dynamic"
    for n, app in enumerate(App.objects.filter(slug__startswith="app-").order_by("slug")[:apps]):
        hosts = [app.host, f"{n}-a.example.net", f"{n}-b.example.net"]
        routes = [Route(host) for host in hosts]
        file = app_routes(app=str(app.pk), service=deployment.service, routes=routes)
        proxy.write_routes(str(app.pk), file)
    return sum(path.stat().st_size for path in folder.glob("*.yml"))


def _leads(host: str) -> bool:
    port = settings.MIST_ENGINE_CONFIG.http_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > until:
            raise CommandError("Traefik did not take up a route.")
        time.sleep(LOOK_SECONDS)


def _wait_until_idle(pid: int) -> None:
    """Return when Traefik has nothing more to read."""
    until = time.monotonic() + PATIENCE_SECONDS
    used = -1.0
    while cpu_seconds(pid) - used > 0.02 and time.monotonic() < until:
        used = cpu_seconds(pid)
        time.sleep(1)
