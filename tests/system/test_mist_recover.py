"""`kill -9` of Mist alone, what it had started still running, at a known point of a deployment."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from apps.engine.data import EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.process import living_pid
from tests.engine.git_host import serve_git
from tests.machine.live import LiveMist, live_mist
from tests.machine.world import SAMPLES, wait_until

pytestmark = pytest.mark.docker
HOST = "web-shop.localhost"
SLOW_BUILD = "RUN echo building slowly && sleep 3\n"
SLOW_START = 'CMD ["sh", "-c", "sleep 3; exec httpd -f -p 8080 -h /www"]\n'


def build_log(mist: LiveMist, number: int) -> str:
    path = mist.data_dir / "logs" / f"{number}.log"
    return path.read_text() if path.is_file() else ""


def containers(mist: LiveMist) -> int:
    instance = (mist.data_dir / "instance").read_text().strip()
    engine = DockerContainers(EngineConfig(instance=instance, data_dir=mist.data_dir))
    return len(engine.list(labels={"mist.instance": instance}))


def traefik(mist: LiveMist) -> int | None:
    return living_pid(mist.data_dir / "traefik" / "traefik.pid")


def visit(mist: LiveMist, host: str) -> int:
    """The status, 0 when nobody listens."""
    try:
        return mist.visit(host)[0]
    except OSError:
        return 0


def end_at_once(mist: LiveMist) -> None:
    pid = mist.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: mist.pid is None, "the end of Mist")


@pytest.mark.parametrize(
    ("more", "reached"),
    [
        pytest.param("", "cloning » Cloning", id="cloning"),
        pytest.param(SLOW_BUILD, "building slowly", id="building"),
        pytest.param("# Nothing more\n", "releasing migrating", id="releasing"),
        pytest.param(SLOW_START, "checking » Checking", id="checking"),
    ],
)
def test_a_deployment_goes_on_and_the_old_version_serves_meanwhile(
    tmp_path: Path, more: str, reached: str
) -> None:
    with serve_git(tmp_path / "git") as host, live_mist(tmp_path / "data") as mist:
        origin = host.create("acme/site")
        shutil.copytree(SAMPLES / "static", origin.path, dirs_exist_ok=True)
        origin.commit({"site/index.html": "1"}, "First version")
        mist.run("up", "--detach")
        mist.run("project_create", "shop")
        migrate = "sh -c 'echo migrating; sleep 2'" if "releasing" in reached else ""
        mist.run("app_create", "shop/web", "--repo", origin.url, "--release-command", migrate)
        mist.run("deploy", "shop/web", "--wait")

        dockerfile = (origin.path / "Dockerfile").read_text() + more
        origin.commit({"Dockerfile": dockerfile, "site/index.html": "2"}, "Second version")
        if not more:
            host.stalled.set()
        mist.run("deploy", "shop/web")
        wait_until(lambda: reached in build_log(mist, 2), f"{reached!r} in the log", 180)
        end_at_once(mist)
        assert mist.visit(HOST) == (200, "1")

        host.stalled.clear()
        mist.run("up", "--detach")
        wait_until(lambda: mist.visit(HOST) == (200, "2"), "the second version", 240)
        wait_until(lambda: "is replaced" in build_log(mist, 2), "the first version's end", 180)
        assert containers(mist) == 1
        assert not list((mist.data_dir / "builds").glob("*"))


def test_traefik_is_started_again_when_it_dies(tmp_path: Path) -> None:
    with live_mist(tmp_path / "data") as mist:
        mist.run("demo", "--no-open")
        first = traefik(mist)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: traefik(mist) not in (None, first), "another Traefik")
        wait_until(lambda: visit(mist, "hello-demo.localhost") == 200, "an answer")
        mist.run("down", "--proxy")
        assert traefik(mist) is None
