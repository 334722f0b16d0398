"""./mist status"""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings

from apps.deployments.models import UNFINISHED, Deployment
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.projects.models import App
from apps.system.loops import troubles
from apps.system.management.base import MistCommand, mist_pid, runs_in_parts
from apps.system.planning import dashboard_url


class Command(MistCommand):
    help = "Say what runs: Mist, Traefik, the Docker engine, the apps."
    json_output = True

    def handle(self, *args: Any, **options: Any) -> None:
        facts = self._facts()
        if options["json"]:
            self.print_json(facts)
        else:
            pid = facts["mist_pid"]
            running = f"running (pid {pid}), {facts['url']}"
            in_parts = "in containers of its own: docker compose ps"
            stopped = in_parts if runs_in_parts() else "stopped"
            self.say(f"Mist      {running if pid else stopped}")
            self.say(f"Traefik   {'running' if facts['proxy'] else 'stopped'}")
            self.say(f"Engine    {facts['engine'] or facts['engine_problem']}")
            self.say(f"Data      {facts['data_dir']}")
            self.say(f"Apps      {facts['apps']}, {facts['apps_running']} running")
            self.say(f"At work   {facts['deployments_unfinished']} deployments")
            for trouble in troubles():
                self.say(f"Trouble   {trouble}")
        if not facts["mist_pid"] and not runs_in_parts():
            sys.exit(1)

    def _facts(self) -> dict[str, object]:
        engine = get_engine()
        version, problem = "", ""
        try:
            version = f"Docker {engine.containers.info().version}"
        except EngineError as error:
            problem = error.sentence
        apps = App.objects.filter(deleted_at=None)
        return {
            "mist_pid": mist_pid(),
            "url": dashboard_url(),
            "proxy": engine.proxy.running(),
            "engine": version,
            "engine_problem": problem,
            "data_dir": str(settings.MIST_DATA_DIR),
            "apps": apps.count(),
            "apps_running": apps.filter(observed=App.Observed.RUNNING).count(),
            "deployments_unfinished": Deployment.objects.filter(status__in=UNFINISHED).count(),
            "troubles": [str(trouble) for trouble in troubles()],
        }
