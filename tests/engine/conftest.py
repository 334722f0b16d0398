from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine.github import pages
from apps.engine.github_tokens import tokens
from tests.engine.git_host import GitHost, serve_git
from tests.engine.github_api import GitHubHost
from tests.engine.github_host import serve_github


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "host") as host:
        yield host


@pytest.fixture
def github_host(tmp_path: Path) -> Iterator[GitHubHost]:
    tokens.clear()
    pages.clear()
    with serve_github(tmp_path / "github") as host:
        yield host
