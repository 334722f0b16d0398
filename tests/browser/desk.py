"""A person's browser at a desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext

SERVERS_FAULT = re.compile(
    "Failed to load resource|ERR_CONNECTION_(REFUSED|RESET|CLOSED)|ERR_EMPTY_RESPONSE"
    "|Error during WebSocket handshake: Unexpected response code: 50[234]"
    "|Connection closed before receiving a handshake response"
)


@contextmanager
def desk_browser(chromium: Browser) -> Iterator[BrowserContext]:
    """What a page's scripts or its policy complain of fails the test. Closed before Mist stops."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    complaints: list[str] = []

    def complain(text: str) -> None:
        # What a server answers, or that it is down or just going, is not the page's fault.
        if not SERVERS_FAULT.search(text):
            complaints.append(text)

    context.on("weberror", lambda error: complain(str(error.error)))
    context.on("console", lambda m: complain(m.text) if m.type == "error" else None)
    yield context
    context.close()
    assert complaints == []
