"""What a container uses, read from trees of files as kernels lay them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.engine.cgroups import CgroupReader
from apps.engine.host_usage import read_disks, read_facts, read_host
from apps.engine.stats_api import ask_usage, parse_usage
from apps.engine.usage import Usage

ID = "a1e4" * 16
EXPECTED = Usage(
    cpu=22_810, memory=741_376, received=1_616, sent=900, read=4_096, written=12_288, pids=3
)
NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:    5000      50    0    0    0     0          0         0     5000      50    0
  eth0:    1016      12    0    0    0     0          0         0      800       9    0
  eth1:     600       2    0    0    0     0          0         0      100       1    0
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return write(tmp_path / "proc", {"11464/net/dev": NET})


def first(tmp_path: Path, place: str) -> Path:
    """A tree of version 1."""
    return write(
        tmp_path / "v1",
        {
            f"cpuacct/{place}/cpuacct.usage": "22810681\n",
            f"memory/{place}/memory.usage_in_bytes": "2723840\n",
            f"memory/{place}/memory.stat": "inactive_file 7\ncache 9\ntotal_inactive_file 1982464\n",
            f"blkio/{place}/blkio.throttle.io_service_bytes": (
                "8:0 Read 4000\n8:0 Write 12288\n8:0 Sync 0\n8:0 Total 16384\n"
                "8:16 Read 96\n8:16 Write 0\nTotal 16384\n"
            ),
            f"pids/{place}/pids.current": "3\n",
            f"pids/{place}/cgroup.procs": "11464\n11480\n",
        },
    )


def second(tmp_path: Path, place: str) -> Path:
    """A tree of version 2."""
    return write(
        tmp_path / "v2",
        {
            "cgroup.controllers": "cpuset cpu io memory pids\n",
            f"{place}/cpu.stat": "usage_usec 22810\nuser_usec 20000\nsystem_usec 2810\n",
            f"{place}/memory.current": "2723840\n",
            f"{place}/memory.stat": "anon 700000\ninactive_anon 4\ninactive_file 1982464\nslab 1\n",
            f"{place}/io.stat": (
                "8:0 rbytes=4000 wbytes=12288 rios=1 wios=3 dbytes=0 dios=0\n8:16 rbytes=96 rios=1\n"
            ),
            f"{place}/pids.current": "3\n",
            f"{place}/cgroup.procs": "11464\n11480\n",
        },
    )


@pytest.mark.parametrize("tree", [first, second])
@pytest.mark.parametrize("place", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"])
def test_it_reads_both_versions_of_control_groups_and_both_drivers(
    tmp_path: Path, proc: Path, tree: Any, place: str
) -> None:
    assert CgroupReader(tree(tmp_path, place), proc).read([ID]) == {ID: EXPECTED}


@pytest.mark.parametrize("tree", [first, second])
def test_it_leaves_out_what_does_not_run(tmp_path: Path, proc: Path, tree: Any) -> None:
    reader = CgroupReader(tree(tmp_path, f"docker/{ID}"), proc)
    assert list(reader.read(["gone", ID, "ended"])) == [ID]
    (proc / "11464/net/dev").unlink()  # ended while it was read
    assert reader.read([ID]) == {}


def test_it_reads_kernels_without_block_accounting(tmp_path: Path, proc: Path) -> None:
    root = second(tmp_path, f"docker/{ID}")
    (root / f"docker/{ID}/io.stat").unlink()
    usage = CgroupReader(root, proc).read([ID])[ID]
    assert (usage.read, usage.written, usage.memory) == (0, 0, EXPECTED.memory)


STATS: dict[str, Any] = {
    "pids_stats": {"current": 3},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4_096},
            {"major": 8, "minor": 0, "op": "write", "value": 12_288},
            {"major": 8, "minor": 0, "op": "Total", "value": 16_384},
        ]
    },
    "cpu_stats": {"cpu_usage": {"total_usage": 22_810_681}},
    "memory_stats": {"usage": 2_723_840, "stats": {"total_inactive_file": 1_982_464}},
    "networks": {
        "eth0": {"rx_bytes": 1_016, "tx_bytes": 800},
        "eth1": {"rx_bytes": 600, "tx_bytes": 100},
    },
}


def test_it_understands_the_engines_own_statistics() -> None:
    assert parse_usage(STATS) == EXPECTED
    unified = json.loads(json.dumps(STATS).replace("total_inactive_file", "inactive_file"))
    assert parse_usage(unified) == EXPECTED
    assert parse_usage({"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}) is None


def test_it_asks_the_engine_about_each_container() -> None:
    answers: dict[str, dict[str, Any]] = {"one": STATS, "two": {"memory_stats": {}}}
    assert ask_usage(["one", "two"], lambda one: answers[one]) == {"one": EXPECTED}
    assert ask_usage([], lambda one: STATS) == {}


def test_it_measures_the_machine(tmp_path: Path) -> None:
    host, facts = read_host(), read_facts()
    assert host.cpu > 0 and 0 < host.memory < facts.memory
    assert facts.cores >= 1 and facts.name and facts.kernel
    assert read_host().cpu >= host.cpu


def test_it_names_a_filesystem_once_for_all_that_it_holds(tmp_path: Path) -> None:
    disks = read_disks([(tmp_path, "data"), (tmp_path, "images"), (tmp_path / "no", "nothing")])
    assert [(disk.path, disk.what) for disk in disks] == [(str(tmp_path), "data, images")]
    assert 0 < disks[0].share <= 1
