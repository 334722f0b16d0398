"""Where a build's secret values lie while the docker client reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine import build as building
from apps.engine.build import find_buildkit
from apps.engine.data import BuildSpec, EngineConfig
from apps.engine.deadline import Deadline

CLIENT = """#!/bin/sh
[ "$1" = buildx ] && exit 0
echo "$TMPDIR"
for word in "$@"; do case "$word" in
    --secret=*) path="${word#*src=}"; echo "$path"; stat -c %a "$path"; cat "$path"; echo;;
esac; done
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A docker client that only says what it was given."""
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(CLIENT)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    find_buildkit.cache_clear()
    yield
    find_buildkit.cache_clear()


def test_they_lie_where_the_next_mist_takes_away_what_a_killed_one_left(
    client: None, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    config = EngineConfig(instance="test", data_dir=tmp_path / "data", build_cgroup="/none")
    spec = BuildSpec(
        tmp_path, tmp_path / "Dockerfile", "mist/a:1", secrets={"TOKEN": "hush-hush-1"}
    )
    said: list[str] = []
    building.build(config, spec, log=said.append, deadline=Deadline(20))
    folder, path, mode, value = said
    assert (mode, value) == ("600", "hush-hush-1")
    assert Path(path).parent == Path(folder) and Path(folder).parent == config.keys_room
    assert list(config.keys_room.glob("in-use-*")) == []
