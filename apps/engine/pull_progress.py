"""What the engine says of a pull, many times a second for each layer, as a line now and then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

EVERY = 1.0
"""Seconds between two lines."""
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_LAYER = re.compile(r"[0-9a-f]{12,64}")
_IS_HERE = frozenset({"Already exists", "Pull complete"})
_IS_DOWN = _IS_HERE | {"Verifying Checksum", "Download complete", "Extracting"}
MB = 1_000_000


class PullProgress:
    """Follows one pull."""

    def __init__(self) -> None:
        self.digest = ""
        """What the registry calls what was pulled, once it is known."""
        self._states: dict[str, str] = {}
        self._bytes: dict[str, tuple[int, int]] = {}
        self._said = ""
        self._not_before = 0.0

    def take(self, item: Mapping[str, Any], now: float) -> str:
        """Note one object of the engine's answer. A line for the log, or nothing; `now` is in
        seconds of any clock."""
        status = str(item.get("status", ""))
        if found := _DIGEST.search(status):
            self.digest = found[1]
        layer = str(item.get("id", ""))
        # A tag may look like a layer: there it is told what is pulled.
        if not _LAYER.fullmatch(layer) or status.startswith("Pulling from "):
            return status
        self._states[layer] = status
        detail = item.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._bytes[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif status in _IS_DOWN and layer in self._bytes:
            self._bytes[layer] = (self._bytes[layer][1],) * 2
        return self._line(now)

    def _line(self, now: float) -> str:
        here = sum(state in _IS_HERE for state in self._states.values())
        is_over = here == len(self._states)
        if now < self._not_before and not is_over:
            return ""
        line = f"{here} of {len(self._states)} layers are here"
        if not is_over and self._bytes:
            done = sum(done for done, _ in self._bytes.values()) / MB
            total = sum(total for _, total in self._bytes.values()) / MB
            line += f", {done:.1f} of {total:.1f} MB came"
        if line == self._said:
            return ""
        self._said, self._not_before = line, now + EVERY
        return line
