"""Looking at what is there: the engine and the data directory, then the database."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from apps.deployments import planning as naming
from apps.deployments.models import UNFINISHED, Deployment
from apps.deployments.retention import images_in_use, kept_versions, limits_now
from apps.engine.connect import get_engine
from apps.projects.models import App, Project
from apps.storage.planning import Entry, Inventory, Plan, plan_cleanup

HALF = r"(\d+)(?:-\d+)?\.output\.log\.\d+\.(?:all|new)"
"""What `deployments.archive` writes beside its place."""
HALF_SECONDS = 86_400.0
"""Whoever writes one is long done by then."""
BLOCK = 512
"""What `st_blocks` counts in, whatever the filesystem's own blocks are."""


def take_inventory() -> Inventory:
    """What is there now. Raises `EngineError`.

    Engine and files come first: a row is older than what is made for it, so that none of it can
    look forsaken only because its row came in between.
    """
    containers = get_engine().containers
    disk = containers.disk()
    networks = containers.list_networks(labels=naming.instance_labels())
    root = Path(settings.MIST_DATA_DIR)
    checkouts = list(_numbered(root / "builds", r"(\d+)"))
    mirrors = list(_numbered(root / "repos", r"(\d+)"))
    logs = list(_numbered(root / "logs", r"(\d+)(?:\.log|(?:-\d+)?\.output\.log\.gz)"))
    halves = [one for one in _numbered(root / "logs", HALF) if _is_forsaken(root / one.path)]
    deployments = dict(Deployment.objects.order_by().values_list("pk", "status"))
    apps = App.objects.order_by().values_list("pk", "project__slug", "slug")
    return Inventory(
        instance=settings.MIST_ENGINE_CONFIG.instance,
        now=time.time(),
        disk=disk,
        networks=networks,
        checkouts=checkouts,
        mirrors=mirrors,
        logs=logs,
        halves=halves,
        database=_database_size(),
        apps={pk: f"{project}/{app}" for pk, project, app in apps},
        deployments=deployments,
        unfinished=frozenset(pk for pk, status in deployments.items() if status in UNFINISHED),
        versions=kept_versions(),
        images_in_use=images_in_use(),
        known_networks=frozenset(naming.network_name(one) for one in Project.objects.all()),
    )


def plan_now(found: Inventory) -> Plan:
    """What a clean-up as this Mist is configured would remove."""
    budget = settings.MIST_BUILD_CACHE_MB * 1024 * 1024
    return plan_cleanup(found, limits_now(), cache_budget=budget)


def size_of(path: Path) -> int:
    """Bytes that the file, or the folder with all in it, takes on the disk. Follows no link; what
    goes meanwhile counts nothing."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    total = found.st_blocks * BLOCK
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * BLOCK
            except OSError:
                continue
    return total


def _numbered(folder: Path, pattern: str) -> Iterator[Entry]:
    """What lies in the folder under a name that Mist gives. Anything else is somebody else's."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if match := re.fullmatch(pattern, name):
            yield Entry(f"{folder.name}/{name}", int(match[1]), size_of(folder / name))


def _is_forsaken(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > HALF_SECONDS
    except OSError:
        return False


def _database_size() -> int:
    if connection.vendor != "sqlite":
        return 0
    path = str(connection.settings_dict["NAME"])
    return sum(size_of(Path(path + end)) for end in ("", "-wal", "-shm"))
