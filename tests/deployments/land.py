"""A world for the lifecycle: people, faults and Mist's own tasks, step by step.

Nothing here knows in which order things happen: a test says so. See `processes` for how tasks are
stopped in their course, and `laws` for what is held.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import time_machine
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import observation, tasks
from apps.deployments.models import Deployment, EngineState, Status
from apps.deployments.services import changes_apply, deployment_cancel, deployment_request
from apps.domains.models import Domain
from apps.engine.data import Container, ContainerStatus
from apps.engine.errors import (
    BuildFailed,
    CloneFailed,
    EngineAway,
    EngineUnavailable,
    OutOfDisk,
    ProxyUnavailable,
    StartFailed,
    SwitchFailed,
)
from apps.engine.fake import make_engine
from apps.projects.models import App, EnvironmentVariable, Project, Volume
from apps.projects.services import app_create, project_create, variables_save, volume_add
from apps.storage.cleaning import clean_waiting
from apps.storage.models import CleanUp, Survey
from apps.storage.services import cleanup_request
from tests.deployments import laws
from tests.deployments.laws_at_rest import broken_at_rest
from tests.deployments.processes import Job, Process, Scheduler, under_control

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOON = 2_000
"""Steps within which any job ends."""
AWAY = EngineAway("The Docker engine went away.")
SILENT = EngineUnavailable("The Docker engine does not answer.")
NO_DISK = OutOfDisk("The disk is full.")
FAULTS: dict[tuple[str, str], tuple[Exception, ...]] = {
    ("git", "fetch"): (CloneFailed("The repository does not answer."), NO_DISK),
    ("git", "checkout"): (NO_DISK,),
    ("containers", "build"): (BuildFailed("Build step 4 failed."), NO_DISK),
    ("containers", "start"): (StartFailed("The engine could not start the container."),),
    ("containers", "resume"): (StartFailed("The engine could not start the container."),),
    ("proxy", "write_routes"): (OSError(28, "No space left on device"),),
}
GONE = ProxyUnavailable("Traefik does not answer.")
STUCK = SwitchFailed("Traefik did not take up the new route in time.")
LOCKED = OperationalError("database is locked")


class Land:
    """One world, from its first deployment to its rest."""

    folder: Path
    settings: Settings
    alice: User

    # ------------------------------------------------------------------------- beginning and end

    def set_up(self) -> None:
        self.open = ExitStack()
        self.clock = self.open.enter_context(time_machine.travel(BEGIN, tick=False))
        self.open.callback(_empty)
        data_dir = self.folder / "mist"
        data_dir.mkdir()
        self.open.callback(shutil.rmtree, data_dir, ignore_errors=True)
        self.settings.MIST_DATA_DIR = data_dir
        self.fake = make_engine(self.settings.MIST_ENGINE_CONFIG)
        self.fake.git.commits["next"] = self.fake.git.commit("Next", branch="next")
        self.fake.proxy.takes_up_late = True
        self.scheduler = Scheduler(self.fake)
        self.open.enter_context(under_control(self.scheduler))
        self.known = laws.Known()
        self.broken = False
        self.names = 0
        self.project = project_create(slug="shop", created_by=self.alice)
        for name, labels in laws.STRANGERS.items():
            running = ContainerStatus.RUNNING
            self.fake.containers.all[name] = Container(name, name, running, labels)

    def populate(self, *, split: bool, lived: int, replicas: int = 1, holds: bool = False) -> None:
        """One process, or two workers; an app, of so many containers and perhaps with a volume,
        that was deployed some times."""
        self.replicas, self.holds = replicas, holds
        self.settings.REDIS_URL = "redis://localhost" if split else ""
        self.processes = [self.born() for _ in range(2 if split else 1)]
        self.make_app("web")
        for _ in range(lived):
            deployment_request(app=self.apps()[0], requested_by=None)
            self.finish_all(self.start(self.processes[0], "run"))

    def end(self) -> None:
        """Bring it to rest, unless something is broken already, and leave nothing of it."""
        with self.open:
            if not self.broken and hasattr(self, "processes"):
                self.come_to_rest()

    def come_to_rest(self) -> None:
        self.finish_all()
        problems = ["it was not tried"]
        for _ in range(5):
            if not problems:
                break
            self.wait(65)
            for name in ("run", "reconcile", "wishes", "clean"):
                for process in self.processes:
                    self.finish_all(self.start(process, name))
            self.fake.proxy.take_up()
            problems = list(broken_at_rest(self.fake, self.known))
        self.hold(problems)

    # ------------------------------------------------------------------------------- what is held

    def hold(self, problems: list[str]) -> None:
        if problems:
            self.broken = True
            raise AssertionError("\n".join(problems))

    def look(self) -> None:
        self.hold(list(laws.broken_now(self.fake, self.known)))

    # ------------------------------------------------------------------------------ Mist at work

    def born(self) -> Process:
        self.names += 1
        return Process(f"process-{self.names}")

    def jobs(self) -> list[Job]:
        return [job for process in self.processes for job in process.jobs]

    def start(self, process: Process, name: str) -> Job:
        work: dict[str, Callable[[], object]] = {
            "run": tasks.run_deployments,
            "wishes": tasks.apply_wishes,
            "reconcile": tasks.reconcile_deployments,
            "watch": _watch,
            "clean": _clean,
        }
        return self.scheduler.begin(process, name, work[name])

    def advance(self, job: Job, points: int) -> None:
        for _ in range(points):
            self.go(job)
            if job.is_over or job.waits:
                return
        if points == NOON:
            self.hold([f"{job.name} does not end, it is at {job.at}"])

    def go(self, job: Job, fault: Exception | None = None) -> None:
        self.scheduler.step(job, fault)
        if job.is_over:
            job.process.jobs.remove(job)
            if job.error is not None and str(job.error) not in self.known.sentences:
                self.broken = True
                raise job.error
        self.look()

    def finish_all(self, first: Job | None = None) -> None:
        """Let everything that is at work end."""
        for _ in range(NOON):
            jobs = self.jobs()
            if first is not None and not first.is_over:
                jobs = [first, *(job for job in jobs if job is not first)]
            if not jobs:
                return
            for job in jobs:
                if not job.is_over:
                    self.advance(job, NOON)
            if jobs == self.jobs() and all(job.waits for job in jobs):
                self.hold([f"all wait for each other: {[job.name for job in jobs]}"])

    # ------------------------------------------------------------------------- people and faults

    def make_app(self, slug: str) -> None:
        app = app_create(
            project=self.project,
            slug=slug,
            repository="https://git.example.com/shop/web.git",
            created_by=self.alice,
            port=8000,
            replicas=self.replicas,
        )
        if self.holds:
            self.known.holding.add(app.pk)
            volume_add(app=app, name="data", path="/data", created_by=None)

    def apps(self) -> list[App]:
        found = App.objects.filter(deleted_at=None).select_related("project")
        return list(found.order_by("pk"))

    def app(self, which: int) -> App | None:
        apps = self.apps()
        return apps[which % len(apps)] if apps else None

    def request(self, app: App, what: str) -> None:
        if what == "apply":
            self.names += 1
            variables_save(app=app, values={"N": str(self.names)}, changed_by=None)
            changes_apply(app=app, requested_by=None)
            return
        ref = "next" if what == "next" else "main"
        commit = self.fake.git.commit(what, branch=ref)
        kinds = Deployment.Trigger
        trigger, sha = (kinds.WEBHOOK, commit.sha) if what == "push" else (kinds.MANUAL, "")
        deployment_request(app=app, requested_by=None, ref=ref, trigger=trigger, commit=sha)
        if what == "sick":
            self.known.sick.add(commit.sha)

    def cancel_it(self, row: Deployment) -> None:
        if deployment_cancel(deployment=row, by=self.alice):
            self.known.cancelled.add(row.pk)

    def break_call(self, job: Job, kind: int) -> str:
        """The call that the job is about to make fails, or its answer is lost; how, in words."""
        error = self.fault(job, kind)
        if error is None:
            return ""
        self.known.sentences |= {str(error), f"Mist itself failed ({type(error).__name__})."}
        words = f"{job.name} at {job.at}: {error!r}"
        self.go(job, error)
        return words

    def fault(self, job: Job, kind: int) -> Exception | None:
        actor, step, _ = job.at
        own = FAULTS.get((actor, step), ())
        if actor == "database":
            return LOCKED
        if kind and own:
            return own[kind % len(own)]
        if actor == "containers":
            return (SILENT, AWAY)[kind % 2]
        if actor == "proxy" and step in ("wait_for_route", "wait_for_servers"):
            if kind and not self.leads_back(job):
                return STUCK
            # It reads what is written when it is back.
            self.fake.proxy.take_up()
            return GONE
        if actor == "proxy" and step in ("probe", "drain", "wait_until_gone"):
            return GONE
        return None

    def leads_back(self, job: Job) -> bool:
        """Whether the route that the job waits for is that of what is live already."""
        routes = self.fake.proxy.routes.get(job.at[2].removeprefix("app-"), {})
        text = str(routes)
        lives = Deployment.objects.filter(status=Status.LIVE)
        return any(f"'{live.service}@docker'" in text for live in lives)

    def die(self, place: int) -> None:
        self.scheduler.kill(self.processes[place])
        self.look()
        self.processes[place] = self.born()

    def wait(self, seconds: float, *, stalled: bool = False) -> None:
        self.clock.shift(seconds)
        self.fake.proxy.take_up()
        for process in self.processes:
            process.pass_time(seconds)
            if not stalled and process.jobs:
                mine = Deployment.objects.filter(owner=process.name)
                mine.update(heartbeat_at=timezone.now())


def _watch() -> None:
    """What `observation.watch_engine` does when the engine tells it something."""
    if observation.observe_all():
        tasks.apply_wishes()


def _clean() -> None:
    """What the button on the page about the disk does."""
    cleanup_request(requested_by=None)
    clean_waiting()


def _empty() -> None:
    """No project, app or deployment is left: a few statements, where a flush takes every table."""
    with connection.cursor() as cursor:
        for model in (
            *(CleanUp, Survey, Domain, EnvironmentVariable, EngineState),
            *(Volume, Deployment, App, Project),
        ):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
        cursor.execute("DELETE FROM sqlite_sequence WHERE name LIKE 'deployments_%'")
        cursor.execute("DELETE FROM sqlite_sequence WHERE name LIKE 'projects_%'")
