"""Whatever is asked, fails or dies, in whatever order: what has to hold, holds.

Hypothesis makes up the order. It runs Mist's own tasks on the fake engine, in one process or two,
and stops them at any call (see `processes`). After each step, and at each call, `laws.broken_now`
is asked; at the end nothing fails any more, and a few rounds have to bring everything to rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from apps.deployments import lifecycle
from apps.deployments.models import UNFINISHED, Deployment, Status
from apps.deployments.services import (
    NotKept,
    app_delete,
    app_restart,
    app_start,
    app_stop,
    deployment_pin,
    deployment_rollback,
)
from apps.domains.services import domain_add
from apps.engine.data import ContainerStatus
from apps.projects.models import App
from apps.projects.source_models import OnPush
from tests.deployments import laws
from tests.deployments.land import NOON, Land
from tests.deployments.processes import Job

EXAMPLES = {"deep": 100}
QUICK = 6
POINTS = st.integers(1, 50)
TIMES = st.sampled_from([1, 1, 1, 2])
NAMES = st.sampled_from(["run", "run", "run", "run", "reconcile", "wishes", "watch", "clean"])
STOPS = st.sampled_from(
    [
        *("fetch", "checkout done", "build", "build done", "build done", "start", "start done"),
        *("probe", "probe", "write_routes", "write_routes done", "write_routes done"),
        *("wait_for_route", "wait_for_route", "wait_for_route", "BEGIN", "UPDATE"),
        *("wait_for_servers", "wait_for_servers", "drain", "stop done"),
        *("stop", "remove", "list", "resume", "inspect", "image_exists", "remove_image"),
    ]
)
"""Calls to meet a job at."""
FEW = st.integers(0, 12)


class Mist(RuleBasedStateMachine, Land):
    """What Hypothesis may do in the land, and in what doses."""

    def __init__(self) -> None:
        super().__init__()
        self.set_up()

    @initialize(
        split=st.booleans(),
        lived=st.sampled_from([2, 1, 0]),
        replicas=st.sampled_from([1, 2, 3]),
        holds=st.sampled_from([False, False, True]),
    )
    def begin(self, split: bool, lived: int, replicas: int, holds: bool) -> None:
        self.populate(split=split, lived=lived, replicas=replicas, holds=holds)

    def teardown(self) -> None:
        note("Nothing fails any more")
        self.end()

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

    @rule(
        which=st.integers(0, 1),
        what=st.sampled_from(["main", "next", "sick", "apply", "push"]),
        points=POINTS,
    )
    def deploy(self, which: int, what: str, points: int) -> None:
        if (app := self.app(which)) is not None:
            self.request(app, what)
            self.work(which, "run", points)

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
            self.cancel_it(row)

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
        what=st.sampled_from(["host", "host", "host", "make", "make", "delete", "cancel", "more"]),
    )
    def change(self, which: int, what: str) -> None:
        app = self.app(which)
        self.names += 1
        if what == "make":
            if len(self.apps()) < 2:
                self.make_app(f"app-{self.names}")
        elif app is not None and what == "delete":
            app_delete(app=app)
        elif app is not None and what == "cancel":
            App.objects.filter(pk=app.pk).update(on_push=OnPush.CANCEL)
        elif app is not None and what == "more":
            App.objects.filter(pk=app.pk).update(replicas=app.replicas % 3 + 1)
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
        note(self.break_call(job, kind))

    @rule(which=st.integers(0, 3), name=NAMES, stop=STOPS, times=TIMES, goes_on=st.booleans())
    def kill(self, which: int, name: str, stop: str, times: int, goes_on: bool) -> None:
        """`kill -9`; another process takes its place, and may begin with what the first left."""
        job = self.meet(which, name, stop, times)
        place = self.processes.index(job.process)
        self.die(place)
        if goes_on:
            self.advance(self.start(self.processes[place], "reconcile"), NOON)

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


def test_nothing_breaks_in_any_order(
    transactional_db: None, tmp_path: Path, settings: Settings, alice: User, quick_world: None
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
