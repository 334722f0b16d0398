"""What live pages are told: nudges only, never the news itself.

A page that hears "deployment 57 has changed" reads the truth again; a lost nudge costs a moment,
not a fact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

logger = logging.getLogger("mist.events")
LOBBY = "mist.lobby"
"""Everybody hears that something changed here; each page reads only what its person may see."""


def deployment_group(deployment_id: int) -> str:
    return f"mist.deployment.{deployment_id}"


def log_group(deployment_id: int) -> str:
    """Whoever reads the build log for those who watch it."""
    return f"mist.log.{deployment_id}"


def app_group(app_id: int) -> str:
    return f"mist.app.{app_id}"


def user_group(user_id: int) -> str:
    """Every open page of one person."""
    return f"mist.user.{user_id}"


def publish(group: str, message: dict[str, object]) -> None:
    """Send from any thread. The local layer takes messages directly; Redis needs a loop.

    Never raises: what is told has happened already, and a Redis that is gone must not undo it.
    """
    try:
        _publish(group, message)
    except Exception as error:
        logger.warning("Telling %s: %r", group, error)


def _publish(group: str, message: dict[str, object]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    # Asked of the type: the Redis layer answers for its attributes only inside a loop.
    direct: Callable[..., None] | None = getattr(type(layer), "publish", None)
    if direct is not None:
        direct(layer, group, message)
    else:
        async_to_sync(layer.group_send)(group, message)


def deployment_changed(*, deployment_id: int, app_id: int) -> None:
    """Its status, stage or result is another one now."""
    message: dict[str, object] = {"type": "mist.changed"}
    publish(deployment_group(deployment_id), message)
    publish(app_group(app_id), message)
    publish(LOBBY, message)


def app_changed(*, app_id: int) -> None:
    """What the engine does with the app is another one now."""
    publish(app_group(app_id), {"type": "mist.changed"})
    publish(LOBBY, {"type": "mist.changed"})


def engine_changed() -> None:
    """The engine does not answer any more, or answers again: every page says so."""
    publish(LOBBY, {"type": "mist.changed"})


def access_changed(*, user_id: int) -> None:
    """What the person may see is another one now, or who they are. Open pages ask at once."""
    publish(user_group(user_id), {"type": "mist.access"})


def log_grew(*, deployment_id: int) -> None:
    """There are more bytes in the build log."""
    publish(log_group(deployment_id), {"type": "mist.log"})
