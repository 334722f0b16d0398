"""The stage rail: the steps of a deployment, how far it came and how long each took."""

from __future__ import annotations

from dataclasses import dataclass

from apps.deployments.models import RUNNING, Deployment, Status

NAMES: dict[str, str] = {
    Status.QUEUED: "Queued",
    Status.CLONING: "Clone",
    Status.BUILDING: "Build",
    Status.PULLING: "Pull",
    Status.RELEASING: "Release",
    Status.STARTING: "Start",
    Status.CHECKING: "Health check",
    Status.SWITCHING: "Switch traffic",
    Status.LIVE: "Live",
}
ORDER = list(NAMES)
MAKING = (Status.CLONING, Status.BUILDING, Status.PULLING)
"""What brings the image, which a rollback has."""
ICONS = {"done": "check", "active": "loader-circle", "failed": "x"}


@dataclass(frozen=True)
class Stage:
    key: str
    name: str
    state: str
    """done, active, waiting, failed or skipped"""
    seconds: float | None
    """How long it took, or has taken so far; None before it began."""

    @property
    def icon(self) -> str:
        return ICONS.get(self.state, "circle")

    @property
    def has_log(self) -> bool:
        return self.key in RUNNING and self.state in ("done", "active", "failed")


def rail(deployment: Deployment, *, now: float) -> list[Stage]:
    """All its stages at the moment `now` (seconds since the epoch): seven, one less for a ready
    image, which is neither cloned nor built, and one more where a release command runs, ran or
    will."""
    reached = _reached(deployment)
    return [
        Stage(key, name, _state(deployment, place, reached), _seconds(deployment, key, now))
        for place, (key, name) in enumerate(NAMES.items())
        if _is_stage_of(deployment, key, reached)
    ]


def _is_stage_of(deployment: Deployment, key: str, reached: int) -> bool:
    if key == Status.RELEASING:
        return _is_released(deployment, reached)
    if key in MAKING:
        return (key == Status.PULLING) == bool(deployment.wanted_image)
    return True


def _is_released(deployment: Deployment, reached: int) -> bool:
    if Status.RELEASING in deployment.stages or deployment.failed_stage == Status.RELEASING:
        return True
    is_ahead = deployment.is_unfinished and reached <= ORDER.index(Status.RELEASING)
    return bool(is_ahead and deployment.source_id is None and deployment.app.release_command)


def _reached(deployment: Deployment) -> int:
    """Place of the stage that is under way, or where it ended."""
    if deployment.status in (Status.LIVE, Status.RETIRED):
        return len(ORDER)
    if deployment.status in ORDER:
        return ORDER.index(deployment.status)
    if deployment.failed_stage in ORDER:
        return ORDER.index(deployment.failed_stage)
    return 0


def _state(deployment: Deployment, place: int, reached: int) -> str:
    if deployment.source_id is not None and ORDER[place] in MAKING:
        return "skipped"
    if place < reached:
        return "done"
    if deployment.is_unfinished:
        return "active" if place == reached else "waiting"
    if place == reached and deployment.status == Status.FAILED:
        return "failed"
    return "skipped"


def _seconds(deployment: Deployment, key: str, now: float) -> float | None:
    if key == Status.QUEUED:
        until = deployment.started_at or deployment.finished_at
        end = until.timestamp() if until else now
        return max(0.0, end - deployment.created_at.timestamp())
    span = deployment.stages.get(key)
    if span is None or key == Status.LIVE:
        return None
    begin, end = float(span[0]), now if span[1] is None else float(span[1])
    return max(0.0, end - begin)
