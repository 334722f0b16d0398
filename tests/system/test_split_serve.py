"""Mist in parts, as compose.yaml starts it: deploying, losing parts, and changing hands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.engine.host import own_address
from tests.engine.git_host import GitHost, Origin, serve_git
from tests.machine.live import LiveMist, live_mist
from tests.machine.split import Probing, SplitMist, probing, split_mist
from tests.machine.split_parts import build_mist
from tests.machine.world import SAMPLES, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.long(4)]
APP, HOST = "shop/web", "web-shop.localhost"
SLOW_BUILD = "RUN echo building slowly && sleep 10\n"
QUICK = {"MIST_DRAIN_SECONDS": "3", "MIST_STOP_TIMEOUT": "1"}
INSIDE = """
import json, time
from apps.engine.cgroups import CgroupReader
from apps.engine.connect import get_engine

proxy = get_engine().proxy
connected = proxy._is_connected("{address}", 8080)
until = time.monotonic() + 120
while proxy._is_connected("{address}", 8080) and time.monotonic() < until:
    time.sleep(0.2)
print(json.dumps({{
    "connected": [connected, proxy._is_connected("{address}", 8080)],
    "answers": [proxy.connect(address="{address}", port=port) for port in (8080, 9)],
    "measured": list(CgroupReader().read(["{id}"])),
}}))
"""


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    build_mist()


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitHost]:
    """Reached from containers and from the machine under one address."""
    with serve_git(tmp_path / "git", own_address()) as host:
        yield host


@pytest.fixture
def origin(git: GitHost) -> Origin:
    made = git.create("acme/site")
    shutil.copytree(SAMPLES / "static", made.path, dirs_exist_ok=True)
    made.commit({"site/index.html": "1"}, "First version")
    return made


def make_shop(mist: LiveMist | SplitMist, origin: Origin) -> None:
    mist.run("project_create", "shop")
    mist.run("app_create", APP, "--repo", origin.url)
    mist.run("deploy", APP, "--wait")


def serves(mist: LiveMist, body: str) -> bool:
    try:
        return mist.visit(HOST) == (200, body)
    except OSError:
        return False


def build_log(mist: LiveMist, deployment: int) -> str:
    path = mist.data_dir / "logs" / f"{deployment}.log"
    return path.read_text() if path.is_file() else ""


def end_the_worker_of(split: SplitMist, deployment: dict[str, Any]) -> None:
    """`docker kill` of the very worker that has it: a lease names its owner's process."""
    assert deployment["owner"], deployment
    pid = int(deployment["owner"].partition("-")[0])
    [owner] = [c for c in split.containers("worker") if pid == _pid(c)]
    owner.kill()


def _pid(container: Any) -> int:
    container.reload()
    return int(container.attrs["State"]["Pid"])


def lose_one_of_each(split: SplitMist, origin: Origin) -> None:
    """With two webs and two workers and a deployment that builds: a web and the very worker end,
    Redis is started anew, and more is asked for meanwhile."""
    split.up(web=2, worker=2)
    slow = (origin.path / "Dockerfile").read_text() + SLOW_BUILD
    origin.commit({"Dockerfile": slow, "site/index.html": "2"}, "Second version")
    split.run("deploy", APP)
    wait_until(lambda: "building slowly" in build_log(split.host, 2), "the build", 60)
    [_, second] = split.deployments(APP)
    end_the_worker_of(split, second)
    split.containers("web")[0].kill()
    origin.commit({"site/index.html": "3"}, "Third version")
    [redis] = split.containers("redis")
    redis.restart(timeout=1)
    # Waits behind the second one, of which it takes nothing away.
    split.run("deploy", APP)
    wait_until(lambda: split.dashboard() == 200, "the other web", 20)
    wait_until(lambda: split.host.visit(HOST) == (200, "3"), "the third version", 120)


def check_the_inside(split: SplitMist) -> None:
    """What a container could not do without sharing something of the machine's, or Traefik's."""
    [app] = split.apps()
    [network] = app.attrs["NetworkSettings"]["Networks"]
    address = app.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    [traefik] = split.containers("traefik")
    # Traefik finds the web servers by their name for pages of Mist's own.
    status, page = split.host.visit("nobody.example.com")
    assert status == 404 and "Nothing is here" in page
    # Somebody who is connected for a while, from where Traefik is.
    traefik.exec_run(["sh", "-c", f"sleep 30 | nc {address} 8080"], detach=True)
    found = split.ask(INSIDE.format(address=address, id=app.id))
    assert found["connected"] == [True, False]
    assert found["answers"] == ["", "nothing listens on the port yet (connection refused)"]
    assert found["measured"] == [app.id]
    # Traefik is in the app's network with its public port only.
    door = traefik.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    port = split.host.env["MIST_HTTP_PORT"]
    assert app.exec_run(["nc", "-w", "2", door, port, "-e", "true"]).exit_code == 0
    for inner in ("8081", "8082"):
        assert app.exec_run(["nc", "-w", "2", door, inner, "-e", "true"]).exit_code != 0


def check_invariants(split: SplitMist, seen: Probing) -> None:
    def settled() -> bool:
        return len(split.apps(APP)) == 1

    wait_until(settled, "the end of the old versions", 60)
    rows = split.deployments(APP)
    assert [row["status"] for row in rows] == ["retired", "retired", "live"]
    [container] = split.apps(APP)
    assert (container.id, container.status) == (rows[-1]["container_id"], "running")
    route = split.host.data_dir / "traefik" / "dynamic" / f"app-{rows[-1]['app_id']}.yml"
    [router, _away] = json.loads(route.read_text())["http"]["routers"].values()
    assert router["service"].endswith(f"-{rows[-1]['id']}@docker")
    assert not list((split.host.data_dir / "builds").glob("*"))
    # Traefik's own network says when the last request was answered.
    assert not any("in progress" in build_log(split.host, row["id"]) for row in rows)
    assert list(Path("/sys/fs/cgroup").glob(f"**/mist-build-{split.instance()}*"))
    assert seen.failures == 0, seen
    assert seen.asked > 20


def test_it_takes_a_data_directory_over_loses_nothing_and_gives_it_back(
    tmp_path: Path, origin: Origin
) -> None:
    with live_mist(tmp_path / "data", **QUICK) as host, split_mist(host) as split:
        host.run("up", "--detach")
        make_shop(host, origin)
        assert host.visit(HOST) == (200, "1")
        [first] = split.apps()
        host.run("down", "--proxy")

        split.up()
        assert split.apps() == [first]
        wait_until(lambda: serves(host, "1"), "the app, served by the other")
        assert "already" in host.run("up", "--detach", check=False)
        check_the_inside(split)
        with probing(host, HOST) as seen:
            lose_one_of_each(split, origin)
            check_invariants(split, seen)
        [third] = split.apps()

        split.compose("down", "--timeout", "2")
        host.run("up", "--detach")
        wait_until(lambda: serves(host, "3"), "the app, served by the first again")
        assert split.apps() == [third]
        assert host.apps()[0]["state"] == "running"
