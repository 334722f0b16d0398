"""A disk that takes no line more: deployments end as they would, and the live version is back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.conf import settings

from apps.deployments import pipeline, recovery
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.data import ContainerStatus
from apps.engine.errors import OutOfDisk, StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import volume_add
from tests.deployments.test_deployment_run import deploy, serving
from tests.deployments.test_stop_first import half_done

FILL = """
import os, resource, signal, sys
from pathlib import Path
from apps.deployments.log_writing import BuildLog

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, free = Path(sys.argv[1]), resource.RLIM_INFINITY
with BuildLog(path, nudge=lambda: None) as log:
    log.write("building", "one")
    # Room for the beginning of the next line only.
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 9, free))
    for text in ("two", "three", "four"):
        log.write("building", text)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, free))
    log.write("building", "five")
"""


def fill_disk_for(deployment: Deployment) -> None:
    """No byte more goes to its log."""
    path = log_path(deployment.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/full")


def claimed(app: App) -> Deployment:
    deployment_request(app=app, requested_by=None)
    found = claim_next()
    assert found is not None
    fill_disk_for(found)
    return found


def test_it_goes_live_though_its_log_cannot_grow(fake: FakeEngine, web: App) -> None:
    mine = claimed(web)
    pipeline.run(mine)
    mine.refresh_from_db()
    assert (mine.status, mine.owner) == (Status.LIVE, "")


def test_what_failed_says_why_and_leaves_nothing(fake: FakeEngine, web: App) -> None:
    first = deploy(web)
    mine = claimed(web)
    fake.containers.fail("build", OutOfDisk("The disk is full: no room for the image."))
    pipeline.run(mine)
    mine.refresh_from_db()
    assert (mine.status, mine.failure) == (
        Status.FAILED,
        "The disk is full: no room for the image.",
    )
    assert list(fake.containers.all) == [first.container_id]


def test_the_version_that_made_way_serves_again(fake: FakeEngine, web: App) -> None:
    volume_add(app=web, name="data", path="/data", created_by=None)
    first = deploy(web)
    mine = claimed(web)
    fake.containers.fail("start", StartFailed("It cannot start."))
    pipeline.run(mine)
    mine.refresh_from_db()
    assert (mine.status, mine.failure) == (Status.FAILED, "It cannot start.")
    assert fake.containers.all[first.container_id].status is ContainerStatus.RUNNING
    assert serving(fake, web) == f"{first.service}@docker"


def test_the_version_that_made_way_serves_again_after_a_kill(fake: FakeEngine, web: App) -> None:
    volume_add(app=web, name="data", path="/data", created_by=None)
    first = deploy(web)
    mine = half_done(fake, web)
    fill_disk_for(mine)
    assert recovery.recover_abandoned(owner="new", alone=True) == 1
    assert fake.containers.all[first.container_id].status is ContainerStatus.RUNNING
    assert serving(fake, web) == f"{first.service}@docker"


def test_the_log_says_how_many_lines_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "1.log"
    # In a process of its own: the limit is for every file that a process writes.
    subprocess.run([sys.executable, "-c", FILL, str(path)], check=True, cwd=settings.BASE_DIR)
    lines = "".join(plain_text(path)).splitlines()
    assert [line.split(" ", 2)[-1].strip() for line in lines] == [
        "one",
        "two",
        "2 lines are missing here: the disk took no more.",
        "five",
    ]
