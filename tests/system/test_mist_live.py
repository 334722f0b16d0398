"""A whole Mist with a real engine: two commands, and what happens when it goes away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.machine.live import LiveMist, live_mist
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
HOST = "hello-demo.localhost"


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    with live_mist(tmp_path / "data") as found:
        yield found


def test_the_demo_goes_from_nothing_to_an_address(mist: LiveMist) -> None:
    said = mist.run("demo", "--no-open")
    assert "Live at" in said and f"http://{HOST}" in said
    assert mist.visit(HOST)[0] == 200
    assert mist.visit(HOST, "/healthz")[0] == 200


def test_up_again_is_up_already_and_status_tells_the_truth(mist: LiveMist) -> None:
    assert "/setup/" in mist.run("up", "--detach")
    assert "running already" in mist.run("up", "--detach")
    status = json.loads(mist.run("status", "--json"))
    assert status["mist_pid"] == mist.pid and status["proxy"]
    assert mist.result("doctor").returncode == 0
    mist.run("createadmin", "alice@example.com", stdin="correct-horse-battery\n")
    assert "/setup/" not in mist.run("up", "--detach")
    mist.run("down")
    assert mist.result("status").returncode == 1
    assert not any("password" in line.lower() for line in _log(mist))


def test_apps_serve_on_while_mist_is_down_or_killed(mist: LiveMist) -> None:
    mist.run("demo", "--no-open")
    mist.run("down")
    assert mist.visit(HOST)[0] == 200
    mist.run("up", "--detach")
    mist.kill()
    assert mist.visit(HOST)[0] == 200
    mist.run("up", "--detach")
    assert [app["state"] for app in mist.apps()] == ["running"]


def test_a_deployment_of_a_killed_mist_goes_on_after_the_next_start(mist: LiveMist) -> None:
    mist.run("demo", "--no-open")
    mist.run("deploy", "demo/hello", "--no-cache")
    mist.kill()
    mist.run("up", "--detach")
    wait_until(lambda: mist.apps()[0]["live"] == 2, "the second deployment going live", 240)
    assert mist.visit(HOST)[0] == 200


def test_a_killed_container_runs_again(mist: LiveMist) -> None:
    mist.run("demo", "--no-open")
    client = docker.from_env()
    instance = (mist.data_dir / "instance").read_text().strip()
    [container] = client.containers.list(filters={"label": f"mist.instance={instance}"})
    before = container.attrs["State"]["StartedAt"]
    container.kill()

    def is_back() -> bool:
        container.reload()
        state = container.attrs["State"]
        return bool(state["Running"] and state["StartedAt"] != before)

    wait_until(is_back, "the container running again")
    client.close()
    wait_until(lambda: mist.apps()[0]["state"] == "running", "that being said")


def test_an_app_is_made_from_a_terminal_and_taken_up_by_the_running_mist(mist: LiveMist) -> None:
    mist.run("up", "--detach")
    mist.run("project_create", "shop")
    repository = f"{mist.url}/samples/hello.git"
    mist.run("app_create", "shop/web", "--repo", repository, "--health-path", "/healthz")
    facts = json.loads(mist.run("deploy", "shop/web", "--wait", "--json"))
    assert facts["status"] == "live" and len(facts["commit"]) == 40
    mist.run("domain_add", "shop/web", "shop.example.com")
    wait_until(lambda: mist.visit("shop.example.com")[0] == 200, "an answer on the new name")
    failed = mist.result("deploy", "shop/web", "--ref", "nope", "--follow")
    assert failed.returncode == 1 and "main" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert mist.visit("shop.example.com")[0] == 200
    mist.run("app_delete", "shop/web", "--yes")
    assert mist.apps() == [] and mist.visit("shop.example.com")[0] == 404


@pytest.mark.parametrize("setting", ["MIST_PORT", "MIST_HTTP_PORT"])
def test_a_taken_port_is_one_sentence(mist: LiveMist, setting: str) -> None:
    other = {**mist.env, "MIST_DATA_DIR": str(mist.data_dir.parent / "other")}
    mist.run("up", "--detach")
    busy = LiveMist(mist.data_dir.parent / "other", other)
    refused = busy.result("up", "--detach")
    assert refused.returncode == 1
    assert setting in refused.stderr or "MIST_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr and len(refused.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DOCKER_HOST", "unix:///nowhere/docker.sock", "does not answer"),
        ("MIST_DATA_DIR", "/proc/mist", "cannot be written"),
    ],
)
def test_what_is_missing_is_one_sentence(
    mist: LiveMist, name: str, value: str, sentence: str
) -> None:
    mist.env[name] = value
    refused = mist.result("up", "--detach")
    assert refused.returncode == 1 and sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def _log(mist: LiveMist) -> list[str]:
    return (mist.data_dir / "mist.log").read_text().splitlines()
