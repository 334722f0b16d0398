"""./mist rollback"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.deployments.models import Deployment, Status
from apps.deployments.selectors import deployments_of
from apps.deployments.services import NotKept, deployment_rollback
from apps.projects.models import App
from apps.system.management.base import MistCommand, find_app, first_admin
from apps.system.management.commands.deploy import check_running, report


class Command(MistCommand):
    help = "Go back to a version that was live before: its kept image, without a build."
    json_output = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PROJECT/APP")
        parser.add_argument(
            "--to", type=int, help="the deployment's number; the one before by default"
        )
        parser.add_argument(
            "--old-variables", action="store_true", help="with the variables of then, not of now"
        )
        parser.add_argument("--wait", action="store_true", help="return when it is over")
        parser.add_argument("--follow", action="store_true", help="wait, and show its log")

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        check_running(options)
        try:
            deployment = deployment_rollback(
                to=_wanted(app, options["to"]),
                requested_by=first_admin(),
                old_variables=options["old_variables"],
            )
        except NotKept as error:
            raise CommandError(str(error)) from error
        report(self, deployment, options)


def _wanted(app: App, number: int | None) -> Deployment:
    """Raises `CommandError` when there is none."""
    found = deployments_of(app)
    if number is not None:
        chosen = found.filter(number=number).first()
        if chosen is None:
            raise CommandError(f"{app} has no deployment #{number}.")
        return chosen
    before = found.filter(status=Status.RETIRED).exclude(image="").first()
    if before is None:
        raise CommandError(f"{app} has no earlier version whose image is kept.")
    return before
