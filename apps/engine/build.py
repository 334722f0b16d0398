"""Building images: BuildKit through the docker command line, else the engine's own API."""

from __future__ import annotations

import functools
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from apps.engine.base_image import SAMPLE_BASE, ensure_sample_base
from apps.engine.build_api import build_with_api
from apps.engine.build_arguments import split_arguments
from apps.engine.build_errors import BuildOutput, is_noise
from apps.engine.build_limits import build_group
from apps.engine.data import BuildSpec, EngineConfig, LineSink
from apps.engine.deadline import Deadline
from apps.engine.masking import Masker
from apps.engine.private_files import private_files

POLL_SECONDS = 0.2


def build(config: EngineConfig, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> None:
    """Build and tag the image, each line of output going to `log` as it comes: whoever keeps it
    hides what must not be seen, for a value may go on in the next line.

    Raises `BuildFailed`, `OutOfDisk`, `TimedOut`, `Cancelled`, whose words hold no value of `spec`.
    """
    output = BuildOutput(spec)
    hide = Masker({*spec.args.values(), *spec.secrets.values()}).text

    def take(text: str) -> None:
        if not is_noise(text):
            # Before anything is cut out of it: half a value could not be told.
            output.add(hide(text))
            log(text)

    if SAMPLE_BASE in spec.dockerfile.read_text(errors="replace"):
        # No registry has that one: Mist brings it.
        ensure_sample_base(log=take, deadline=deadline, docker_host=config.docker_host)
    client = find_buildkit()
    if client is None:
        build_with_api(config, spec, log=take, hide=hide, deadline=deadline)
        return
    status = _run_client(client, config, spec, take, deadline)
    if status != 0:
        raise output.failure(status)


@functools.cache
def find_buildkit() -> str | None:
    """A docker client that can BuildKit: it has buildx, or is older than 23, which has it built in.

    A bare client without the plugin may come first on PATH, so each is asked.
    """
    folders = [*os.get_exec_path(), "/usr/bin", "/usr/local/bin"]
    for path in dict.fromkeys(str(Path(folder) / "docker") for folder in folders):
        if not os.access(path, os.X_OK):
            continue
        if _says(path, "buildx", "version") is not None:
            return path
        version = _says(path, "version", "--format", "{{.Client.Version}}") or ""
        if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < 23:
            return path
    return None


def _says(path: str, *words: str) -> str | None:
    try:
        done = subprocess.run([path, *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # `docker version` exits with 1 when only the engine is missing, its client part is there.
    return done.stdout.strip() if done.returncode == 0 or done.stdout.strip() else None


def _run_client(
    client: str,
    config: EngineConfig,
    spec: BuildSpec,
    take: LineSink,
    deadline: Deadline,
) -> int:
    given, held_back = split_arguments(spec.args)
    for name in held_back:
        take(
            f"{name} is no build argument here: programs of the server read variables of that "
            f"name. A step can read it with RUN --mount=type=secret,id={name}."
        )
    secrets = {f"secret-{number}": value for number, value in enumerate(spec.secrets.values())}
    # One that a killed Mist has left goes with the next, or when Mist starts.
    with private_files(config.keys_room, secrets) as scratch:
        argv = [*_dying_with_mist(), client, "build", "--progress=plain"]
        argv.append(f"--file={spec.dockerfile}")
        argv.append(f"--tag={spec.image}")
        argv += [f"--label={key}={value}" for key, value in spec.labels.items()]
        # Only the names are on the command line; docker takes the values from its environment.
        argv += [f"--build-arg={name}" for name in given]
        for number, name in enumerate(spec.secrets):
            argv.append(f"--secret=id={name},src={scratch / f'secret-{number}'}")
        if spec.no_cache:
            argv.append("--no-cache")
        if group := build_group(config):
            argv.append(f"--cgroup-parent={group}")
        argv.append(str(spec.context))
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(config, given, scratch),
        )
        with _ended(process):
            for line in _lines(process, deadline):
                take(line)
            return process.wait()


@functools.cache
def _dying_with_mist() -> tuple[str, ...]:
    """Words before a program's own that have the kernel end it when Mist is killed: a build that
    nobody reads would go on in the engine."""
    path = shutil.which("setpriv")
    return (path, "--pdeathsig", "TERM", "--") if path else ()


def _environment(config: EngineConfig, values: Mapping[str, str], scratch: Path) -> dict[str, str]:
    passed = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "DOCKER_CONFIG")}
    passed |= {
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
        "TMPDIR": str(scratch),
    }
    if config.docker_host:
        passed["DOCKER_HOST"] = config.docker_host
    # A build argument of a name that docker itself reads must not change what docker does.
    return {**values, **passed}


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The client and its children are gone afterwards; BuildKit ends a build whose client goes."""
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                try:
                    os.killpg(process.pid, number)
                    process.wait(timeout=1.5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        if process.stdout is not None:
            process.stdout.close()


def _lines(process: subprocess.Popen[bytes], deadline: Deadline) -> Iterator[str]:
    """Each line as soon as it is whole; the deadline is asked at least five times a second."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    rest = b""
    asked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            if selector.select(POLL_SECONDS):
                data = os.read(handle, 65536)
                if not data:
                    break
                *whole, rest = (rest + data.replace(b"\r\n", b"\n")).split(b"\n")
                for line in whole:
                    yield _text(line)
                if len(rest) > 65536:
                    yield _text(rest)
                    rest = b""
            if time.monotonic() - asked >= POLL_SECONDS:
                asked = time.monotonic()
                deadline.check()
    if rest:
        yield _text(rest)


def _text(raw: bytes) -> str:
    return raw.rpartition(b"\r")[2].decode(errors="replace")
