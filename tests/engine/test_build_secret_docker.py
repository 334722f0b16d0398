"""A build's secret values on the real engine: used by the build, in no process list, in no words."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import psutil
import pytest

from apps.deployments.log_writing import BuildLog
from apps.engine import build as building
from apps.engine.base_image import SAMPLE_BASE
from apps.engine.data import BuildSpec, EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.docker import DockerContainers
from apps.engine.errors import BuildFailed
from apps.engine.masking import MASK, Masker
from tests.machine.beside import beside

pytestmark = pytest.mark.docker
IMAGE = "mist/test-build-secret:1"
SECRET = "s3cret/Value+of-the~Build-{}".format("q" * 12)
PRINTS = (
    "import base64, os, sys, time; v = os.environ['TOKEN']; print('plain', v); "
    "print(base64.b64encode(('user:' + v).encode()).decode()); print(v[:15]); print(v[15:]); "
    "sys.stdout.flush(); time.sleep(2)"
)


@pytest.fixture(params=["buildkit", "api"])
def containers(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerContainers]:
    if request.param == "api":
        monkeypatch.setattr(building, "find_buildkit", lambda: None)
    made = DockerContainers(EngineConfig(instance="testsecret", data_dir=tmp_path / "data"))
    yield made
    made.remove_image(IMAGE)


def spec(folder: Path, steps: str) -> BuildSpec:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {SAMPLE_BASE}\nARG TOKEN\n{steps}\n")
    values = {"TOKEN": SECRET}
    labels = {"mist.instance": "testsecret"}
    return BuildSpec(folder, folder / "Dockerfile", IMAGE, labels, values, values, no_cache=True)


@contextmanager
def process_lists() -> Iterator[set[str]]:
    """Every command line that any process of the machine has meanwhile."""
    seen: set[str] = set()

    def look(over: threading.Event) -> None:
        while not over.is_set():
            for process in psutil.process_iter():
                try:
                    seen.add("\0".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.01)

    with beside(look):
        yield seen


def run(containers: DockerContainers, wanted: BuildSpec, log: Path) -> BuildFailed | None:
    with BuildLog(log, nudge=lambda: None, masker=Masker([SECRET])) as lines:
        try:
            containers.build(
                wanted,
                log=lambda text: lines.write("building", text),
                deadline=Deadline(120, what="The build"),
            )
        except BuildFailed as error:
            return error
    return None


def is_clean(text: str) -> bool:
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()[8:-8]
    return not any(piece in text for piece in (SECRET, SECRET[:15], SECRET[15:], encoded))


def test_a_builds_values_are_on_no_command_line_nor_in_its_log(
    containers: DockerContainers, tmp_path: Path
) -> None:
    wanted = spec(tmp_path / "context", f'RUN ["python", "-c", "{PRINTS}"]')
    with process_lists() as seen:
        assert run(containers, wanted, tmp_path / "1.log") is None
    assert any("b64encode" in line for line in seen), "the build's own step was seen"
    assert not any(SECRET in line for line in seen)
    log = (tmp_path / "1.log").read_text()
    assert log.count(MASK) >= 4 and is_clean(log)
    labels = docker.from_env().images.get(IMAGE).labels
    assert SECRET not in str(labels)


def test_the_words_of_a_failed_build_hold_no_value(
    containers: DockerContainers, tmp_path: Path
) -> None:
    steps = f'WORKDIR /{"x" * 140}/${{TOKEN}}\nRUN ["python", "-c", "{PRINTS}; sys.exit(3)"]'
    error = run(containers, spec(tmp_path / "context", steps), tmp_path / "1.log")
    assert error is not None
    words = f"{error.sentence}\n{error.hint}\n{error.detail}\n{error!r}"
    assert MASK in words and is_clean(Masker([SECRET]).text(words)) and SECRET not in words
