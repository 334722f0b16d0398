"""What a test of `compose.yaml` needs where no image registry can be reached: Compose 2, a docker
client with BuildKit for Mist's own image, and one image that is Redis, PostgreSQL and Traefik.

Compose and the client are Debian 13's packages. They are unpacked beside the system, not installed:
installing them on Debian 12 would replace the engine that runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from apps.engine.build import find_buildkit
from apps.engine.errors import HostProblem

ROOT = Path(__file__).resolve().parents[2]
MIST_IMAGE = "mist-tests/mist:1"
CLI_IMAGE = "mist-tests/docker-cli:1"
PARTS_IMAGE = "mist-tests/parts:1"
_PACKAGES = ("docker-compose", "docker-cli", "docker-buildx")
_SOURCES = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} trixie main\n"
_PLUGINS = Path("usr/libexec/docker/cli-plugins")
_PARTS = """\
FROM debian:bookworm-slim
RUN apt-get update -q \\
 && apt-get install -y -q --no-install-recommends redis-server postgresql busybox-static \\
 && ln -s /bin/busybox /usr/local/bin/nc && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \\
 && rm -rf /var/lib/apt/lists/*
COPY start /usr/local/bin/
COPY traefik /usr/local/bin/
ENTRYPOINT ["start"]
"""
_START = """\
#!/bin/sh
# As the official images: what is asked for decides which one this is.
set -e
case "${1:-postgres}" in
  --*) exec traefik "$@" ;;
  redis-server) shift; exec redis-server --protected-mode no "$@" ;;
  postgres) ;;
  *) exec "$@" ;;
esac
data=/var/lib/postgresql/data
if [ ! -f "$data/PG_VERSION" ]; then
  install -d -o postgres -m 700 "$data"
  printf %s "$POSTGRES_PASSWORD" >/tmp/password
  chown postgres /tmp/password
  setpriv --reuid postgres --clear-groups initdb -D "$data" -U "$POSTGRES_USER" -A scram-sha-256 \\
    --pwfile /tmp/password >/dev/null
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  rm /tmp/password
  echo "CREATE DATABASE $POSTGRES_DB" | setpriv --reuid postgres --clear-groups \\
    postgres --single -j -D "$data" postgres >/dev/null
fi
install -d -o postgres /var/run/postgresql
exec setpriv --reuid postgres --clear-groups postgres -D "$data" -c listen_addresses=*
"""


def compose_program(cache: Path) -> Path:
    """Where `make_split_parts` has put Compose."""
    return cache / "trixie" / _PLUGINS / "docker-compose"


def make_split_parts(client: docker.DockerClient, *, cache: Path, mirror: str) -> None:
    """All of it, unless it is there. Raises `HostProblem`."""
    if not compose_program(cache).is_file():
        print(f"Fetching {', '.join(_PACKAGES)} of Debian 13")
        _fetch(cache, mirror)
    if not _exists(client, CLI_IMAGE):
        print(f"Making {CLI_IMAGE}")
        _make_cli(client, cache / "trixie")
    if not _exists(client, PARTS_IMAGE):
        print(f"Making {PARTS_IMAGE}")
        _make_parts(client)
    if not _exists(client, MIST_IMAGE):
        print(f"Making {MIST_IMAGE} (minutes)")
        build_mist()


def build_mist() -> None:
    """Mist's own image of the code as it is now: what has not changed is not made again. Raises
    `HostProblem`."""
    client = find_buildkit()
    if client is None:
        raise HostProblem("There is no docker client with BuildKit.")
    bases = {"PYTHON_IMAGE": "python:3.11-slim", "DOCKER_CLI_IMAGE": CLI_IMAGE}
    arguments = [f"--build-arg={name}={image}" for name, image in bases.items()]
    argv = [client, "build", "--quiet", *arguments, f"--tag={MIST_IMAGE}", "."]
    _run(argv, ROOT, DOCKER_BUILDKIT="1")


def _fetch(cache: Path, mirror: str) -> None:
    """Download with lists of their own, so that apt's are as they were, and unpack."""
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "sources.list").write_text(_SOURCES.format(mirror))
        (folder / "lists" / "partial").mkdir(parents=True)
        own = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "APT::Sandbox::User": "root",
        }
        options = [word for key, value in own.items() for word in ("-o", f"{key}={value}")]
        _run(["apt-get", "-q", *options, "update"], folder)
        _run(["apt-get", "-q", *options, "download", *_PACKAGES], folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "--extract", str(package), "root"], folder)
        shutil.rmtree(cache / "trixie", ignore_errors=True)
        (folder / "root").rename(cache / "trixie")


def _make_cli(client: docker.DockerClient, unpacked: Path) -> None:
    """The client where the official image `docker:cli` has it."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(file.name, "w") as tar:
            tar.add(unpacked / "usr/bin/docker", "usr/local/bin/docker")
            tar.add(
                unpacked / _PLUGINS / "docker-buildx",
                "usr/local/libexec/docker/cli-plugins/docker-buildx",
            )
        repository, _, tag = CLI_IMAGE.partition(":")
        client.api.import_image_from_file(file.name, repository=repository, tag=tag)


def _make_parts(client: docker.DockerClient) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text(_PARTS)
        (folder / "start").write_text(_START)
        (folder / "start").chmod(0o755)
        shutil.copy(Path(sys.executable).parent / "traefik", folder / "traefik")
        client.images.build(path=name, tag=PARTS_IMAGE, rm=True, forcerm=True)


def _exists(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _run(argv: list[str], folder: Path, **more: str) -> None:
    done = subprocess.run(
        argv, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise HostProblem(f"{Path(argv[0]).name} {argv[1]} failed.", detail=last)
