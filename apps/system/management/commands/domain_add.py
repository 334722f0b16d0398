"""./mist domain_add"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from apps.deployments import traffic
from apps.domains.services import domain_add
from apps.system.management.base import MistCommand, find_app, first_admin, mist_pid


class Command(MistCommand):
    help = "Lead one more host name to an app, without restarting it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PROJECT/APP")
        parser.add_argument("host", help="for example shop.example.com")

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        domain = domain_add(app=app, host=options["host"], created_by=first_admin())
        if mist_pid() is None:
            # Routes are a file: they can be written without a running Mist.
            traffic.publish_routes(app)
        self.say(f"{domain.host} leads to {app}.")
