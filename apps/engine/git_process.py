"""Run one git command: without a shell, in a session of its own, until it ends or has to end."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from apps.engine.data import LineSink
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed

DEVNULL = subprocess.DEVNULL
_POLL = 0.1
_GRACE = 0.2
"""Seconds that git gets after SIGTERM to remove its lock files."""
_PROGRESS_EVERY = 1.0
_KEPT_LINES = 40
_MAX_LINE = 2_000
_MAX_STDOUT = 64 * 1024 * 1024

_PASSED_ON = (
    "PATH",
    "TMPDIR",
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.unpackLimit=1",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "filter.lfs.smudge=",
    "gc.auto=0",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
)
_LINE_END = re.compile(rb"(?<=\n)|(?<=\r)(?=[^\n])")
"""After a newline, or after a return that overwrites the line (ssh ends lines with both)."""
_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class GitOutput:
    status: int
    stdout: str
    lines: tuple[str, ...]
    """Last lines of stderr, without colours, control characters and passing progress."""

    @property
    def ok(self) -> bool:
        return self.status == 0


def git_environment() -> dict[str, str]:
    """What git and its helpers get to see: nothing of Mist's own settings, and no configuration,
    credentials or prompts of the machine's users."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    refuse = shutil.which("false") or "/bin/false"
    return {
        "PATH": os.defpath,
        **passed,
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh",
        "GIT_ASKPASS": refuse,
        "SSH_ASKPASS": refuse,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        # Nowhere, unless `git_access` says how.
        "GIT_SSH_COMMAND": refuse,
        "GIT_TERMINAL_PROMPT": "0",
    }


def git_command(*arguments: str) -> list[str]:
    options = [word for option in _OPTIONS for word in ("-c", option)]
    return ["git", *options, *arguments]


def run_git(
    arguments: Sequence[str],
    *,
    deadline: Deadline,
    log: LineSink | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
    stdin: int = DEVNULL,
) -> GitOutput:
    """Run git to its end, whatever its exit status; stderr goes to `log` line by line.

    Progress that git overwrites on a terminal is passed on once a second. File descriptors in
    `inherited` stay open in git, so that a lock on one lasts as long as the last of its processes.
    `stdin` is the descriptor of a file that git reads from where it stands: a pipe would have to be
    filled meanwhile.
    Raises what the deadline raises; git and all its children are gone by then.
    """
    return run_program(
        git_command(*arguments),
        deadline=deadline,
        log=log,
        environment=environment,
        inherited=inherited,
        stdin=stdin,
    )


def run_program(
    command: Sequence[str],
    *,
    deadline: Deadline,
    log: LineSink | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
    stdin: int = DEVNULL,
) -> GitOutput:
    """The same for a program that does git's work on another machine: ssh."""
    with _started(command, environment or {}, inherited, stdin) as process:
        stdout = bytearray()
        stderr = _Lines(log)
        for stream, data in _read(process, deadline):
            if stream is process.stderr:
                stderr.feed(data)
            elif len(stdout) + len(data) > _MAX_STDOUT:
                raise CloneFailed("The repository has more branches and tags than Mist can list.")
            else:
                stdout += data
        stderr.close()
    status = process.wait()
    return GitOutput(status, stdout.decode("utf-8", "replace"), tuple(stderr.kept))


@contextlib.contextmanager
def _started(
    command: Sequence[str],
    environment: Mapping[str, str],
    inherited: Sequence[int],
    stdin: int,
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            command,
            env={**git_environment(), **environment},
            # Not where Mist was started: that folder may be a repository with settings of its own.
            cwd="/",
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=inherited,
            start_new_session=True,
        )
    except FileNotFoundError:
        package = {"ssh": "openssh-client"}.get(command[0], command[0])
        raise CloneFailed(
            f"The program {command[0]} is not installed.", hint=f"Install it: apt install {package}"
        ) from None
    try:
        yield process
    finally:
        end_session(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _read(
    process: subprocess.Popen[bytes], deadline: Deadline
) -> Iterator[tuple[IO[bytes] | None, bytes]]:
    """Both outputs as they come. Ends with git itself, even when a helper that outlives it holds
    the pipes open."""
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            deadline.check()
            ended = _has_ended(process)
            ready = selector.select(0 if ended else _POLL)
            if ended and not ready:
                return
            for key, _ in ready:
                if data := os.read(key.fd, 65_536):
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)
        while not _has_ended(process):
            deadline.sleep(0.01)


class _Lines:
    """Cuts a byte stream into lines as a terminal would show them."""

    def __init__(self, log: LineSink | None) -> None:
        self.kept: deque[str] = deque(maxlen=_KEPT_LINES)
        self._log = log
        self._rest = b""
        self._shown = time.monotonic()

    def feed(self, data: bytes) -> None:
        *pieces, self._rest = _LINE_END.split(self._rest + data)
        for piece in pieces:
            self._take(piece)
        if len(self._rest) > _MAX_LINE:
            self.close()

    def close(self) -> None:
        """What came without a newline is a line too."""
        rest, self._rest = self._rest, b""
        self._take(rest + b"\n")

    def _take(self, piece: bytes) -> None:
        line = _NOISE.sub("", piece.decode("utf-8", "replace")).rstrip()[:_MAX_LINE]
        if not line:
            return
        if piece.endswith(b"\r"):
            if time.monotonic() - self._shown < _PROGRESS_EVERY:
                return
            self._shown = time.monotonic()
        else:
            self.kept.append(line)
        if self._log is not None:
            self._log(line)


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End whatever still runs in the process's session, within half a second, and reap it.

    Nothing is reaped before the last signal: until then the kernel cannot give its number to
    another process.
    """
    if process.returncode is not None:
        return
    if not _has_ended(process):
        _signal_group(process, signal.SIGTERM)
        until = time.monotonic() + _GRACE
        while not _has_ended(process) and time.monotonic() < until:
            time.sleep(0.01)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
