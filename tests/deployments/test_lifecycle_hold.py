"""Whatever is asked, fails or dies, in whatever order: what has to hold, holds.

Hypothesis makes up the order. It runs Mist's own tasks on the fake engine, in one process or two,
and stops them at any call (see `processes`). After each step, and at each call, `laws.broken_now`
is asked; at the end nothing fails any more, and a few rounds have to bring everything to rest.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import checking, lifecycle, observation, tasks, work
from apps.deployments.models import RUNNING, UNFINISHED, Deployment, EngineState, Status
from apps.deployments.services import (
    NotKept,
    app_delete,
    app_restart,
    app_start,
    app_stop,
    changes_apply,
    deployment_cancel,
    deployment_pin,
    deployment_request,
    deployment_rollback,
)
from apps.domains.models import Domain
from apps.domains.services import domain_add
from apps.engine.base import Container, ContainerStatus
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
from apps.projects.models import App, EnvironmentVariable, Project
from apps.projects.services import app_create, project_create, variables_save
from tests.deployments import laws
from tests.deployments.processes import Job, Process, Scheduler, under_control

EXAMPLES = {"deep": 100}
QUICK = 6
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOON = 600
"""Steps within which any job ends."""
POINTS = st.integers(1, 50)
TIMES = st.sampled_from([1, 1, 1, 2])
NAMES = st.sampled_from(["run", "run", "run", "run", "reconcile", "wishes", "watch"])
STOPS = st.sampled_from(
    [
        *("fetch", "checkout done", "build", "build done", "build done", "start", "start done"),
        *("probe", "probe", "write_routes", "write_routes done", "write_routes done"),
        *("wait_for_route", "wait_for_route", "wait_for_route", "BEGIN", "UPDATE"),
        *("stop", "remove", "list", "resume", "inspect", "image_exists", "remove_image"),
    ]
)
"""Calls to meet a job at."""
FEW = st.integers(0, 12)
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


class Mist(RuleBasedStateMachine):
    """One world, from its first deployment to its rest."""

    folder: Path
    settings: Settings
    alice: User

    # ------------------------------------------------------------------------- beginning and end

    def __init__(self) -> None:
        super().__init__()
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

    @initialize(split=st.booleans(), lived=st.sampled_from([2, 1, 0]))
    def begin(self, split: bool, lived: int) -> None:
        """One process, or two workers; an app that was deployed some times."""
        self.settings.REDIS_URL = "redis://localhost" if split else ""
        self.processes = [self.born() for _ in range(2 if split else 1)]
        self.make_app("web")
        for _ in range(lived):
            deployment_request(app=self.apps()[0], requested_by=None)
            self.finish_all(self.start(self.processes[0], "run"))

    def teardown(self) -> None:
        with self.open:
            if not self.broken and hasattr(self, "processes"):
                self.come_to_rest()

    def come_to_rest(self) -> None:
        note("Nothing fails any more")
        self.finish_all()
        problems = ["it was not tried"]
        for _ in range(5):
            if not problems:
                break
            self.wait(65)
            for name in ("run", "reconcile", "wishes"):
                for process in self.processes:
                    self.finish_all(self.start(process, name))
            self.fake.proxy.take_up()
            problems = list(laws.broken_at_rest(self.fake, self.known))
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

    @rule(
        where=st.integers(0, 1),
        name=NAMES,
        points=POINTS,
    )
    def work(self, where: int, name: str, points: int) -> None:
        process = self.processes[where % len(self.processes)]
        if len(self.jobs()) < 4:
            self.advance(self.start(process, name), points)

    @precondition(lambda self: self.jobs())
    @rule(which=st.integers(0, 3), points=POINTS)
    def go_on(self, which: int, points: int) -> None:
        self.advance(self.jobs()[which % len(self.jobs())], points)

    def some_job(self, which: int, name: str) -> Job:
        """A new one that has something to do, or one that is at work."""
        jobs = self.jobs()
        # One app is deployed once at a time: a second run of it would have nothing to do.
        same = [job for job in jobs if job.name == name == "run"]
        if same or (jobs and (which == 3 or len(jobs) > 3)):
            return (same or jobs)[which % len(same or jobs)]
        if name == "run" and (app := self.app(which)) is not None:
            self.request(app, "main")
        return self.start(self.processes[which % len(self.processes)], name)

    # ---------------------------------------------------------------------------- what people do

    def make_app(self, slug: str) -> None:
        app_create(
            project=self.project,
            slug=slug,
            repository="https://git.example.com/shop/web.git",
            created_by=self.alice,
            port=8000,
        )

    def apps(self) -> list[App]:
        found = App.objects.filter(deleted_at=None).select_related("project")
        return list(found.order_by("pk"))

    def app(self, which: int) -> App | None:
        apps = self.apps()
        return apps[which % len(apps)] if apps else None

    @rule(
        which=st.integers(0, 1),
        what=st.sampled_from(["main", "next", "sick", "apply"]),
        points=POINTS,
    )
    def deploy(self, which: int, what: str, points: int) -> None:
        if (app := self.app(which)) is not None:
            self.request(app, what)
            self.work(which, "run", points)

    def request(self, app: App, what: str) -> None:
        if what == "apply":
            self.names += 1
            variables_save(app=app, values={"N": str(self.names)}, changed_by=None)
            changes_apply(app=app, requested_by=None)
            return
        ref = "next" if what == "next" else "main"
        commit = self.fake.git.commit(what, branch=ref)
        made = deployment_request(app=app, requested_by=None, ref=ref)
        if what == "sick":
            self.known.sick.add(commit.sha)
        note(f"deployment {made.pk} of app {app.pk}")

    @rule(which=st.integers(0, 5), old=st.booleans(), points=POINTS)
    def roll_back(self, which: int, old: bool, points: int) -> None:
        kept = Deployment.objects.filter(status=Status.RETIRED, app__deleted_at=None)
        rows = list(kept.exclude(image=""))
        if rows:
            to = rows[which % len(rows)]
            deployment_pin(deployment=to, pinned=old)
            try:
                deployment_rollback(to=to, requested_by=None, old_variables=old)
            except NotKept as error:
                note(str(error))
            self.work(which, "run", points)

    @rule(which=st.integers(0, 3), stop=STOPS, times=TIMES)
    def cancel(self, which: int, stop: str, times: int) -> None:
        if self.jobs() or times > 1:
            self.meet(which, "run", stop, times)
        rows = list(Deployment.objects.filter(status__in=UNFINISHED, app__deleted_at=None))
        if rows:
            row = rows[which % len(rows)]
            note(f"deployment {row.pk} is {row.status}")
            if deployment_cancel(deployment=row, by=self.alice):
                self.known.cancelled.add(row.pk)

    @rule(
        which=st.integers(0, 1),
        wish=st.sampled_from([app_restart, app_stop, app_start]),
        points=FEW,
    )
    def wish(self, which: int, wish: Callable[..., None], points: int) -> None:
        if (app := self.app(which)) is not None:
            wish(app=app)
            self.work(which, "wishes", points)

    @rule(
        which=st.integers(0, 1),
        what=st.sampled_from(["host", "host", "host", "make", "make", "delete"]),
    )
    def change(self, which: int, what: str) -> None:
        app = self.app(which)
        self.names += 1
        if what == "make":
            if len(self.apps()) < 2:
                self.make_app(f"app-{self.names}")
        elif app is not None and what == "delete":
            app_delete(app=app)
        elif app is not None:
            domain_add(app=app, host=f"n{self.names}.example.com", created_by=None)

    # ----------------------------------------------------------------------------- what goes wrong

    def meet(self, which: int, name: str, stop: str, times: int) -> Job:
        """A job that is about to make such a call for the nth time, or has ended."""
        job = self.some_job(which, name)
        while not job.is_over and not job.waits and times:
            self.advance(job, 1)
            times -= job.at[1] == stop
        return job

    @rule(which=st.integers(0, 3), name=NAMES, stop=STOPS, times=TIMES, kind=st.integers(0, 2))
    def fail(self, which: int, name: str, stop: str, times: int, kind: int) -> None:
        """The call that a job is about to make fails, or its answer is lost."""
        job = self.meet(which, name, stop, times)
        if job.is_over or job.waits:
            return
        error = self.fault(job, kind)
        if error is None:
            return
        note(f"{job.name} at {job.at}: {error!r}")
        self.known.sentences |= {str(error), f"Mist itself failed ({type(error).__name__})."}
        self.go(job, error)

    def fault(self, job: Job, kind: int) -> Exception | None:
        actor, step, _ = job.at
        own = FAULTS.get((actor, step), ())
        if actor == "database":
            return LOCKED
        if kind and own:
            return own[kind % len(own)]
        if actor == "containers":
            return (SILENT, AWAY)[kind % 2]
        if actor == "proxy" and step == "wait_for_route":
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

    @rule(which=st.integers(0, 3), name=NAMES, stop=STOPS, times=TIMES, goes_on=st.booleans())
    def kill(self, which: int, name: str, stop: str, times: int, goes_on: bool) -> None:
        """`kill -9`; another process takes its place, and may begin with what the first left."""
        job = self.meet(which, name, stop, times)
        place = self.processes.index(job.process)
        self.die(place)
        if goes_on:
            self.advance(self.start(self.processes[place], "reconcile"), NOON)

    def die(self, place: int) -> None:
        self.scheduler.kill(self.processes[place])
        self.look()
        self.processes[place] = self.born()

    @precondition(lambda self: self.jobs())
    @rule(where=st.integers(0, 1))
    def terminate(self, where: int) -> None:
        """SIGTERM: as `processes._finish`."""
        place = where % len(self.processes)
        process = self.processes[place]
        process.stopping.set()
        self.finish_all()
        lifecycle.release(owner=process.name)
        self.die(place)

    @rule(seconds=st.sampled_from([2.0, 6.0, 31.0, 65.0]), stalled=st.booleans())
    def pass_time(self, seconds: float, stalled: bool) -> None:
        """`stalled`: no lease could be renewed meanwhile, the database was out of reach."""
        self.wait(seconds, stalled=stalled)
        self.look()
        laws.read_pages(self.alice)

    def wait(self, seconds: float, *, stalled: bool = False) -> None:
        self.clock.shift(seconds)
        self.fake.proxy.take_up()
        for process in self.processes:
            process.pass_time(seconds)
            if not stalled and process.jobs:
                mine = Deployment.objects.filter(owner=process.name, status__in=RUNNING)
                mine.update(heartbeat_at=timezone.now())

    @rule(
        which=st.integers(0, 5),
        what=st.sampled_from(["kill", "stop", "remove", "pause", "image", "network", "route"]),
    )
    def meddle(self, which: int, what: str) -> None:
        """Somebody does something to the engine by hand."""
        containers = self.fake.containers
        ours = [c for c in containers.all.values() if c.name not in laws.STRANGERS]
        if not ours:
            return
        one = ours[which % len(ours)]
        self.known.disturbed = True
        self.known.excused.add(int(one.labels["mist.app"]))
        if what == "network":
            self.known.excused |= {int(c.labels["mist.app"]) for c in ours}
            containers.lose_networks()
        elif what == "image":
            self.known.lost_images.add(one.image)
            containers.images.pop(one.image, None)
        elif what == "route":
            self.fake.proxy.routes[one.labels["mist.app"]] = {"http": {"routers": {}}}
            self.fake.proxy.take_up()
        elif what == "remove":
            containers.all.pop(one.id)
        elif one.status is ContainerStatus.RUNNING and what == "pause":
            self.known.paused.add(one.id)
            containers.all[one.id] = replace(one, status=ContainerStatus.PAUSED)
        elif one.status is ContainerStatus.RUNNING:
            containers.kill(one.id, exit_code=0 if what == "stop" else 137)


def _watch() -> None:
    """What `observation.watch_engine` does when the engine tells it something."""
    if observation.observe_all():
        tasks.apply_wishes()


def _empty() -> None:
    """No project, app or deployment is left: a few statements, where a flush takes every table."""
    with connection.cursor() as cursor:
        for model in (Domain, EnvironmentVariable, EngineState, Deployment, App, Project):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
        cursor.execute("DELETE FROM sqlite_sequence WHERE name LIKE 'deployments_%'")
        cursor.execute("DELETE FROM sqlite_sequence WHERE name LIKE 'projects_%'")


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    settings.MIST_HEALTH_TIMEOUT = 0.0
    settings.MIST_KEEP_IMAGES = 1
    settings.MIST_ENGINE = "tests.deployments.processes"
    monkeypatch.setattr(checking, "PROBE_PAUSE", 0.0)
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_breaks_in_any_order(
    transactional_db: None, tmp_path: Path, settings: Settings, alice: User, _quiet: None
) -> None:
    facts: dict[str, Any] = {"folder": tmp_path, "settings": settings, "alice": alice}
    run_state_machine_as_test(type("Mist", (Mist,), facts), settings=budget())


def budget() -> settings:
    """Some examples in the quick set, many more with `--hypothesis-profile=deep`."""
    return settings(
        max_examples=EXAMPLES.get(settings.get_current_profile_name(), QUICK),
        stateful_step_count=20,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
