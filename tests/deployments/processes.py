"""Mist's processes on one thread, stopped and killed at any call.

Each job of a process is a greenlet. It comes back to the test before every call of the fake engine
and before every write to the database that begins a transaction: there the test may go on with
another job, change the world, let the call fail, or kill the process. What is killed does nothing
any more, as after a `kill -9`: `finally` and undo still run in Python, but the engine, the database
and the file system refuse them. Its file locks are gone with it.
"""

from __future__ import annotations

import fcntl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from greenlet import getcurrent, greenlet

from apps.deployments import (
    draining,
    ending,
    endings,
    following,
    observation,
    reconciliation,
    tasks,
    work,
)
from apps.engine import locks
from apps.engine.connect import get_engine
from apps.engine.data import EngineConfig
from apps.engine.fake import FakeEngine
from apps.engine.fake_faults import Call

EFFECTS = frozenset(
    {"build", "checkout", "start", "resume", "stop", "remove", "remove_image", "write_routes"}
)
"""Calls after which, too, a job comes back: it was done, and nobody has heard so yet."""
WRITES = ("INSERT", "UPDATE", "DELETE", "BEGIN")
CLOSING = ("ROLLBACK", "RELEASE")
CHANGES = frozenset({"open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree"})
"""Audit events of the file system."""


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Job:
    """One task of a process, somewhere in its course."""

    process: Process
    name: str
    course: greenlet
    at: Call = ("", "", "")
    """The call it is about to make."""
    waits: bool = False
    """For a lock that another job holds."""
    error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return bool(self.course.dead)


@dataclass
class Process:
    """What a process of Mist remembers, apart from the database."""

    name: str
    dead: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    busy: set[int] = field(default_factory=set)
    retiring: set[int] = field(default_factory=set)
    rolling: set[int] = field(default_factory=set)
    away: dict[tuple[int, bool], int] = field(default_factory=dict)
    retries: dict[int, float] = field(default_factory=dict)
    repairs: dict[int, float] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    def memory(self) -> list[tuple[Any, str, object]]:
        return [
            (tasks, "OWNER", self.name),
            (tasks, "_busy", self.busy),
            (tasks, "stopping", self.stopping),
            (following, "stopping", self.stopping),
            (work, "stopping", self.stopping),
            (draining, "_at_work", self.retiring),
            (draining, "_rolling", self.rolling),
            (endings, "_away", self.away),
            (reconciliation, "_not_before", self.retries),
            (observation, "_not_before", self.repairs),
        ]

    def pass_time(self, seconds: float) -> None:
        for times in (self.retries, self.repairs):
            for key in times:
                times[key] -= seconds


