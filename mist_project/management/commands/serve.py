"""./mist serve"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.engine import process
from apps.system.management.base import MistCommand, mist_pid_file
from apps.system.planning import dashboard_url, setup_link
from apps.system.services import setup_token
from mist_project.processes import Role, leave, serve


class Command(MistCommand):
    help = (
        "Serve, with everything set up already (by ./mist up). With REDIS_URL the parts can be "
        "processes of their own: serve web, serve worker, serve beat, serve watcher."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", nargs="?", default="all", choices=[str(r) for r in Role])

    def handle(self, *args: Any, **options: Any) -> None:
        role = Role(options["role"])
        if role is not Role.ALL:
            if not settings.REDIS_URL:
                raise CommandError("A part of its own needs REDIS_URL, which tells how they talk.")
            leave(serve(role, ready=lambda: self.say(f"Mist's {role} is at work")))
        lock = _take_lock()
        process.remember(mist_pid_file(), os.getpid())
        code = serve(role, ready=self._say_where)
        mist_pid_file().unlink(missing_ok=True)
        os.close(lock)
        leave(code)

    def _say_where(self) -> None:
        self.say(f"Mist is running: {dashboard_url()}")
        if token := setup_token():
            self.say(f"Set it up, once, at {setup_link(token)}")


def _take_lock() -> int:
    """One Mist for one data directory. Raises `CommandError`."""
    path = mist_pid_file().with_name("mist.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.close(handle)
        raise CommandError(
            f"Another Mist serves {settings.MIST_DATA_DIR} already. ./mist down stops it."
        ) from error
    return handle
