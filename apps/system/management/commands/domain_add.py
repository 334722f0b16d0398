"""./mist domain_add"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from apps.deployments import traffic
from apps.domains.forms import DomainForm
from apps.domains.services import domain_add
from apps.system.management.base import (
    MistCommand,
    find_app,
    first_admin,
    form_problem,
    mist_pid,
)


class Command(MistCommand):
    help = "Lead one more host name to an app, without restarting it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PROJECT/APP")
        parser.add_argument("host", help="for example shop.example.com or *.example.com")
        parser.add_argument("--to-path", default="", metavar="/PATH", help="only what is below it")
        parser.add_argument("--strip", action="store_true", help="ask the app without that path")
        parser.add_argument("--port", type=int, help="another port of the app than its first")
        parser.add_argument("--primary", action="store_true", help="where redirects lead")
        parser.add_argument("--redirect", action="store_true", help="to the primary name, for good")

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        form = DomainForm(
            {
                "host": options["host"],
                "path": options["to_path"],
                "port": options["port"] or "",
                "strips_path": options["strip"],
                "is_primary": options["primary"],
                "redirects": options["redirect"],
            }
        )
        if not form.is_valid():
            raise form_problem(form)
        domain = domain_add(app=app, created_by=first_admin(), **form.cleaned_data)
        if mist_pid() is None:
            # Routes are a file: they can be written without a running Mist.
            traffic.publish_routes(app)
        self.say(f"{domain.shown} leads to {app}.")
