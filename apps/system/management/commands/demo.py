"""./mist demo"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
import webbrowser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from apps.deployments.models import Status
from apps.system.management.base import MistCommand, first_admin, mist_pid, runs_in_parts
from apps.system.management.commands.deploy import watch
from apps.system.services import demo_start


class Command(MistCommand):
    help = "Deploy the sample app that comes with Mist and open it: the main job, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-open", action="store_true", help="do not open a browser")

    def handle(self, *args: Any, **options: Any) -> None:
        if mist_pid() is None and not runs_in_parts():
            call_command("up", detach=True, stdout=self.stdout)
        deployment = demo_start(requested_by=first_admin())
        watch(self, deployment, follow=True, quiet=False)
        deployment.refresh_from_db()
        if deployment.status not in (Status.LIVE, Status.RETIRED):
            raise CommandError(f"{deployment.failure}\n{deployment.failure_hint}".strip())
        app = deployment.app
        _see_it_answer(app.host)
        self.say()
        self.say(f"The demo is live at {app.url}")
        if not options["no_open"] and os.environ.get("DISPLAY"):
            webbrowser.open(app.url)


def _see_it_answer(host: str) -> None:
    """One request as a visitor makes it. Raises `CommandError` when it is not answered well."""
    proxy = settings.MIST_ENGINE_CONFIG.proxy_host or "127.0.0.1"
    request = urllib.request.Request(
        f"http://{proxy}:{settings.MIST_HTTP_PORT}/", headers={"Host": host}
    )
    until = time.monotonic() + 5
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                raise CommandError(f"{host} does not answer through Traefik: {error}") from error
        time.sleep(0.1)
