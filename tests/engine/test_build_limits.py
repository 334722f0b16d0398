"""The control group of builds, as files of either version and as a slice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from apps.engine import build_limits
from apps.engine.build_limits import BuildLimits, build_group, limits_of, make_group, make_slice
from apps.engine.data import EngineConfig

LIMITS = BuildLimits(memory_bytes=512 * 1024**2, cpus=1.5)


def test_it_writes_the_limits_of_version_one(tmp_path: Path) -> None:
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    assert make_group(tmp_path, "mist-build-x", LIMITS) == "/mist-build-x"
    memory, cpu = tmp_path / "memory/mist-build-x", tmp_path / "cpu/mist-build-x"
    assert (memory / "memory.limit_in_bytes").read_text() == "536870912"
    assert (memory / "memory.memsw.limit_in_bytes").read_text() == "536870912"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000"
    assert (cpu / "cpu.cfs_period_us").read_text() == "100000"


def test_it_writes_the_limits_of_version_two(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    assert make_group(tmp_path, "mist-build-x", LIMITS) == "/mist-build-x"
    group = tmp_path / "mist-build-x"
    assert (group / "memory.max").read_text() == "536870912"
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "cpu.max").read_text() == "150000 100000"


def test_it_changes_the_limits_of_a_group_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    make_group(tmp_path, "mist-build-x", LIMITS)
    make_group(tmp_path, "mist-build-x", BuildLimits(memory_bytes=1024, cpus=4))
    assert (tmp_path / "mist-build-x" / "memory.max").read_text() == "1024"


def test_it_makes_a_slice_and_reloads_only_for_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def run(argv: list[str], **options: object) -> None:
        called.append(argv)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(build_limits, "UNITS", tmp_path)
    for _ in range(2):
        assert make_slice("mist-build-x.slice", LIMITS) == "mist-build-x.slice"
    text = (tmp_path / "mist-build-x.slice").read_text()
    assert "MemoryMax=536870912" in text and "CPUQuota=150%" in text
    start = ["systemctl", "start", "mist-build-x.slice"]
    assert called == [["systemctl", "daemon-reload"], start, start]


def test_builds_leave_something_to_the_host_by_default(tmp_path: Path) -> None:
    limits = limits_of(EngineConfig(instance="x", data_dir=tmp_path))
    assert limits.memory_bytes < psutil.virtual_memory().total
    assert limits.cpus < max(1, psutil.cpu_count() or 1)
    chosen = EngineConfig(instance="x", data_dir=tmp_path, build_memory_mb=100, build_cpus=0.5)
    assert limits_of(chosen) == BuildLimits(memory_bytes=100 * 1024**2, cpus=0.5)


def test_the_operators_own_group_wins_and_a_far_engine_has_none(tmp_path: Path) -> None:
    own = EngineConfig(instance="x", data_dir=tmp_path, build_cgroup="/ours")
    assert build_group(own) == "/ours"
    far = EngineConfig(instance="x", data_dir=tmp_path, docker_host="tcp://192.0.2.1:2375")
    assert build_group(far) == ""
