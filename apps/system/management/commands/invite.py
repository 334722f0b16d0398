"""./mist invite"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email

from apps.accounts.invitation_services import DAYS, invitation_create, invitation_mail
from apps.accounts.models import InstanceRole
from apps.accounts.selectors import person_by_email
from apps.projects.models import Project, ProjectRole
from apps.system.management.base import MistCommand, problem_of

DAYS_MOST = 365


class Command(MistCommand):
    help = "Make a one-time link with which somebody makes their own account."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--role", choices=InstanceRole.values, default=InstanceRole.MEMBER.value
        )
        parser.add_argument("--project", help="a project that they belong to then")
        parser.add_argument(
            "--project-role", choices=ProjectRole.values, default=ProjectRole.VIEWER.value
        )
        parser.add_argument("--days", type=int, default=DAYS, help="how long the link works")

    def handle(self, *args: Any, **options: Any) -> None:
        email, project = options["email"].strip().lower(), None
        try:
            validate_email(email)
        except ValidationError as error:
            raise problem_of(error) from error
        if not 1 <= options["days"] <= DAYS_MOST:
            raise CommandError(f"A link works for 1 to {DAYS_MOST} days.")
        if options["project"]:
            project = Project.objects.filter(slug=options["project"]).first()
            if project is None:
                raise CommandError(f"There is no project {options['project']}.")
        elif person_by_email(email, active=None) is not None:
            raise CommandError(
                f"{email} has an account already. ./mist user_role changes its role."
            )
        invited = invitation_create(
            email=email,
            role=InstanceRole(options["role"]),
            by=None,
            project=project,
            project_role=None if project is None else ProjectRole(options["project_role"]),
            days=options["days"],
        )
        if invitation_mail(invited):
            self.say(f"The link is on its way to {email}.")
        else:
            self.say(invited.link)
