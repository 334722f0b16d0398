"""One Traefik that takes another's place, while visitors ask all the time."""

from __future__ import annotations

import dataclasses
import http.client
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.engine import traefik_process
from apps.engine.acme import Issuing
from apps.engine.data import EngineConfig
from apps.engine.errors import ProxyUnavailable
from apps.engine.listeners import MIGRATE, Listeners, can_migrate, listening, take
from apps.engine.process import holder_of_port, living_pid, spawn_detached
from apps.engine.traefik import Traefik
from apps.engine.traefik_process import find_traefik
from apps.projects.models import App
from tests.machine.beside import beside
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[2]
LARGE = "RUN dd if=/dev/zero of=/www/large bs=1M count=64\n"
ISSUERS = [Issuing(directory=f"https://127.0.0.1:9/{number}") for number in range(3)]
CUT = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "IncompleteRead")
START = """import pickle, sys
from apps.engine.traefik import Traefik
config, issuing = pickle.loads(bytes.fromhex(sys.argv[1]))
Traefik(config).ensure_running(issuing)
"""


@pytest.fixture
def app(world: World) -> App:
    app, origin = world.app("steady")
    dockerfile = (origin.path / "Dockerfile").read_text() + LARGE
    origin.commit({"Dockerfile": dockerfile}, "Something large")
    assert world.deploy(app).status == "live"
    return app


@pytest.fixture
def proxy(world: World) -> Traefik:
    assert isinstance(world.engine.proxy, Traefik)
    return world.engine.proxy


@pytest.fixture
def _machine_as_before() -> Iterator[None]:
    """A Mist that is killed in that very second cannot put it back."""
    before = MIGRATE.read_text() if can_migrate() else ""
    yield
    if before:
        MIGRATE.write_text(before)


def home(world: World) -> Path:
    return world.engine.config.data_dir / "traefik"


def ports(config: EngineConfig) -> set[int]:
    return {config.http_port, config.https_port, config.probe_port, config.proxy_api_port}


def serving(world: World) -> int | None:
    return living_pid(home(world) / "traefik.pid")


def kill_and_await_another(world: World) -> None:
    old = serving(world)
    assert old is not None
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: serving(world) not in (old, None), "another Traefik", 30)


def leaving(world: World) -> int | None:
    """The one that only ends what was begun."""
    return living_pid(home(world) / "traefik.leaving.pid")


@contextmanager
def watched(world: World, proxy: Traefik, seconds: float = 0.2) -> Iterator[None]:
    """As a Mist that serves looks after it."""

    def look(over: threading.Event) -> None:
        while not over.is_set():
            proxy.await_end(seconds)
            if not over.is_set() and not proxy.running():
                proxy.ensure_running()

    with beside(look):
        wait_until(lambda: listening(os.getpid()) >= ports(world.engine.config), "the first look")
        yield


def begin_download(world: World, app: App) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", world.engine.config.http_port, timeout=20)
    connection.request("GET", "/large", headers={"Host": app.host})
    response = connection.getresponse()
    assert response.status == 200
    return response


def test_visitors_do_not_notice_that_it_is_restarted(
    world: World, proxy: Traefik, app: App
) -> None:
    with steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        for issuing in ISSUERS:
            before = serving(world)
            proxy.ensure_running(issuing)
            assert serving(world) not in (before, None)
        time.sleep(0.5)
    assert seen.failures == [] and len(seen.answers) > 100


def test_visitors_do_not_notice_that_another_process_restarts_it(
    world: World, proxy: Traefik, app: App
) -> None:
    other = Traefik(world.engine.config)
    with watched(world, proxy), steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        for days in (1, 2, 3):
            time.sleep(0.5)  # The watcher has taken hold of the one that runs.
            other.ensure_running(Issuing(email=f"{days}@example.com"))
    assert seen.failures == [] and seen.answers


def test_what_was_begun_is_ended_by_the_old_one(world: World, proxy: Traefik, app: App) -> None:
    old = serving(world)
    download = begin_download(world, app)
    proxy.ensure_running(ISSUERS[0])
    assert leaving(world) == old
    assert len(download.read()) == 64 * 1024**2
    wait_until(lambda: leaving(world) is None, "the end of the old one", 30)
    assert proxy.running() and world.get(app.host)[0] == 200


def test_a_connection_that_is_kept_is_closed_between_two_requests(
    world: World, proxy: Traefik, app: App
) -> None:
    with steady_visitors(world, app.host, kept=3, fresh=0) as seen:
        for issuing in ISSUERS:
            proxy.ensure_running(issuing)
    # These ask on without looking whether it was: browsers ask anew.
    assert len(seen.failures) <= 3 * len(ISSUERS) and len(seen.answers) > 100
    assert all(one.startswith(CUT) for one in seen.failures), seen.failures


def test_visitors_wait_while_a_killed_one_is_started_again(
    world: World, proxy: Traefik, app: App
) -> None:
    with watched(world, proxy), steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        time.sleep(0.5)
        kill_and_await_another(world)
        time.sleep(2)
    # Whom it was answering at that moment is cut off; nobody is refused, nobody sees its 404.
    assert len(seen.failures) <= 4 and len(seen.answers) > 100
    assert all(one.startswith(CUT) for one in seen.failures), seen.failures


