"""./mist logs"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment
from apps.deployments.selectors import live_deployment
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.system.management.base import MistCommand, find_app


class Command(MistCommand):
    help = "Show what an app writes, or the log of one deployment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PROJECT/APP")
        parser.add_argument("--tail", type=int, default=200, help="lines to begin with")
        parser.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
        parser.add_argument(
            "--deployment", type=int, metavar="NUMBER", help="that deployment's build log"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        if options["deployment"] is not None:
            found = Deployment.objects.filter(app=app, number=options["deployment"]).first()
            if found is None:
                raise CommandError(f"{app} has no deployment #{options['deployment']}.")
            for text in plain_text(log_path(found.pk)):
                self.stdout.write(text, ending="")
            return
        live = live_deployment(app)
        if live is None:
            raise CommandError(f"{app} has no running version yet. ./mist deploy {app}")
        containers = get_engine().containers
        if options["follow"]:
            for line in containers.follow_logs(
                live.container_id, tail=options["tail"], deadline=Deadline(None)
            ):
                self.say(line)
            return
        for line in containers.logs(live.container_id, tail=options["tail"]):
            self.stdout.write(line)
