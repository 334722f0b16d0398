"""Two Mists on one Docker engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.git_host import serve_git
from tests.machine.live import LiveMist, live_mist
from tests.machine.world import SAMPLES

pytestmark = pytest.mark.docker
HOST = "web-shop.localhost"


def deploy_shop(mist: LiveMist, repository: str) -> dict[str, str]:
    """shop/web, made and deployed on a Mist that has nothing yet."""
    mist.run("up", "--detach")
    mist.run("project_create", "shop")
    mist.run("app_create", "shop/web", "--repo", repository)
    facts: dict[str, str] = json.loads(mist.run("deploy", "shop/web", "--wait", "--json"))
    return facts


def test_an_app_of_the_same_name_and_number_is_left_alone(tmp_path: Path) -> None:
    with serve_git(tmp_path / "git") as host, live_mist(tmp_path / "one") as one:
        origin = host.create("acme/site")
        shutil.copytree(SAMPLES / "static", origin.path, dirs_exist_ok=True)
        origin.commit({"site/index.html": "of the first"})
        assert deploy_shop(one, origin.url)["status"] == "live"
        with live_mist(tmp_path / "two") as two:
            origin.commit({"site/index.html": "of the second"})
            assert deploy_shop(two, origin.url)["status"] == "live"
            assert one.visit(HOST) == (200, "of the first")
            assert two.visit(HOST) == (200, "of the second")
            two.run("app_delete", "shop/web", "--yes")
            assert one.visit(HOST) == (200, "of the first")
        assert one.visit(HOST) == (200, "of the first")
