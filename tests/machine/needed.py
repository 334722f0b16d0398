"""What a test needs of the machine. A developer's may lack it; one that checks for all may not."""

from __future__ import annotations

import os

import pytest

IS_CI = bool(os.environ.get("CI"))


def needs(found: object, what: str) -> pytest.MarkDecorator:
    """Skip where it is not found; with `CI` set the test runs all the same, and fails."""
    return pytest.mark.skipif(not found and not IS_CI, reason=f"{what} is not installed")


def lacking(what: str) -> None:
    """As `needs`, from within a test or a fixture."""
    (pytest.fail if IS_CI else pytest.skip)(what)