@pytest.mark.parametrize("moment", ["before", "after"])
def test_visitors_wait_when_it_is_killed_while_the_next_who_looks_after_it_takes_hold(
    world: World, proxy: Traefik, app: App, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another process has restarted it."""
    killed: list[int] = []

    def take_and_kill(pid: int, wanted: Collection[int]) -> Listeners | None:
        if threading.current_thread() is threading.main_thread() or killed:
            return take(pid, wanted)
        killed.append(pid)
        taken = take(pid, wanted) if moment == "after" else None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: serving(world) is None, "its end")
        return taken or take(pid, wanted)

    with watched(world, proxy), steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        time.sleep(0.5)
        monkeypatch.setattr(traefik_process, "take", take_and_kill)
        Traefik(world.engine.config).ensure_running(ISSUERS[0])
        wait_until(lambda: bool(killed), "its end")
        wait_until(lambda: serving(world) is not None, "another Traefik", 30)
        time.sleep(2)
    assert len(seen.failures) <= 4 and len(seen.answers) > 100
    assert all(one.startswith(CUT) for one in seen.failures), seen.failures


def test_a_route_without_a_container_makes_nobody_wait(
    world: World, proxy: Traefik, app: App
) -> None:
    nowhere = {"rule": "Host(`gone.localhost`)", "service": "gone@docker"}
    proxy.write_routes("999", {"http": {"routers": {"app-999": nowhere}}})
    began = time.monotonic()
    with steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        proxy.ensure_running(ISSUERS[0])
    assert seen.failures == [] and time.monotonic() - began < 15


@pytest.mark.usefixtures("_machine_as_before")
@pytest.mark.parametrize("stage", ["coming", "leaving"])
def test_what_a_mist_that_is_killed_midway_leaves_is_put_right(
    world: World, proxy: Traefik, app: App, stage: str
) -> None:
    argument = pickle.dumps((world.engine.config, ISSUERS[0])).hex()
    before = serving(world)
    with steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        mist = subprocess.Popen([sys.executable, "-c", START, argument], cwd=ROOT)
        try:
            sign = home(world) / f"traefik.{stage}.pid"
            wait_until(lambda: living_pid(sign) is not None, "the right moment", 30)
        finally:
            mist.kill()
            mist.wait()
        assert (serving(world) == before) == (stage == "coming")
        another = Traefik(world.engine.config)
        with watched(world, another):
            another.ensure_running(ISSUERS[0])
            assert serving(world) != before and another.state().is_current
            wait_until(lambda: leaving(world) is None, "the end of the old one", 30)
    assert living_pid(home(world) / "traefik.coming.pid") is None
    assert seen.failures == []


def test_one_that_does_not_come_up_takes_nobodys_place(
    world: World, proxy: Traefik, app: App
) -> None:
    before = serving(world)
    with steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        wrong = dataclasses.replace(world.engine.config, trusted_proxies=("nobody",))
        with pytest.raises(ProxyUnavailable, match="did not start"):
            Traefik(wrong).ensure_running()
        assert serving(world) == before and leaving(world) is None
        assert not proxy.state().is_current
        proxy.ensure_running(ISSUERS[0])
        assert proxy.state().is_current
    assert seen.failures == []


def test_one_whose_ports_are_not_shared_is_restarted_all_the_same(
    world: World, proxy: Traefik, app: App
) -> None:
    """As a Mist before this one has started it."""
    proxy.stop()
    static = home(world) / "traefik.yml"
    static.write_text(static.read_text().replace("    reusePort: true\n", ""))
    program = [find_traefik(), f"--configfile={static}"]
    old = spawn_detached(program, log=home(world) / "log", pid_file=home(world) / "traefik.pid")
    wait_until(lambda: listening(old) >= ports(world.engine.config), "its ports")
    proxy.ensure_running()
    assert serving(world) not in (old, None) and leaving(world) is None
    wait_until(lambda: world.get(app.host)[0] == 200, "an answer")


def test_a_newer_program_takes_the_place_of_the_one_that_runs(
    world: World, proxy: Traefik, app: App, tmp_path: Path
) -> None:
    proxy.stop()
    upgraded = tmp_path / "traefik"
    shutil.copy(find_traefik(), upgraded)
    program = [str(upgraded), f"--configfile={home(world) / 'traefik.yml'}"]
    old = spawn_detached(program, log=home(world) / "log", pid_file=home(world) / "traefik.pid")
    wait_until(lambda: listening(old) >= ports(world.engine.config), "its ports")
    wait_until(lambda: world.get(app.host)[0] == 200, "an answer")
    proxy.ensure_running()
    assert serving(world) == old
    upgraded.unlink()
    with steady_visitors(world, app.host, kept=0, fresh=4) as seen:
        proxy.ensure_running()
    assert serving(world) not in (old, None) and seen.failures == []


def test_stopped_it_leaves_no_port_open(world: World, proxy: Traefik, app: App) -> None:
    download = begin_download(world, app)
    with watched(world, proxy):
        proxy.ensure_running(ISSUERS[0])
    assert leaving(world) is not None
    proxy.stop()
    assert serving(world) is None and leaving(world) is None
    for port in ports(world.engine.config):
        assert holder_of_port(port) == ""
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
    download.close()
