"""The same laws on PostgreSQL: the tests of the trail and its pages, run there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import docker
import psycopg
import pytest
from django.conf import settings
from docker.errors import ImageNotFound

from apps.engine.bench import free_ports
from tests.machine.needed import lacking
from tests.machine.split_parts import PARTS_IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.long(5)]
PASSWORD = "only-for-this-test"
TESTS = ("tests/audit/test_event_keep.py", "tests/audit/test_page_show.py", "tests/live")


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of an empty one; lacking where its image could not be made."""
    client = docker.from_env()
    try:
        client.images.get(PARTS_IMAGE)
    except ImageNotFound:
        lacking("./mist test could not make the image that PostgreSQL is in")
    [port] = free_ports(1)
    names = {"POSTGRES_USER": "mist", "POSTGRES_DB": "mist", "POSTGRES_PASSWORD": PASSWORD}
    container = client.containers.run(
        PARTS_IMAGE, "postgres", detach=True, environment=names, ports={"5432/tcp": ("127.0.0.1", port)}
    )  # fmt: skip
    try:
        url = f"postgres://mist:{PASSWORD}@127.0.0.1:{port}/mist"
        until = time.monotonic() + 180
        while True:
            try:
                psycopg.connect(
                    url.replace("postgres://", "postgresql://"), connect_timeout=2
                ).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        container.remove(force=True, v=True)


def test_the_trail_keeps_its_promises_on_postgresql(postgresql: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=settings.BASE_DIR,
        env={**os.environ, "TEST_DATABASE_URL": postgresql},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout or "100%" in done.stdout
