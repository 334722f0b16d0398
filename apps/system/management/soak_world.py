"""What `./mist soak` does to its Mist: what people do with apps, and what bad luck does."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from apps.deployments.models import UNFINISHED, Deployment, Status
from apps.deployments.selectors import live_deployment
from apps.deployments.services import (
    NotKept,
    app_restart,
    app_start,
    app_stop,
    deployment_cancel,
    deployment_request,
    deployment_rollback,
)
from apps.engine import process
from apps.engine.connect import get_engine
from apps.engine.trials import Repository, kill_process_of
from apps.projects.models import App
from apps.system.management.base import mist_pid
from apps.system.management.own_instance import run_mist
from apps.system.management.soak_invariants import find_broken, find_leaks, is_at_rest
from apps.system.management.soak_prober import Prober

KINDS = {"good": 8, "slow": 2, "broken": 1, "unwell": 1}
"""Kind of version → how often."""
MOST_WAITING = 4
BACK_SECONDS = 45.0
"""Within which an app that was harmed, or started, has to answer again."""
STEADY_SECONDS = 2.0
REST_SECONDS = 120.0


@dataclass
class SoakWorld:
    """The instance under test. Everything random comes from `chance`."""

    chance: random.Random
    repository: Repository
    apps: list[App]
    probers: dict[int, Prober]
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)
    """What was done, how often."""
    history: list[tuple[float, str]] = field(default_factory=list)
    """What was begun when, in seconds since the epoch."""
    broken: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(self.done[action.__name__.lstrip("_")] for action in FAULTS)

    def act(self, *, with_faults: bool) -> None:
        """One thing, chosen at random."""
        weights = WISHES | (FAULTS if with_faults else {})
        [action] = self.chance.choices(list(weights), list(weights.values()))
        self.history.append((time.time(), action.__name__.lstrip("_")))
        if action(self):
            self.done[action.__name__.lstrip("_")] += 1

    def one_app(self) -> App:
        app = self.chance.choice(self.apps)
        app.refresh_from_db()
        return app

    def rest(self) -> None:
        """Wait until nothing is at work, and note what is not as it has to be."""
        until = time.monotonic() + REST_SECONDS
        while not is_at_rest() and time.monotonic() < until:
            time.sleep(0.2)
        if not is_at_rest():
            rows = Deployment.objects.filter(status__in=UNFINISHED)
            self.note(f"no rest after {REST_SECONDS:.0f} s: {[f'{r} {r.status}' for r in rows]}")
        # An orphan is left alone for a minute: it may be somebody's who is about to use it.
        problems, leaks = find_broken(), find_leaks()
        until = time.monotonic() + BACK_SECONDS * 2
        while (problems or leaks) and time.monotonic() < until:
            time.sleep(1)
            problems, leaks = find_broken(), find_leaks()
        for problem in problems:
            self.note(problem)
        for leak in leaks:
            self.leaked.append(leak)
            self.say(f"Leaked: {leak}")

    def note(self, problem: str) -> None:
        self.broken.append(problem)
        self.say(f"Broken: {problem}")

    def wait_for_wishes(self, app: App) -> None:
        """Return when what was asked of the app is carried out: it may answer before, and not
        meanwhile."""
        until = time.monotonic() + BACK_SECONDS
        while App.objects.filter(pk=app.pk, needs_apply=True).exists():
            if time.monotonic() > until:
                self.note(f"what was asked of {app} is not carried out")
                return
            time.sleep(0.1)

    def history_before(self, moment: float) -> list[str]:
        """What was begun in the quarter of a minute before (seconds since the epoch)."""
        return [name for at, name in self.history if moment - 15 < at <= moment]

    def harm(self, apps: list[App], what: str, how: Callable[[], object]) -> None:
        """Do something that apps cannot answer through; they have to be back by themselves."""
        with ExitStack() as stack:
            for app in apps:
                stack.enter_context(self.probers[app.pk].unheard())
            how()
            for app in apps:
                if not self.probers[app.pk].wait(BACK_SECONDS, steady=STEADY_SECONDS):
                    self.note(f"{app} does not answer {BACK_SECONDS:.0f} s after: {what}")


# ---------------------------------------------------------------------------------------- wishes


def _deploy(world: SoakWorld) -> bool:
    app = world.one_app()
    if Deployment.objects.filter(status__in=UNFINISHED).count() >= MOST_WAITING:
        return False
    [kind] = world.chance.choices(list(KINDS), list(KINDS.values()))
    world.repository.commit(kind)
    deployment_request(app=app, requested_by=None, ref=kind)
    return True


def _roll_back(world: SoakWorld) -> bool:
    kept = Deployment.objects.filter(app=world.one_app(), status=Status.RETIRED)
    to = kept.exclude(image="").order_by("-id").first()
    try:
        return to is not None and bool(deployment_rollback(to=to, requested_by=None))
    except NotKept:
        return False


def _stop_and_start(world: SoakWorld) -> bool:
    app = world.one_app()

    def both() -> None:
        app_stop(app=app)
        time.sleep(world.chance.uniform(0, 3))
        app_start(app=app)
        world.wait_for_wishes(app)

    world.harm([app], "stop and start", both)
    return True


def _restart(world: SoakWorld) -> bool:
    app = world.one_app()

    def both() -> None:
        app_restart(app=app)
        world.wait_for_wishes(app)

    world.harm([app], "restart", both)
    return True


# ---------------------------------------------------------------------------------------- faults


def _cancel(world: SoakWorld) -> bool:
    found = list(Deployment.objects.filter(status__in=UNFINISHED))
    return bool(found) and deployment_cancel(deployment=world.chance.choice(found), by=None)


def _kill_mist(world: SoakWorld) -> bool:
    pid = mist_pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    time.sleep(world.chance.uniform(0, 2))
    run_mist("up", "--detach")
    return True


def _restart_mist(world: SoakWorld) -> bool:
    run_mist("down")
    run_mist("up", "--detach")
    return True


def _kill_traefik(world: SoakWorld) -> bool:
    pid_file = Path(settings.MIST_DATA_DIR) / "traefik" / "traefik.pid"
    pid = process.living_pid(pid_file)
    if pid is None:
        return False

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        while process.living_pid(pid_file) == pid:
            time.sleep(0.01)

    world.harm(world.apps, "kill of Traefik", kill)
    return True


def _kill_container(world: SoakWorld) -> bool:
    app = world.one_app()
    live = live_deployment(app)
    if live is None:
        return False
    config = settings.MIST_ENGINE_CONFIG
    world.harm([app], "kill of its process", lambda: kill_process_of(config, live.container_id))
    return True


def _remove_container(world: SoakWorld) -> bool:
    app = world.one_app()
    live = live_deployment(app)
    if live is None:
        return False
    remove = get_engine().containers.remove
    world.harm([app], "removal of its container", lambda: remove(live.container_id))
    return True


Action = Callable[[SoakWorld], bool]
WISHES: dict[Action, int] = {_deploy: 24, _roll_back: 6, _stop_and_start: 1, _restart: 1}
FAULTS: dict[Action, int] = {
    _cancel: 6,
    _kill_mist: 4,
    _restart_mist: 2,
    _kill_traefik: 1,
    _kill_container: 2,
    _remove_container: 1,
}
