"""How late lines of a container reach those who watch, for `./mist bench`."""

from __future__ import annotations

import json
import resource
import sys
import time

from django.conf import settings
from django.core.management.base import CommandError
from django.urls import reverse

from apps.deployments.models import Deployment, Status
from apps.deployments.planning import network_name
from apps.engine.bench import run_program
from apps.engine.connect import get_engine
from apps.engine.data import ContainerSpec
from apps.system.management.base import mist_pid
from apps.system.management.bench_world import log_in

CASES = ((10, 1000.0), (100, 10.0), (1000, 1.0))
"""Viewers, and lines a second."""
FILES = 8192
WRITER = """
import sys, time
rate = float(sys.argv[1])
number, due = 0, time.monotonic()
while True:
    number += 1
    sys.stdout.write(f"{number} {time.monotonic_ns()} {'x' * 80}\\n")
    sys.stdout.flush()
    due += 1 / rate
    time.sleep(max(0, due - time.monotonic()))
"""


def measure(deployment: Deployment, *, seconds: float) -> dict[str, dict[str, float]]:
    """Let containers of the deployment's image write lines while 10, 100 and 1,000 viewers have
    the app's page of logs open, and `docker logs --follow` runs beside them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    cookie = log_in(1)[0]
    return {
        f"{viewers}_viewers_{rate:.0f}_lines_per_s": _case(
            deployment, cookie, viewers, rate, seconds
        )
        for viewers, rate in CASES
    }


def _case(
    deployment: Deployment, cookie: str, viewers: int, rate: float, seconds: float
) -> dict[str, float]:
    pid = mist_pid()
    if pid is None:
        raise CommandError("Mist stopped while it was measured.")
    containers = get_engine().containers
    real = deployment.container_id
    writer = containers.start(
        ContainerSpec(
            name=f"mist-bench-writer-{time.monotonic_ns()}",
            image=deployment.image,
            network=network_name(deployment.app.project),
            env={},
            command=("python3", "-u", "-c", WRITER, str(rate)),
            restart="no",
        )
    )
    live = Deployment.objects.filter(pk=deployment.pk, status=Status.LIVE)
    try:
        live.update(container_id=writer.id)
        project, app = deployment.app.project.slug, deployment.app.slug
        order = {
            "port": settings.MIST_PORT,
            "cookie": cookie,
            "path": reverse("app_logs", args=[project, app]),
            "at": f"{deployment.pk}-0-0-0",
            "container": writer.id,
            "pid": pid,
            "viewers": viewers,
            "seconds": seconds,
        }
        argv = [sys.executable, "-m", "apps.engine.bench_viewers", json.dumps(order)]
        found: dict[str, float] = json.loads(run_program(argv))
        return found
    finally:
        live.update(container_id=real)
        containers.remove(writer.id)
