"""./mist bench"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import statistics
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete, deployment_rollback
from apps.engine.bench import bare_deployment, cpu_seconds, resident_mb, run_program
from apps.projects.models import App
from apps.system.management import bench_logs
from apps.system.management.base import MistCommand, mist_pid
from apps.system.management.bench_audit import measure_audit
from apps.system.management.bench_cancel import measure_cancels
from apps.system.management.bench_load import Load, visit
from apps.system.management.bench_metrics import measure_rounds
from apps.system.management.bench_routes import measure_routes
from apps.system.management.bench_world import fill, log_in
from apps.system.management.own_instance import begin_anew, run_mist
from apps.system.planning import local_url
from apps.system.services import demo_start

PEOPLE = 100
RATE = 20.0
PARTS = (
    *("start", "idle", "pages", "deployments", "cancel", "metrics", "logs", "lighthouse", "audit"),
    "routes",
)


class Command(MistCommand):
    help = (
        "Measure Mist on this machine and print JSON: start, memory, pages, deployments, routes. "
        "Uses an instance of its own with a temporary data directory and free ports."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=PARTS, action="append", help="measure just this")
        parser.add_argument("--seconds", type=float, default=30.0, help="length of a measurement")
        parser.add_argument("--rounds", type=int, default=5, help="deployments of each kind")
        parser.add_argument("--here", action="store_true", help="(used by the command itself)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["here"]:
            begin_anew("bench", {"MIST_LOG_LEVEL": "ERROR"})
        parts = options["only"] or PARTS
        found: dict[str, object] = {}
        try:
            run_mist("up", "--detach")
            if "start" in parts:
                found["up_to_first_page_s"] = _start_seconds(options["rounds"])
            if "idle" in parts:
                found["idle"] = _idle(options["seconds"])
            if "deployments" in parts:
                found["deployment"] = _deployments(options["rounds"])
            if "cancel" in parts:
                found["cancel"] = measure_cancels(options["rounds"])
            if "logs" in parts:
                found["logs"] = _logs(options["seconds"])
            if "lighthouse" in parts:
                found["lighthouse"] = _lighthouse()
            if "pages" in parts:
                found["pages"] = _pages(options["seconds"])
            if "metrics" in parts:
                found["metrics"] = _metrics()
            if "audit" in parts:
                found["audit"] = measure_audit()
            if "routes" in parts:
                found["routes"] = _routes()  # Mist is down afterwards.
        finally:
            run_mist("down", "--proxy")
            shutil.rmtree(settings.MIST_DATA_DIR, ignore_errors=True)
        self.print_json(found)


def _start_seconds(rounds: int) -> float:
    """From `./mist up` to the first page, with everything set up already."""
    times = []
    for _ in range(rounds):
        run_mist("down")
        began = time.monotonic()
        run_mist("up", "--detach")
        with urllib.request.urlopen(f"{local_url()}/login/", timeout=10) as answer:
            answer.read()
        times.append(time.monotonic() - began)
    return round(statistics.median(times), 2)


def _idle(seconds: float) -> dict[str, float]:
    pid = mist_pid()
    if pid is None:
        raise CommandError("Mist stopped while it was measured.")
    _wait_until_quiet(pid)
    used, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
    return {"rss_mb": round(resident_mb(pid), 1), "cpu_percent": round(share * 100, 2)}


def _wait_until_quiet(pid: int) -> None:
    for _ in range(20):
        used = cpu_seconds(pid)
        time.sleep(1)
        if cpu_seconds(pid) - used < 0.05:
            return


def _deployments(rounds: int) -> dict[str, float]:
    """Mist and bare tools in turn, so that a slow moment of the machine meets both; then the way
    back to the version before, which builds nothing."""
    with_mist, bare, back = [], [], []
    deployment = demo_start(requested_by=None)
    _wait_until_live(deployment)  # This one fills the caches.
    bare_deployment(deployment.app.repository, "main")
    for _ in range(rounds):
        before, deployment = deployment, demo_start(requested_by=None)
        with_mist.append(_wait_until_live(deployment))
        bare.append(bare_deployment(deployment.app.repository, "main"))
        back.append(_wait_until_live(deployment_rollback(to=before, requested_by=None)))
    _delete(deployment.app)
    return {
        "mist_s": round(statistics.median(with_mist), 2),
        "bare_s": round(statistics.median(bare), 2),
        "overhead_s": round(statistics.median(with_mist) - statistics.median(bare), 2),
        "rollback_s": round(statistics.median(back), 2),
        "rollback_max_s": round(max(back), 2),
    }


def _logs(seconds: float) -> dict[str, dict[str, float]]:
    deployment = demo_start(requested_by=None)
    _wait_until_live(deployment)
    found = bench_logs.measure(deployment, seconds=seconds)
    _delete(deployment.app)
    return found


def _delete(app: App) -> None:
    """Return when its container is gone too."""
    app_delete(app=app)
    while App.objects.filter(pk=app.pk).exists():
        time.sleep(0.1)


def _wait_until_live(deployment: Deployment) -> float:
    """Seconds from the request until it is live. Raises `CommandError` when it fails."""
    while deployment.is_unfinished:
        time.sleep(0.02)
        deployment.refresh_from_db()
    if deployment.status != Status.LIVE or deployment.finished_at is None:
        raise CommandError(f"A deployment failed: {deployment.failure}")
    return (deployment.finished_at - deployment.created_at).total_seconds()


def _lighthouse() -> object:
    """Scores of the dashboard and of an app's page. Needs npm and what ./mist test installs."""
    if not shutil.which("npm") or not importlib.util.find_spec("playwright"):
        return "skipped: npm or playwright is missing"
    deployment = demo_start(requested_by=None)
    _wait_until_live(deployment)
    [cookie] = log_in(1, "lighthouse")
    app = reverse("app", args=[deployment.app.project.slug, deployment.app.slug])
    words = [sys.executable, "-m", "tests.machine.lighthouse", local_url(), "/", app]
    env = os.environ | {"PYTHONPATH": str(settings.BASE_DIR), "LIGHTHOUSE_COOKIE": cookie}
    scores: object = json.loads(run_program(words, env=env))
    _delete(deployment.app)
    return scores


