"""The fake engine of a Mist that has seen things: what `fill` leaves, serving goes on with.

MIST_ENGINE=tests.browser.filled. A build waits while `hold` is in the data directory, and the engine
says nothing of containers while `silent` is.
"""

from __future__ import annotations

import builtins
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.engine.data import BuildSpec, Container, EngineConfig, LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine, FakeProxy
from apps.engine.fake_containers import FakeContainers
from apps.engine.fake_faults import Call
from apps.engine.fake_git import FakeGit

SILENCE = "The Docker engine does not answer."
OUTPUT = [
    "INFO:     Uvicorn running on http://0.0.0.0:8000",
    'INFO:     10.192.3.1:51234 - "GET /healthz HTTP/1.1" 200 OK',
    "\x1b[33mWARNING:  Pool is at 18 of 20 connections\x1b[0m",
    'INFO:     10.192.3.1:51236 - "POST /refunds HTTP/1.1" 201 Created',
]
BUILD = [
    "#5 [1/5] FROM docker.io/library/python:3.11-slim",
    "#6 [2/5] WORKDIR /app",
    "#7 [3/5] COPY requirements.txt .",
    "#8 [4/5] RUN pip install -r requirements.txt",
    "#8 1.204 Collecting fastapi==0.139.0",
    "#8 2.871 \x1b[33mWARNING: Running pip as the 'root' user\x1b[0m",
    "#8 6.430 Successfully installed fastapi-0.139.0 uvicorn-0.51.0",
    "#9 [5/5] COPY . .",
]


class Builder(FakeContainers):
    """Writes what a build writes, and waits while it is told to."""

    hold: Path
    silent: Path

    def list(self, *, labels: Mapping[str, str]) -> builtins.list[Container]:
        if self.silent.exists():
            raise EngineUnavailable(SILENCE)
        return super().list(labels=labels)

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        for line in BUILD:
            log(line)
        while self.hold.exists():
            deadline.check()
            time.sleep(0.05)
        return super().build(spec, log=log, deadline=deadline)


def make_engine(config: EngineConfig) -> FakeEngine:
    calls: list[Call] = []
    containers = Builder(calls)
    containers.hold = config.data_dir / "hold"
    containers.silent = config.data_dir / "silent"
    containers.says = list(OUTPUT)
    git, proxy = FakeGit(calls), FakeProxy(containers, calls)
    proxy.ensure_running()
    kept = _kept(config.data_dir)
    if kept.exists():
        state: dict[str, Any] = pickle.loads(kept.read_bytes())
        containers.all, containers.specs = state["all"], state["specs"]
        containers.images, containers.networks = state["images"], state["networks"]
        containers.others, containers.cache = state["others"], state["cache"]
        containers.image_labels = state["image_labels"]
        containers.contents, containers.published = state["contents"], state["published"]
        containers.tags, containers.logins = state["tags"], state["logins"]
        git.commits, proxy.routes = state["commits"], state["routes"]
    return FakeEngine(git=git, containers=containers, proxy=proxy, config=config, calls=calls)


def _kept(data_dir: Path) -> Path:
    return data_dir / "fake-engine.pickle"


def keep(engine: FakeEngine) -> None:
    """Leave the engine's state to the process that serves."""
    state = {
        "all": engine.containers.all,
        "specs": engine.containers.specs,
        "images": engine.containers.images,
        "others": engine.containers.others,
        "cache": engine.containers.cache,
        "image_labels": engine.containers.image_labels,
        "contents": engine.containers.contents,
        "published": engine.containers.published,
        "tags": engine.containers.tags,
        "logins": engine.containers.logins,
        "networks": engine.containers.networks,
        "commits": engine.git.commits,
        "routes": engine.proxy.routes,
    }
    _kept(engine.config.data_dir).write_bytes(pickle.dumps(state))
