from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.git_host import GitHost, serve_git


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "host") as host:
        yield host
