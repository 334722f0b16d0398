"""Mist in parts: `compose.yaml` with Compose 2, on free ports and a data directory of its own."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import docker
from docker.models.containers import Container

from tests.machine.beside import beside
from tests.machine.kept import cache
from tests.machine.live import LiveMist
from tests.machine.split_parts import MIST_IMAGE, PARTS_IMAGE, ROOT, compose_program
from tests.machine.world import sweep

_COLUMNS = ("id", "number", "status", "owner", "container_id", "app_id")
_ROWS = f"""
select {", ".join(f"d.{name}" for name in _COLUMNS)}
from deployments_deployment d
join projects_app a on a.id = d.app_id join projects_project p on p.id = a.project_id
where p.slug = '{{}}' and a.slug = '{{}}' order by d.id
"""


@dataclass
class SplitMist:
    """Its parts, in containers."""

    host: LiveMist
    """The same data directory, ports and settings for `./mist` on the machine."""
    project: str
    env: dict[str, str]

    def compose(self, *words: str, timeout: float = 180) -> str:
        """Compose with these words; what it printed. Raises `AssertionError` when it fails."""
        argv = [str(compose_program(cache())), "--project-name", self.project, *words]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, **scale: int) -> None:
        sizes = [f"--scale={name}={count}" for name, count in scale.items()]
        self.compose("up", "--detach", "--no-build", "--wait", *sizes)

    def run(self, *words: str) -> str:
        """`mist` inside the container that no test ends."""
        return self.compose("exec", "-T", "beat", "mist", *words)

    def ask(self, code: str) -> Any:
        """The JSON that a piece of Python prints inside of Mist."""
        return json.loads(self.run("shell", "-v", "0", "-c", code))

    def do(self, code: str) -> None:
        """A piece of Python, inside of Mist."""
        self.run("shell", "-v", "0", "-c", code)

    def deployments(self, app: str) -> list[dict[str, Any]]:
        """Those of `PROJECT/APP`, oldest first. The database itself is asked: that is quick."""
        rows = self._rows(_ROWS.format(*app.split("/")))
        return [
            dict(zip(_COLUMNS, row, strict=True)) | {"id": int(row[0]), "app_id": int(row[5])}
            for row in rows
        ]

    def _rows(self, question: str) -> list[tuple[Any, ...]]:
        file = self.host.data_dir / "mist.db"
        if file.is_file():
            with closing(sqlite3.connect(file, timeout=20)) as connection:
                return list(connection.execute(question))
        [server] = self.containers("postgres")
        words = ["psql", "--username=mist", "--host=127.0.0.1", "--csv", "-t", "-c", question]
        password = {"PGPASSWORD": self.env["POSTGRES_PASSWORD"]}
        done = server.exec_run(words, environment=password)
        assert done.exit_code == 0 and isinstance(done.output, bytes), done.output
        return [tuple(row) for row in csv.reader(io.StringIO(done.output.decode()))]

    def containers(self, part: str) -> list[Container]:
        """The running ones of a part."""
        client = docker.from_env()
        labels = [
            f"com.docker.compose.project={self.project}",
            f"com.docker.compose.service={part}",
        ]
        return client.containers.list(filters={"label": labels}, ignore_removed=True)

    def dashboard(self) -> int:
        """The status of the login page through Traefik, 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.host.url}/login/", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def instance(self) -> str:
        return (self.host.data_dir / "instance").read_text().strip()

    def apps(self, app: str = "") -> list[Container]:
        """Every container that this Mist made, running or not; those of `PROJECT/APP`."""
        labels = [f"mist.instance={self.instance()}", *([f"mist.name={app}"] if app else [])]
        return docker.from_env().containers.list(
            all=True, filters={"label": labels}, ignore_removed=True
        )


@contextmanager
def split_mist(host: LiveMist, **settings: str) -> Iterator[SplitMist]:
    """Not started yet; afterwards nothing of it is left."""
    images = {
        "MIST_IMAGE": MIST_IMAGE,
        **dict.fromkeys(
            ("MIST_TRAEFIK_IMAGE", "MIST_REDIS_IMAGE", "MIST_POSTGRES_IMAGE"), PARTS_IMAGE
        ),
    }
    split = SplitMist(host, f"mist-split-{host.env['MIST_PORT']}", host.env | images | settings)
    try:
        yield split
    finally:
        split.compose("--profile", "postgres", "down", "--volumes", "--timeout", "1")
        if (host.data_dir / "instance").is_file():
            sweep(split.instance())


@contextmanager
def counted(split: SplitMist, app: str) -> Iterator[set[int]]:
    """How many containers of the app run, at each of many moments."""
    numbers = set[int]()

    def look(over: threading.Event) -> None:
        while not over.wait(0.05):
            numbers.add(sum(one.status == "running" for one in split.apps(app)))

    with beside(look):
        yield numbers


@dataclass
class Probing:
    asked: int = 0
    failures: int = 0
    last: str = ""


@contextmanager
def probing(mist: LiveMist, host: str, *, most: int = 3000) -> Iterator[Probing]:
    """One visitor of the app on this machine, ten times a second, `most` times at most."""
    seen = Probing()

    def visit(over: threading.Event) -> None:
        while not over.is_set() and seen.asked < most:
            try:
                status, body = mist.visit(host)
            except OSError as error:
                status, body = 0, repr(error)
            seen.asked += 1
            if status != 200:
                seen.failures += 1
                seen.last = f"{time.strftime('%X')} {status} {body[:200]}"
            over.wait(0.1)

    with beside(visit):
        yield seen
