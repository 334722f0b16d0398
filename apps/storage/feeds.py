"""What the page about the disk listens to."""

from __future__ import annotations

from apps.deployments.events import LOBBY
from apps.live.pages import Live
from apps.storage.cleaning import GROUP


def of_storage(**address: object) -> Live:
    """Clean-ups and looks at the disk; and the sidebar, which every page has."""
    return Live(groups=[GROUP, LOBBY])
