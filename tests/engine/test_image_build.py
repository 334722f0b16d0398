"""Builds on the real engine: what they make, what they say when they fail, how they end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from apps.engine.errors import BuildFailed, Cancelled, TimedOut
from apps.engine.masking import Masker

pytestmark = pytest.mark.docker
IMAGE = "mist/test-build:1"
Make = Callable[[str], BuildSpec]


@pytest.fixture(params=["buildkit", "api"])
def containers(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerContainers]:
    if request.param == "api":
        monkeypatch.setattr(building, "find_buildkit", lambda: None)
    made = DockerContainers(EngineConfig(instance="testbuild", data_dir=tmp_path / "data"))
    yield made
    made.remove_image(IMAGE)


@pytest.fixture
def spec(tmp_path: Path) -> Make:
    def make(steps: str) -> BuildSpec:
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM {SAMPLE_BASE}\n{steps}\n")
        (context / "file").write_text("text")
        return BuildSpec(
            context=context,
            dockerfile=context / "Dockerfile",
            image=IMAGE,
            labels={"mist.instance": "testbuild"},
        )

    return make


def build(containers: DockerContainers, spec: BuildSpec, seconds: float = 120) -> list[str]:
    lines: list[str] = []
    containers.build(spec, log=lines.append, deadline=Deadline(seconds, what="The build"))
    return lines


def test_a_build_that_eats_all_memory_dies_alone(spec: Make, tmp_path: Path) -> None:
    config = EngineConfig(instance="testeater", data_dir=tmp_path / "data", build_memory_mb=256)
    containers = DockerContainers(config)
    hungry = spec('RUN ["python", "-c", "len(b\'1\' * (1 << 30))"]')
    with pytest.raises(BuildFailed) as found:
        build(containers, replace(hungry, no_cache=True))
    assert "exit code" in found.value.sentence and "137" in found.value.sentence
    assert "MIST_BUILD_MEMORY_MB" in found.value.hint
    build(containers, spec('RUN ["python", "-c", "len(bytes(1 << 20))"]'))
    containers.remove_image(IMAGE)


def test_it_builds_tags_and_labels(containers: DockerContainers, spec: Make) -> None:
    build(containers, spec("COPY file /file\nEXPOSE 9000 3000"))
    assert containers.exposed_ports(IMAGE) == (3000, 9000)
    labels = docker.from_env().images.get(IMAGE).labels
    assert labels["mist.instance"] == "testbuild"


def test_a_build_argument_reaches_the_build_and_not_the_log(
    containers: DockerContainers, spec: Make, tmp_path: Path
) -> None:
    steps = 'ARG KEY\nRUN ["python3", "-c", "import os; print(len(os.environ[\'KEY\'])); print(os.environ[\'KEY\'])"]'
    given = replace(spec(steps), args={"KEY": "s3cret-value"}, no_cache=True)
    kept = tmp_path / "1.log"
    with BuildLog(kept, nudge=lambda: None, masker=Masker(given.args.values())) as log:
        for line in build(containers, given):
            log.write("build", line)
    text = kept.read_text()
    assert "s3cret-value" not in text and "••••••" in text
    assert re.search(r"\b12$", text, re.MULTILINE)


def test_a_build_argument_is_not_in_the_words_of_a_failure(
    containers: DockerContainers, spec: Make
) -> None:
    steps = 'ARG KEY\nRUN ["python3", "-c", "import os; raise SystemExit(os.environ[\'KEY\'])"]'
    with pytest.raises(BuildFailed) as found:
        build(containers, replace(spec(steps), args={"KEY": "s3cret-value"}, no_cache=True))
    failure = found.value
    assert "••••••" in failure.detail
    assert "s3cret-value" not in f"{failure.sentence}{failure.hint}{failure.detail}{failure!r}"


def test_a_failing_step_is_named_with_its_last_lines(
    containers: DockerContainers, spec: Make
) -> None:
    steps = 'COPY file /file\nRUN ["python3", "-c", "print(\'almost there\'); raise SystemExit(3)"]'
    with pytest.raises(BuildFailed, match=r"[Bb]uild step 3/\d failed.*3") as failure:
        build(containers, spec(steps))
    assert "almost there" in failure.value.detail


def test_a_file_that_is_not_there_is_named(containers: DockerContainers, spec: Make) -> None:
    with pytest.raises(BuildFailed, match="nothing-here"):
        build(containers, spec("COPY nothing-here /file"))


def test_an_unknown_instruction_is_named_by_line(containers: DockerContainers, spec: Make) -> None:
    with pytest.raises(BuildFailed, match=r"line 2.*FOO"):
        build(containers, spec("FOO bar"))


def test_a_base_image_that_cannot_be_pulled_is_named(
    containers: DockerContainers, spec: Make
) -> None:
    broken = spec("")
    broken.dockerfile.write_text("FROM mist/there-is-none:9\n")
    with pytest.raises(BuildFailed, match=r"mist/there-is-none"):
        build(containers, broken)


@pytest.mark.parametrize("ending", ["timeout", "cancel"])
def test_a_build_that_is_given_up_ends_in_the_engine_too(
    containers: DockerContainers, spec: Make, ending: str
) -> None:
    mark = f"sleep-of-{ending}"
    steps = f'RUN ["python3", "-c", "import time; time.sleep(300)", "{mark}"]'
    begun = False

    def log(text: str) -> None:
        nonlocal begun
        begun = begun or (mark in text)

    def given_up() -> bool:
        return begun and _processes(mark)

    deadline = (
        Deadline(5, what="The build") if ending == "timeout" else Deadline(120, cancelled=given_up)
    )
    with pytest.raises(TimedOut if ending == "timeout" else Cancelled):
        containers.build(spec(steps), log=log, deadline=deadline)
    patience = Deadline(20, what="Ending the build")
    while _processes(mark):
        patience.sleep(0.1)
    assert not containers.image_exists(IMAGE)


def _processes(mark: str) -> bool:
    """Whether the step's own process lives, clients and shells that name it apart."""
    for found in psutil.process_iter(["cmdline", "name"]):
        words = found.info["cmdline"] or []
        if mark in words and words[0].startswith("python"):
            return True
    return False
