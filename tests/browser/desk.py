"""A person's browser at a desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext


@contextmanager
def desk_browser(chromium: Browser) -> Iterator[BrowserContext]:
    """What a page's scripts or its policy complain of fails the test. Closed before Mist stops."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    complaints: list[str] = []

    def complain(text: str) -> None:
        # What a server answers, or that it is down, is not the page's fault.
        if not re.search("Failed to load resource|ERR_CONNECTION_REFUSED", text):
            complaints.append(text)

    context.on("weberror", lambda error: complain(str(error.error)))
    context.on("console", lambda m: complain(m.text) if m.type == "error" else None)
    yield context
    context.close()
    assert complaints == []
