"""./mist reset_password"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.services import password_set
from apps.system.management.base import MistCommand, problem_of
from apps.system.management.commands.createadmin import read_password


class Command(MistCommand):
    help = "Give a user a new password, asked for or read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no user {options['email']}.")
        password = read_password()
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise problem_of(error) from error
        password_set(user=user, password=password)
        self.say(f"{user.email} has a new password and is logged out everywhere.")
