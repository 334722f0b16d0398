"""./mist serve"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.engine import process
from apps.system.management.base import MistCommand, mist_pid_file, take_lock
from apps.system.planning import dashboard_url, setup_link
from apps.system.services import setup_token
from mist_project.processes import Role, leave, serve


class Command(MistCommand):
    help = (
        "Serve, with everything set up already (by ./mist up). With REDIS_URL the parts can be "
        "processes of their own: serve web, serve worker, serve beat, serve watcher."
    )
    is_mist_itself = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", nargs="?", default="all", choices=[str(r) for r in Role])

    def handle(self, *args: Any, **options: Any) -> None:
        role = Role(options["role"])
        if role is not Role.ALL:
            if not settings.REDIS_URL:
                raise CommandError("A part of its own needs REDIS_URL, which tells how they talk.")
            take_lock(shared=True)
            leave(serve(role, ready=lambda: self._say_at_work(role)))
        lock = take_lock(shared=False)
        process.remember(mist_pid_file(), os.getpid())
        code = serve(role, ready=self._say_where)
        mist_pid_file().unlink(missing_ok=True)
        os.close(lock)
        leave(code)

    def _say_at_work(self, role: Role) -> None:
        if role is Role.WEB:
            self._say_where()
        else:
            self.say(f"Mist's {role} is at work")

    def _say_where(self) -> None:
        self.say(f"Mist is running: {dashboard_url()}")
        if token := setup_token():
            self.say(f"Set it up, once, at {setup_link(token)}")
