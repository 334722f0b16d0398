"""Containers that run on while the engine restarts: set where Mist installs it, advised elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.engine.errors import EngineAway
from apps.engine.host import check_live_restore
from apps.engine.install import set_live_restore


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, {"live-restore": True}, id="no file"),
        pytest.param("", {"live-restore": True}, id="empty file"),
        pytest.param(
            '{"dns": ["192.0.2.1"], "bip": "172.20.0.1/16"}',
            {"dns": ["192.0.2.1"], "bip": "172.20.0.1/16", "live-restore": True},
            id="other settings stay",
        ),
        pytest.param('{"live-restore": false}', {"live-restore": False}, id="somebody's choice"),
    ],
)
def test_it_is_added_to_what_is_there(
    tmp_path: Path, before: str | None, after: dict[str, object]
) -> None:
    path = tmp_path / "docker" / "daemon.json"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
        path.chmod(0o600)
    set_live_restore(path, print)
    assert json.loads(path.read_text()) == after
    assert before is None or path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("before", ["{broken", "[]", '{"dns": '])
def test_a_file_that_is_not_understood_stays(tmp_path: Path, before: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(before)
    said: list[str] = []
    set_live_restore(path, said.append)
    assert path.read_text() == before and "left as it is" in said[0]


def test_the_doctor_advises_it_where_it_is_off() -> None:
    on, off = check_live_restore(lambda: True), check_live_restore(lambda: False)
    assert on is not None and on.ok and on.says.startswith("on")
    assert off is not None and not off.ok and not off.needed
    assert '"live-restore": true' in off.hint and "/etc/docker/daemon.json" in off.hint


def test_nothing_is_said_in_a_swarm_or_of_an_engine_that_is_away() -> None:
    def away() -> bool:
        raise EngineAway("The Docker engine does not answer.")

    assert check_live_restore(lambda: None) is None
    assert check_live_restore(away) is None
