"""Where tests keep what they bring along from outside."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """What is kept between runs of the tests."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "mist-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
