"""A process known by its pid file, whatever happens to the machine in between."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from apps.engine import process


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "it.pid"


def change(pid_file: Path, **facts: object) -> None:
    pid_file.write_text(json.dumps(json.loads(pid_file.read_text()) | facts))


def test_it_is_the_same_whatever_the_clock_says(pid_file: Path) -> None:
    process.remember(pid_file, os.getpid())
    assert process.living_pid(pid_file) == os.getpid()
    # Seconds since 1970 move when the clock of the machine is set; nothing of them is in there.
    boot, ticks = json.loads(pid_file.read_text())["began"].split()
    assert boot == process.BOOT_ID.read_text().strip()
    since_boot = int(ticks) / os.sysconf("SC_CLK_TCK")
    assert since_boot == pytest.approx(psutil.Process().create_time() - psutil.boot_time(), abs=1.0)


@pytest.mark.parametrize(
    "began",
    [
        pytest.param("another-boot {ticks}", id="before the reboot"),
        pytest.param("{boot} 1", id="the pid is used again"),
        pytest.param("", id="nothing known"),
    ],
)
def test_another_process_with_its_pid_is_not_it(pid_file: Path, began: str) -> None:
    process.remember(pid_file, os.getpid())
    boot, ticks = json.loads(pid_file.read_text())["began"].split()
    change(pid_file, began=began.format(boot=boot, ticks=ticks))
    assert process.living_pid(pid_file) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}'])
def test_a_file_that_a_power_cut_has_spoilt_names_nobody(pid_file: Path, text: str) -> None:
    pid_file.write_text(text)
    assert process.living_pid(pid_file) is None


def test_a_file_of_an_earlier_mist_is_understood(pid_file: Path) -> None:
    """An upgrade finds the Traefik that serves."""
    known = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    pid_file.write_text(json.dumps(known))
    assert process.living_pid(pid_file) == os.getpid()
    change(pid_file, started=1.0)
    assert process.living_pid(pid_file) is None
