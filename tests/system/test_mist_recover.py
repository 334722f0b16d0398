"""`kill -9` of Mist alone, what it had started still running, at a known point of a deployment."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from apps.engine.data import EngineConfig
from apps.engine.docker import DockerContainers
from apps.engine.listeners import listening
from apps.engine.process import living_pid
from tests.engine.git_host import serve_git
from tests.machine.live import LiveMist, live_mist
from tests.machine.world import SAMPLES, Visitors, visitors, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.long(6)]
HOST = "web-shop.localhost"
ANOTHER_ISSUER = """
import datetime as dt, time
from django.utils import timezone
from apps.domains.acme_models import AcmeSettings
row = AcmeSettings.objects.filter(pk=AcmeSettings.ONLY).first() or AcmeSettings(pk=AcmeSettings.ONLY)
row.directory = f"https://127.0.0.1:9/{time.time()}"
# As one whose message was lost, which is taken up in the next round.
row.apply_asked_at = timezone.now() - dt.timedelta(minutes=5)
row.save()
"""
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


def await_another(mist: LiveMist, before: int | None) -> None:
    wait_until(lambda: traefik(mist) not in (None, before), "another Traefik", 60)


def await_answers(seen: Visitors, count: int) -> None:
    wait_until(lambda: len(seen.answers) > count, "answers", 60)


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


def test_visitors_do_not_notice_what_becomes_of_traefik(tmp_path: Path) -> None:
    """It is killed, restarted for another issuer, and both after a `kill -9` of Mist itself."""
    with live_mist(tmp_path / "data") as mist:
        mist.run("demo", "--no-open")
        port = int(mist.env["MIST_HTTP_PORT"])
        for _ in range(2):
            wait_until(lambda: port in listening(mist.pid or 0), "Mist's hold of the ports", 30)
            with visitors(port, "hello-demo.localhost", kept=0, fresh=4) as seen:
                first = traefik(mist)
                mist.run("shell", "-c", ANOTHER_ISSUER)
                await_another(mist, first)
                wait_until(lambda: port in listening(mist.pid or 0), "Mist's hold of it", 30)
                time.sleep(1)
            assert seen.failures == [] and len(seen.answers) > 100
            with visitors(port, "hello-demo.localhost", kept=0, fresh=4) as seen:
                second = traefik(mist)
                assert second is not None
                os.kill(second, signal.SIGKILL)
                await_another(mist, second)
                await_answers(seen, len(seen.answers) + 20)
                time.sleep(2)
                end_at_once(mist)
                mist.run("up", "--detach")
            # Whom it was answering at that moment is cut off.
            assert len(seen.failures) <= 4 and len(seen.answers) > 100
            assert not any("Refused" in one or "HTTP" in one for one in seen.failures)
        mist.run("down", "--proxy")
        assert traefik(mist) is None
        with socket.create_server(("127.0.0.1", port)):
            pass