def _pages(seconds: float) -> dict[str, object]:
    pages, cookies = fill(), log_in(PEOPLE)
    kinds = {
        "dashboard": [p for p in pages if p.count("/") == 1],
        "project": [p for p in pages if "/apps/" not in p and p.count("/") > 1],
        "app": [p for p in pages if "/apps/" in p],
    }
    _load(pages, cookies, RATE, 5)
    found: dict[str, object] = {
        name: _load(paths, cookies, RATE, seconds).as_dict() for name, paths in kinds.items()
    }
    mixed = [path for paths in kinds.values() for path in (paths * 50)[:50]]
    found["mixed"] = _load(mixed, cookies, RATE, seconds).as_dict()
    found["sustained_pages_per_s"] = _highest_rate(mixed, cookies)
    return found


def _metrics() -> dict[str, float]:
    deployment = demo_start(requested_by=None)
    _wait_until_live(deployment)
    deployment.refresh_from_db()
    if not Deployment.objects.filter(app__project__slug="project-00").exists():
        fill()
    found = measure_rounds(deployment.container_id)
    _delete(deployment.app)
    return found


def _routes() -> dict[str, object]:
    deployment = demo_start(requested_by=None)
    _wait_until_live(deployment)
    return measure_routes(deployment)


def _load(paths: Sequence[str], cookies: Sequence[str], rate: float, seconds: float) -> Load:
    return asyncio.run(visit(settings.MIST_PORT, paths, cookies, rate=rate, seconds=seconds))


def _highest_rate(paths: Sequence[str], cookies: Sequence[str]) -> float:
    """The highest rate, in steps of 10, at which every page is answered and 95 % within 0.5 s."""
    best, rate = 0.0, 30.0
    while rate <= 500:
        load = _load(paths, cookies, rate, 8)
        if load.failed or load.quantile(0.95) > 500:
            break
        best = rate
        rate += 10
    return best
