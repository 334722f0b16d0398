"""Viewers of a log for `./mist bench`, in a process of their own: many WebSockets, and beside them
`docker logs` to compare with.

    python -m apps.engine.bench_viewers '{"port": 8080, "viewers": 10, …}'

Lines are `<number> <nanoseconds of the monotonic clock>`. While it measures, a viewer only notes
which bytes came when; they are read afterwards, so that the viewers themselves cost little.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from apps.engine.bench import cpu_seconds, resident_mb

TAKEN_EVERY = 64 * 1024
CONNECT_AT_ONCE = 20


@dataclass(frozen=True)
class Order:
    """What to do."""

    port: int
    cookie: str
    path: str
    at: str
    container: str
    pid: int
    viewers: int
    seconds: float


class Viewer(asyncio.Protocol):
    """One page's WebSocket: notes frames as they come and tells how far it is, as pages do."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._buffer = bytearray()
        self._is_open = False
        self._taken = 0
        self._unsaid = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.frames: list[tuple[int, bytes]] = []
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"127.0.0.1:{self._order.port}"
        transport.write(
            f"GET /ws/page/?path={self._order.path}&log.at={self._order.at} HTTP/1.1\r\n"
            f"Host: {host}\r\nOrigin: http://{host}\r\nCookie: {self._order.cookie}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._buffer += data
        if not self._is_open:
            head, mark, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not mark:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError(head[:200].decode("latin-1")))
                return
            self._buffer, self._is_open = bytearray(rest), True
            self.opened.set_result(None)
        while (frame := self._next()) is not None:
            if frame.startswith(b'{"log"'):
                self.frames.append((now, frame))
                self._taken += 1
                self._unsaid += len(frame)
        if self._unsaid > TAKEN_EVERY:
            self._unsaid = 0
            self._say(json.dumps({"log": {"taken": self._taken}}).encode())

    def _next(self) -> bytes | None:
        """The next whole frame's payload."""
        data = self._buffer
        if len(data) < 2:
            return None
        size, at = data[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        if len(data) < at + size or (at > 2 and len(data) < at):
            return None
        kind, payload = data[0] & 15, bytes(data[at : at + size])
        del data[: at + size]
        if kind == 9:
            self._say(payload, kind=10)
        return payload if kind == 1 else b""

    def _say(self, payload: bytes, *, kind: int = 1) -> None:
        self._transport.write(bytes((128 | kind, 128 | len(payload), 0, 0, 0, 0)) + payload)

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def lines(self) -> list[tuple[int, int, int]]:
        """(number, written, arrived) of each line, in the order they came."""
        found = []
        for now, frame in self.frames:
            for line in json.loads(frame)["log"]["lines"]:
                if line[2] != "rule":
                    number, written = line[4].split()[:2]
                    found.append((int(number), int(written), now))
        return found


def docker_lines(container: str, seconds: float) -> None:
    """Print, in the end, when `docker logs --follow` showed which line."""
    argv = ["docker", "logs", "--follow", "--tail=0", container]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    until, rest, found = time.monotonic() + seconds, b"", []
    handle = process.stdout.fileno()
    while time.monotonic() < until and (block := os.read(handle, 65536)):
        now = time.monotonic_ns()
        *lines, rest = (rest + block).split(b"\n")
        found += [(int(line.split()[0]), now) for line in lines]
    process.kill()
    sys.stdout.write(json.dumps(found))


async def watch(order: Order) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    viewers: list[Viewer] = []
    limit = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def join() -> None:
        async with limit:
            _, viewer = await loop.create_connection(lambda: Viewer(order), "127.0.0.1", order.port)
            viewers.append(viewer)
            await asyncio.wait_for(viewer.opened, 60)

    await asyncio.gather(*(join() for _ in range(order.viewers)))
    await asyncio.sleep(2)
    beside = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "apps.engine.bench_viewers",
        json.dumps([order.container, order.seconds + 1]),
        stdout=subprocess.PIPE,
    )
    await asyncio.sleep(1)
    used, began = cpu_seconds(order.pid), time.monotonic()
    begin = time.monotonic_ns()
    await asyncio.sleep(order.seconds - 1)
    end = time.monotonic_ns()
    cpu = (cpu_seconds(order.pid) - used) / (time.monotonic() - began)
    rss = resident_mb(order.pid)
    out, _ = await beside.communicate()
    await asyncio.sleep(0.5)
    for viewer in viewers:
        viewer.leave()
    shown = dict(json.loads(out))
    return _figures(viewers, shown, begin, end) | {
        "server_cpu_percent": round(cpu * 100, 1),
        "server_rss_mb": round(rss, 1),
    }


def _figures(
    viewers: list[Viewer], shown: dict[int, int], begin: int, end: int
) -> dict[str, float]:
    """Milliseconds, and lines that are missing or came twice or out of order."""
    above, whole, bare, lost, again = [], [], [], 0, 0
    for viewer in viewers:
        lines = viewer.lines()
        numbers = [number for number, _, _ in lines]
        if not numbers:
            lost += 1
            continue
        lost += numbers[-1] - numbers[0] + 1 - len(set(numbers))
        again += sum(b <= a for a, b in itertools.pairwise(numbers))
        for number, written, arrived in lines:
            if begin <= written <= end and number in shown:
                above.append((arrived - shown[number]) / 1e6)
                whole.append((arrived - written) / 1e6)
                bare.append((shown[number] - written) / 1e6)
    return {
        "lines": len(above),
        "lost": lost,
        "twice": again,
        "above_docker_p50_ms": _quantile(above, 0.5),
        "above_docker_p95_ms": _quantile(above, 0.95),
        "above_docker_p99_ms": _quantile(above, 0.99),
        "docker_logs_p95_ms": _quantile(bare, 0.95),
        "viewer_p95_ms": _quantile(whole, 0.95),
    }


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) if ordered else -1.0


def main() -> None:
    order = json.loads(sys.argv[1])
    if isinstance(order, list):
        docker_lines(order[0], order[1])
    else:
        sys.stdout.write(json.dumps(asyncio.run(watch(Order(**order)))))


if __name__ == "__main__":
    main()
