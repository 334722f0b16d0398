"""What containers use, asked of the engine: where its files cannot be read, because it runs
elsewhere, in a virtual machine of its own (Docker Desktop) or without root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import APIError

from apps.engine.usage import Usage

_AT_ONCE = 8
"""Requests in parallel: each takes a few milliseconds, nearly all of them waiting."""

Ask = Callable[[str], Mapping[str, Any]]


def ask_usage(container_ids: Iterable[str], ask: Ask) -> dict[str, Usage]:
    """Container id → what it has used. `ask` gets the engine's one-shot statistics of one
    container (`/containers/<id>/stats?stream=false&one-shot=true`) and raises `APIError` when
    there is no such container."""
    wanted = list(container_ids)
    if not wanted:
        return {}

    def one(container_id: str) -> Usage | None:
        try:
            return parse_usage(ask(container_id))
        except APIError:
            return None

    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="stats") as pool:
        found = zip(wanted, pool.map(one, wanted), strict=True)
        return {container_id: usage for container_id, usage in found if usage is not None}


def parse_usage(stats: Mapping[str, Any]) -> Usage | None:
    """None for a container that does not run: the engine answers zeros for it."""
    memory = stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    detail = memory.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    networks = (stats.get("networks") or {}).values()
    blocks = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return Usage(
        cpu=int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) // 1000,
        memory=max(0, int(memory["usage"]) - int(cache)),
        received=sum(int(network["rx_bytes"]) for network in networks),
        sent=sum(int(network["tx_bytes"]) for network in networks),
        read=_sum_of(blocks, "read"),
        written=_sum_of(blocks, "write"),
        pids=int((stats.get("pids_stats") or {}).get("current", 0)),
    )


def _sum_of(blocks: Iterable[Mapping[str, Any]], kind: str) -> int:
    return sum(int(block["value"]) for block in blocks if block["op"].lower() == kind)
