"""How Mist's processes start and stop.

By default one process is everything: the web server, the worker, the schedule and the watcher of
the engine. With `REDIS_URL` each part is a process of its own and may run several times. Which of
the two it is, only this module knows.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from enum import StrEnum

from celery.beat import Scheduler, Service
from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from apps.deployments import lifecycle, observation, tasks, work
from apps.deployments.selectors import work_waiting
from apps.domains.acme import issuing_if_known
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.private_files import remove_abandoned
from apps.metrics.sampling import record_metrics
from apps.system.loops import keep_up
from mist_project.alive import watch_over
from mist_project.celery import app as celery_app
from mist_project.web_server import PageServer

# Daphne has brought Twisted's reactor for asyncio, so this has to come after it.
from twisted.internet import reactor  # isort:skip

logger = logging.getLogger("mist")
POLL_SECONDS = 0.5
PROXY_SECONDS = 1.0
STOP_SECONDS = 8.0
"""With what the web server takes to close its connections it makes ten at the most."""
COLLECT = (20_000, 20, 20)
"""Objects, then generations, after which memory is searched for cycles."""


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"
    BEAT = "beat"
    WATCHER = "watcher"


def serve(role: Role, *, ready: Callable[[], None]) -> int:
    """Run until SIGTERM or SIGINT and return the exit code. `ready` is called when the process
    is at work: its port is open."""
    stopping = threading.Event()
    threads = begin_work(role, stopping)
    if role in (Role.ALL, Role.WEB):
        code = _serve_pages(ready)
    else:
        code = _serve_no_pages(threads, stopping, ready)
    stopping.set()
    _finish()
    return code


def begin_work(role: Role, stopping: threading.Event) -> list[threading.Thread]:
    """Start what goes on beside the pages until `stopping` is set, whatever happens in it."""

    def keep(what: str, work: Callable[..., None], *args: object) -> threading.Thread:
        loop = functools.partial(work, stopping, *args)
        name = work.__name__.strip("_")
        return _start(name, functools.partial(keep_up, loop, what=what, stopping=stopping))

    threads = []
    if role in (Role.ALL, Role.WORKER):
        threads += [keep("The worker", _work), keep("Looking for work", _poll)]
    if role in (Role.ALL, Role.BEAT):
        threads.append(keep("The schedule", _beat))
    if role in (Role.ALL, Role.WATCHER):
        wake = functools.partial(tasks.wake, tasks.apply_wishes)
        threads += [
            keep("Watching the engine", observation.watch_engine, wake),
            keep("Keeping Traefik running", _keep_proxy),
            keep("Recording metrics", record_metrics),
        ]
    return threads


def _start(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


class EndedByItself(Exception):
    """A part of Celery, which has said in the log why, and returned."""


class PlainScheduler(Scheduler):  # type: ignore[misc]
    """The schedule of the settings, kept in memory: every entry may run early or late by one turn,
    so there is nothing to remember in a file."""

    def setup_schedule(self) -> None:
        self.update_from_dict(self.app.conf.beat_schedule)


def _calm_collector() -> None:
    """A page makes some ten thousand short-lived objects: Python's own threshold has the collector
    walk through them dozens of times a page. What is loaded by now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def _serve_pages(ready: Callable[[], None]) -> int:
    _calm_collector()
    server = PageServer(ready=ready)
    server.run()
    if server.problem:
        logger.error("%s", server.problem)
    return 1 if server.problem else 0


def _serve_no_pages(
    threads: Collection[threading.Thread], stopping: threading.Event, ready: Callable[[], None]
) -> int:
    """Wait for a signal. A part whose work has ended by itself ends too: it is started again by
    what started it."""
    failed = threading.Event()

    def give_up() -> None:
        failed.set()
        reactor.callFromThread(reactor.stop)  # type: ignore[misc]

    _start("watch_over", functools.partial(watch_over, threads, stopping, give_up))
    reactor.callWhenRunning(ready)
    reactor.run()  # type: ignore[misc]
    return int(failed.is_set())


def _work(stopping: threading.Event) -> None:
    """The Celery worker. Its threads also carry out what people ask of running apps, so there are
    two more than deployments that run at once."""
    # Whatever was left by a process that died is taken up, or away, before anything else.
    remove_abandoned(settings.MIST_ENGINE_CONFIG.keys_room)
    tasks.wake(tasks.reconcile_deployments)
    celery_app.WorkController(
        pool_cls="threads",
        concurrency=settings.MIST_CONCURRENT_DEPLOYMENTS + 2,
        queues=["deployments", "default"],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    ).start()
    if not stopping.is_set():
        raise EndedByItself("The worker has ended by itself.")


def _beat(stopping: threading.Event) -> None:
    """Put what is due into the queues."""
    celery_app.set_current()
    Service(celery_app, scheduler_cls=PlainScheduler).start()
    if not stopping.is_set():
        raise EndedByItself("The schedule has ended by itself.")


def _poll(stopping: threading.Event) -> None:
    """Find what a management command wrote, which cannot use the in-memory broker, and what a
    Redis has forgotten or never heard of."""
    while not stopping.wait(POLL_SECONDS):
        try:
            if work_waiting():
                tasks.wake(tasks.run_deployments, tasks.apply_wishes)
        except DatabaseError as error:
            logger.warning("The database does not answer: %s", error)
            connection.close()
            time.sleep(POLL_SECONDS)


def _keep_proxy(stopping: threading.Event) -> None:
    """Start Traefik again when it is gone: nobody else does, and without it no app answers."""
    proxy = get_engine().proxy
    pause = PROXY_SECONDS
    while not stopping.is_set():
        proxy.await_end(pause)
        try:
            if not proxy.running():
                logger.warning("Traefik is not there, or not everywhere: it is brought there")
                proxy.ensure_running(issuing_if_known())
            pause = PROXY_SECONDS
        except EngineError as error:
            logger.warning("%s %s", error.sentence, error.hint)
            pause = min(pause * 2, 60.0)


def _finish() -> None:
    """Put work back into the queue, let a switch in progress end, then go for good.

    Threads that only wait for the engine or the broker are not waited for, nor is an old version
    that finishes its requests: the next process takes it away.
    """
    work.stopping.set()
    until = time.monotonic() + STOP_SECONDS
    while tasks.busy() and time.monotonic() < until:
        time.sleep(0.05)
    lifecycle.release(owner=tasks.OWNER)
    logging.shutdown()


def leave(code: int) -> None:
    """End the process now. Celery's and Twisted's threads have no end of their own."""
    os._exit(code)