class Scheduler:
    """Runs jobs from call to call. One at a time is at work: `current`."""

    def __init__(self, fake: FakeEngine) -> None:
        self.fake = fake
        self.current: Job | None = None

    def begin(self, process: Process, name: str, work: Callable[[], object]) -> Job:
        """A job that has not made its first step yet."""
        job = Job(process, name, greenlet(lambda _: work()))
        process.jobs.append(job)
        return job

    def step(self, job: Job, fault: BaseException | None = None) -> None:
        """Let the job make the call it is at, or let that call fail, and run to the next one."""
        for module, name, value in job.process.memory():
            setattr(module, name, value)
        before, self.current = self.current, job
        job.course.parent = getcurrent()
        job.waits = False
        try:
            job.course.switch(fault)
        except Killed:
            pass
        except Exception as error:
            job.error = error
        finally:
            self.current = before

    def kill(self, process: Process) -> None:
        """End all its jobs where they are."""
        process.dead = True
        for job in process.jobs:
            if job.course:
                self.step(job, Killed())
        process.jobs.clear()

    # --------------------------------------------------------------------- what the jobs run into

    def point(self, call: Call) -> None:
        """Come back to the test from the middle of a job."""
        job = self.current
        if job is None or getcurrent() is not job.course:
            return
        if job.process.dead:
            raise Killed
        job.at = call
        fault = job.course.parent.switch()
        if fault is not None:
            raise fault

    def database(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """A wrapper for the connection's statements."""
        job = self.current
        if job is not None and getcurrent() is job.course:
            if job.process.dead and not sql.startswith(CLOSING):
                raise Killed
            if sql.startswith(WRITES) and not connection.in_atomic_block:
                words = sql.split(None, 3)
                self.point(("database", words[0], words[2] if len(words) > 2 else ""))
        return execute(sql, params, many, context)

    def flock(self, handle: int, operation: int) -> None:
        """`fcntl.flock`, where waiting lets other jobs go on."""
        job = self.current
        while job is not None and not operation & fcntl.LOCK_NB:
            try:
                fcntl.flock(handle, operation | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                job.waits = True
                self.point(("lock", "wait", ""))
        fcntl.flock(handle, operation)

    def thread(self, **words: Any) -> _Thread:
        return _Thread(self, **words)

    def files(self) -> None:
        job = self.current
        if job is not None and job.process.dead and getcurrent() is job.course:
            raise Killed


class _Locks:
    """Stands in for the module `fcntl` in `apps.engine.locks`."""

    LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

    def __init__(self, scheduler: Scheduler) -> None:
        self.flock = scheduler.flock


class _Threads:
    """Stands in for the module `threading` where a job starts another one."""

    Event = threading.Event

    def __init__(self, scheduler: Scheduler) -> None:
        self.Thread = scheduler.thread


@dataclass
class _Thread:
    """A thread of the process that is at work: a job of its own. Leases the test renews itself."""

    scheduler: Scheduler
    target: Callable[..., object]
    name: str
    daemon: bool
    args: tuple[object, ...] = ()
    job: Job | None = None

    def start(self) -> None:
        job = self.scheduler.current
        if job is not None and not self.name.startswith("lease"):
            work = lambda: self.target(*self.args)  # noqa: E731
            self.job = self.scheduler.begin(job.process, self.name, work)

    def is_alive(self) -> bool:
        return self.job is not None and not self.job.is_over

    def join(self, seconds: float | None = None) -> None:
        """Let other jobs go on, if only for a moment."""
        job = self.scheduler.current
        if job is not None and self.is_alive() and seconds != 0:
            job.waits = True
            self.scheduler.point(("thread", "join", self.name))


class Answering:
    """An actor of the fake engine whose jobs come back after calls that changed something too."""

    def __init__(self, actor: Any, point: Callable[[Call], None]) -> None:
        self._actor, self._point = actor, point

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._actor, name)
        if name not in EFFECTS:
            return found

        def call(*args: Any, **words: Any) -> Any:
            answer = found(*args, **words)
            self._point((self._actor.actor, f"{name} done", ""))
            return answer

        return call


_watched: list[Scheduler] = []
_hooked: list[bool] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    if _watched and event in CHANGES:
        _watched[-1].files()


def make_engine(config: EngineConfig) -> FakeEngine:
    """The engine that jobs see, for `settings.MIST_ENGINE`."""
    fake = _watched[-1].fake
    return FakeEngine(
        git=Answering(fake.git, _watched[-1].point),  # type: ignore[arg-type]
        containers=Answering(fake.containers, _watched[-1].point),  # type: ignore[arg-type]
        proxy=Answering(fake.proxy, _watched[-1].point),  # type: ignore[arg-type]
        config=config,
        calls=fake.calls,
    )


@contextmanager
def under_control(scheduler: Scheduler) -> Iterator[None]:
    """Meanwhile the scheduler has the engine, the database, locks and files."""
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked.append(True)
    standing_in: list[tuple[Any, str, object]] = [
        (locks, "fcntl", _Locks(scheduler)),
        (draining, "threading", _Threads(scheduler)),
        (ending, "threading", _Threads(scheduler)),
        (work, "threading", _Threads(scheduler)),
    ]
    replaced = [*Process("").memory(), *standing_in]
    kept = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for actor in (scheduler.fake.git, scheduler.fake.containers, scheduler.fake.proxy):
        actor.watch = scheduler.point
    for module, name, value in standing_in:
        setattr(module, name, value)
    # All jobs have the one connection of this thread: none of them may close it.
    database, close = connections[DEFAULT_DB_ALIAS], connections[DEFAULT_DB_ALIAS].close
    database.close = lambda: None  # type: ignore[method-assign]
    _watched.append(scheduler)
    get_engine.cache_clear()
    try:
        with connection.execute_wrapper(scheduler.database):
            yield
    finally:
        _watched.remove(scheduler)
        database.close = close  # type: ignore[method-assign]
        get_engine.cache_clear()
        for module, name, value in kept:
            setattr(module, name, value)
