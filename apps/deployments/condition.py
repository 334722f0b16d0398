"""What state an app is in, judged by what its containers do, and what brings them to where they
should be. Pure: the engine and the database are asked elsewhere."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from apps.deployments.planning import network_name
from apps.engine.data import Container, ContainerStatus
from apps.projects.models import App


class Repair(enum.Enum):
    """What brings a live deployment's container to where the app's row says it should be."""

    NOTHING = enum.auto()
    STOP = enum.auto()
    RESUME = enum.auto()
    REPLACE = enum.auto()
    """A new one from the same image: it is gone, or cut off from its project's network."""


def repair(app: App, container: Container | None) -> Repair:
    """Compare what a person wants with what runs. One that the engine starts again by itself, one
    that was paused by hand and one that may end by itself are left as they are."""
    up = (ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED)
    if app.wanted == App.Wanted.STOPPED:
        return Repair.STOP if container is not None and container.status in up else Repair.NOTHING
    if container is None:
        return Repair.REPLACE
    if is_cut_off(app, container):
        return Repair.REPLACE
    if container.status in up or container.status is ContainerStatus.REMOVING:
        return Repair.NOTHING
    if stays_down(container) and not (app.start_requested or app.restart_requested):
        return Repair.NOTHING
    return Repair.RESUME


def is_cut_off(app: App, container: Container) -> bool:
    """Whether it runs where nobody reaches it: its project's network was removed by hand."""
    runs = container.status is ContainerStatus.RUNNING
    return runs and not container.addresses.get(network_name(app.project))


def stays_down(container: Container) -> bool:
    """Whether it ended and the restart policy that it was started with leaves it there."""
    if container.status is not ContainerStatus.EXITED:
        return False
    return container.restart == App.RestartPolicy.NEVER or has_ended(container)


def has_ended(container: Container) -> bool:
    """Whether it ended by itself, well, and as its restart policy allows."""
    return (
        container.status is ContainerStatus.EXITED
        and container.exit_code == 0
        and container.restart in (App.RestartPolicy.NEVER, App.RestartPolicy.ON_FAILURE)
    )


class Death(NamedTuple):
    """A container that ended without anybody telling it to."""

    deployment_id: int
    at: float
    """Seconds since the epoch."""
    exit_code: int | None
    out_of_memory: bool
    container_id: str = ""


DEATH_WINDOW = 120.0
"""Seconds over which deaths are counted."""
STEADY = 30.0
"""Seconds that an app has to run after its second death to count as running again."""


def observe(
    app: App, container: Container | None, deaths: Sequence[Death], *, now: float
) -> tuple[str, str]:
    """What to show for the app: its state and a few words of detail. `deaths` are those of the
    live deployment, oldest first; `now` is in seconds since the epoch."""
    if app.wanted == App.Wanted.STOPPED and (
        container is None or container.status is not ContainerStatus.RUNNING
    ):
        return App.Observed.STOPPED, ""
    if container is None:
        return App.Observed.CRASHED, "container is gone"
    recent = [death for death in deaths if death.at > now - DEATH_WINDOW]
    loops = len(recent) > 1 and recent[-1].at > now - STEADY
    if container.status is ContainerStatus.RESTARTING or (
        container.status is ContainerStatus.RUNNING and loops
    ):
        return App.Observed.RESTARTING, _restarts(container, recent)
    if container.status is ContainerStatus.RUNNING:
        if container.health == "unhealthy":
            return App.Observed.UNHEALTHY, "its own health check fails"
        return App.Observed.RUNNING, ""
    if container.status is ContainerStatus.PAUSED:
        return App.Observed.UNHEALTHY, "paused by hand"
    if has_ended(container):
        return App.Observed.ENDED, "exit 0"
    return App.Observed.CRASHED, _reason(container.exit_code, container.out_of_memory)


def observe_together(seen: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """What to show for an app of what its containers are seen to do: the worst of it, but an app
    of which some still runs is not down."""
    worst = max(seen, key=lambda one: _BADNESS.index(one[0]))
    count = sum(one[0] == worst[0] for one in seen)
    if len(seen) == 1 or (count == len(seen) and not worst[1]):
        return worst
    if worst[0] == App.Observed.RUNNING:
        return worst
    part = f"{count} of {len(seen)} containers {App.Observed(worst[0]).label.lower()}"
    detail = f"{part}, {worst[1]}" if worst[1] else part
    still = any(one[0] == App.Observed.RUNNING for one in seen)
    return (App.Observed.UNHEALTHY if still else worst[0]), detail


_BADNESS = (
    App.Observed.NONE,
    App.Observed.RUNNING,
    App.Observed.STOPPED,
    App.Observed.ENDED,
    App.Observed.UNHEALTHY,
    App.Observed.RESTARTING,
    App.Observed.CRASHED,
)


def _reason(exit_code: int | None, out_of_memory: bool) -> str:
    words = [f"exit {exit_code}"] if exit_code is not None else []
    return ", ".join([*words, "out of memory"] if out_of_memory else words)


def _restarts(container: Container, recent: Sequence[Death]) -> str:
    if not recent:
        return f"{container.restarts} times so far"
    count = "once" if len(recent) == 1 else f"{len(recent)} times"
    last = _reason(recent[-1].exit_code, any(death.out_of_memory for death in recent))
    return f"{count} in {DEATH_WINDOW / 60:.0f} min" + (f", {last}" if last else "")
