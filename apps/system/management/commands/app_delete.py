"""./mist app_delete"""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.deployments import reconciliation
from apps.deployments.services import app_delete
from apps.projects.models import App
from apps.system.management.base import MistCommand, find_app, mist_pid

PATIENCE = 60.0


class Command(MistCommand):
    help = "Delete an app with its containers, images, routes and files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PROJECT/APP")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        if not options["yes"]:
            if not sys.stdin.isatty():
                raise CommandError("Say --yes to delete it without being asked.")
            if input(f"Type {app} to delete it with everything it has: ") != str(app):
                raise CommandError("Nothing is deleted.")
        pk, name = app.pk, str(app)
        app_delete(app=app)
        until = time.monotonic() + PATIENCE
        while App.objects.filter(pk=pk).exists():
            if mist_pid() is None:
                reconciliation.apply_wishes()
            if time.monotonic() > until:
                raise CommandError(f"{name} is being deleted, which takes longer than usual.")
            time.sleep(0.2)
        self.say(f"{name} is deleted.")
