"""./mist user_role"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.accounts.models import InstanceRole
from apps.accounts.people_services import PersonProblem, person_update
from apps.accounts.selectors import person_by_email
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = "Make a user a member, an admin or an owner of this Mist."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("role", choices=InstanceRole.values)

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_by_email(options["email"], active=None)
        if person is None:
            raise CommandError(f"There is no user {options['email']}. ./mist users lists all.")
        role = InstanceRole(options["role"])
        try:
            person_update(person=person, name=person.name, role=role, by=None)
        except PersonProblem as problem:
            raise CommandError(str(problem)) from problem
        self.say(f"{person.email} is {role.label.lower()} now.")
